"""PASCAL VOC and CVAT's segmentation mask: `SegmentationClass/`, `ImageSets/Segmentation/*.txt`, maybe `labelmap.txt`.

Masks are palette PNGs or colours. With `labelmap.txt` (CVAT's, Datumaro's) colours count; without, VOC's own classes
and palette. CVAT exports images only on request: then they are looked for anywhere below the folder.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from edgeseg.data.class_tables import read_labelmap
from edgeseg.data.importing.finding import ImageFiles
from edgeseg.data.importing.records import UNLABELLED, Indices, Sample, Source, Tally
from edgeseg.data.mask_files import UNKNOWN, Colour, colour_ids, read_mask
from edgeseg.data.split_names import split_named
from edgeseg.data.voc import LABELS
from edgeseg.errors import DataError
from edgeseg.files import read_text
from edgeseg.image import IMAGE_SUFFIXES

NAME = "voc"
TITLE = "PASCAL VOC, CVAT segmentation mask (SegmentationClass, ImageSets, labelmap.txt)"
_MASKS = "SegmentationClass"
_MAP = "labelmap.txt"
_BORDER: Colour = (224, 224, 192)
"""VOC's colour of id 255, the border of objects."""


def matches(root: Path) -> bool:
    """Whether `root` holds this format."""
    return _home(root) is not None


def read(root: Path) -> Source:
    """Reads every mask in SegmentationClass."""
    home = _home(root)
    if home is None:
        raise DataError(f"no PASCAL VOC in {root}: expected a folder {_MASKS}")
    tally, files, samples = Tally(), ImageFiles(home), list[Sample]()
    names, colours = LABELS.names, LABELS.colors
    if (home / _MAP).is_file():
        table = read_labelmap(home / _MAP)
        names, colours = table.names, table.colours
    lists = {path.stem: read_text(path, "list").split() for path in (home / "ImageSets/Segmentation").glob("*.txt")}
    splits = {name: split_named(part) for part, listed in lists.items() for name in listed if split_named(part)}
    for path in sorted((home / _MASKS).rglob("*.png")):
        name = path.relative_to(home / _MASKS).with_suffix("").as_posix()
        found = (files.find(f"{name}{suffix}", home / "JPEGImages") for suffix in sorted(IMAGE_SUFFIXES))
        image = next((p for p in found if p is not None and not p.parent.name.startswith("Segmentation")), None)
        if image is None:
            tally.add("image", "it has a mask, but its file is not there", path.name)
            continue
        draw = partial(_drawn, path, colours)
        samples.append(Sample(image=image, split=splits.get(name, ""), draw=draw))
    return Source(
        names=names, samples=tuple(samples), tally=tally, sparse=False,
        colours=dict(zip(names, colours, strict=True)),
    )  # fmt: skip


def _drawn(path: Path, colours: tuple[Colour, ...], height: int, width: int) -> Indices:
    mask = read_mask(path, palette_colours=True)
    if mask.shape[:2] != (height, width):
        raise DataError(f"its mask is {mask.shape[0]}x{mask.shape[1]}, but the image is {height}x{width}")
    indices = colour_ids(mask, [*colours, _BORDER])
    if (indices == UNKNOWN).any():
        row, column = (int(n[0]) for n in np.nonzero(indices == UNKNOWN))
        raise DataError(f"its mask holds the colour {mask[row, column].tolist()}, which no class has")
    indices[indices == len(colours)] = UNLABELLED
    return indices


def _home(root: Path) -> Path | None:
    inside = (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012")
    return next((folder for folder in inside if (folder / _MASKS).is_dir()), None)
