"""The formats that `edgeseg data import` reads, and recognising one.

A format is one module with `NAME`, `TITLE` (what a user calls it, and how its files look), `matches(root)` and
`read(root)`, which returns a `records.Source`. To add one, add its file and its line in `FORMATS`; or, in a package of
your own, an entry point of the group `edgeseg.importers` that names the module.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType

from edgeseg.data.importing import (
    coco,
    cvat,
    label_studio,
    labelme,
    masks,
    panoptic,
    roboflow,
    supervisely,
    voc,
    yolo,
)
from edgeseg.data.importing.records import Source
from edgeseg.errors import DataError, quoted
from edgeseg.plugins import Registry

FORMATS: Registry[ModuleType] = Registry(
    "import format",
    "edgeseg.importers",
    {
        module.NAME: module
        for module in (coco, panoptic, labelme, cvat, label_studio, supervisely, roboflow, yolo, voc, masks)
    },
    ModuleType,
)


def recognise(root: Path) -> str | None:
    """Returns the name of the format that a folder or file is in; None if none knows it."""
    return next((name for name, module in FORMATS.items() if module.matches(root)), None)


def read_source(root: Path, name: str = "auto") -> tuple[str, Source]:
    """Reads a folder or file.

    Args:
        root: What a labelling tool exported.
        name: A key of `FORMATS`, or "auto" to recognise it.

    Returns:
        The format's name, and what was read.

    Raises:
        DataError: Nothing is there, no format knows it, or it cannot be read.
        UsageError: The name is unknown.
    """
    if not root.exists():
        raise DataError(f"{root}: no such file or folder")
    if name != "auto":
        return name, _read(FORMATS.find(name), root)
    found = recognise(root)
    if found is None:
        raise DataError(
            f"{root} is in no format that is known; it holds {seen(root)}. --format names one of {', '.join(FORMATS)}; "
            "images and masks pair by folders such as images/ and masks/, or by names such as a.jpg and a_mask.png"
        )
    return found, _read(FORMATS[found], root)


def _read(module: ModuleType, root: Path) -> Source:
    source: Source = module.read(root)
    if not source.samples:
        reasons = "; ".join(f"{d.count} {d.what}: {d.why}, such as {quoted(d.example)}" for d in source.tally.dropped())
        raise DataError(f"{root} has no image with labels, read as {module.NAME}: {reasons or 'it names none'}")
    return source


def seen(root: Path) -> str:
    """Tells what a folder holds, for a message: how many files of which kind, and the first folders."""
    if root.is_file():
        return f"one {root.suffix or 'nameless'} file"
    files = [p for p in root.rglob("*") if p.is_file()]
    kinds = Counter(p.suffix.lower() or "nameless" for p in files)
    folders = sorted({p.relative_to(root).parts[0] for p in files if len(p.relative_to(root).parts) > 1})
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5)) or "no file"
    return told + (f" in the folders {', '.join(folders[:6])}" if folders else "")
