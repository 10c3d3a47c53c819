"""`import_set`: reads what a labelling tool exported and writes a plain folder (`edgeseg.data.folder`) of it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.data.class_tables import LABELS_FILE
from edgeseg.data.folder import labels_json
from edgeseg.data.importing.archives import unpacked
from edgeseg.data.importing.classes import Classes, ClassMap, Unlabelled, make_classes
from edgeseg.data.importing.formats import read_source
from edgeseg.data.importing.records import UNLABELLED, Dropped, Indices, Sample, Source
from edgeseg.data.importing.splits import SplitOptions, choose_splits
from edgeseg.data.similar import image_hash, scenes
from edgeseg.errors import DataError, OutputError
from edgeseg.files import ensure_folder, write_json
from edgeseg.image import read_image, write_image

MANIFEST_FILE = "import.json"

Advance = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did.

    Attributes:
        format: The format that was read.
        splits: Images of each split.
        classes: For each class: its pixels, and the images that show it.
        unlabelled: Share of the pixels that no annotation covers.
        unlabelled_as: What they became, "background" or "ignore".
        overlap: Which of two annotations won a pixel.
        dropped: What was left out and why.
        warnings: What is worth a look.
    """

    format: str
    splits: dict[str, int]
    classes: dict[str, dict[str, int]]
    unlabelled: float
    unlabelled_as: str
    overlap: str
    dropped: tuple[Dropped, ...]
    warnings: tuple[str, ...]

    @property
    def images(self) -> int:
        """How many images were written."""
        return sum(self.splits.values())


@dataclass
class _Counts:
    pixels: np.ndarray[Any, np.dtype[np.int64]] = field(default_factory=lambda: np.zeros(256, np.int64))
    images: np.ndarray[Any, np.dtype[np.int64]] = field(default_factory=lambda: np.zeros(256, np.int64))
    bare: int = 0

    def add(self, label_map: Uint8, indices: Indices) -> None:
        counts = np.bincount(label_map.ravel(), minlength=256)
        self.pixels += counts
        self.images += counts > 0
        self.bare += int((indices == UNLABELLED).sum())


def import_set(
    root: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    format: str = "auto",
    class_map: ClassMap | None = None,
    unlabelled: Unlabelled = "background",
    splits: SplitOptions | None = None,
    advance: Advance | None = None,
) -> Imported:
    """Imports a set; `out` is made whole or not at all.

    Args:
        root: The folder, one annotation file, or an archive (`.zip`, `.tar`) of the folder.
        out: The folder to make; it must not exist, or be empty.
        format: A key of `formats.FORMATS`, or "auto".
        class_map: See `classes`.
        unlabelled: What pixels without annotation become, "background" or "ignore".
        splits: How to split.
        advance: Called with (done, total) images.

    Raises:
        DataError: It cannot be read, no image of it can, or the classes make no label set.
        OutputError: `out` holds something, or cannot be written.
        UsageError: A name is unknown, or `splits` says how to draw where nothing is drawn.
    """
    options, target = splits or SplitOptions(), Path(os.path.realpath(out))
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"cannot import into {out}: it holds something already; name a folder that is new or empty")
    with unpacked(Path(root)) as folder:
        name, source = read_source(folder, format)
        options.check([sample.split for sample in source.samples])
        classes = make_classes(source, class_map, unlabelled)
        ensure_folder(target.parent)
        staged = target.with_name(f".{target.name[:40]}-{secrets.token_hex(6)}")
        try:
            staged.mkdir()
            imported, manifest = _write(source, classes, staged, options, advance)
            told = Imported(format=name, unlabelled_as=unlabelled, overlap=source.overlap, **imported)
            write_json(staged / LABELS_FILE, labels_json("imported", classes.labels))
            head = {"source": str(root), **_settings(told, class_map, options)}
            for entry in manifest:  # not where an archive was unpacked to
                entry["from"] = entry["from"].replace(str(folder), str(root), 1)
            write_json(staged / MANIFEST_FILE, {**head, "pictures": manifest})
            if target.exists():
                target.rmdir()
            staged.rename(target)
        except OSError as error:
            raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return told


def _settings(told: Imported, class_map: ClassMap | None, options: SplitOptions) -> dict[str, Any]:
    return {
        "format": told.format, "classes": dict(class_map or {}), "unlabelled": told.unlabelled_as,
        "splits": told.splits, "seed": options.seed or 0, "by_scene": options.by_scene,
        "shares": [list(share) for share in options.shares],
        "patterns": [list(pattern) for pattern in options.patterns],
        "dropped": [asdict(dropped) for dropped in told.dropped],
    }  # fmt: skip


def _write(
    source: Source, classes: Classes, folder: Path, options: SplitOptions, advance: Advance | None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Writes images and label maps, first under numbers, then moved into their splits."""
    counts, kept, hashes = _Counts(), list[Sample](), []
    for number, sample in enumerate(source.samples):
        try:
            image = read_image(sample.image)
            indices = sample.draw(*image.shape[:2])
        except DataError as error:
            source.tally.add("image", _why(error, sample), sample.image.name)
        else:
            label_map = classes.label_map(indices)
            counts.add(label_map, indices)
            write_image(folder / f"{len(kept)}.png", label_map)
            hashes.append(image_hash(image))
            kept.append(sample)
        if advance:
            advance(number + 1, len(source.samples))
    if not kept:
        first = source.tally.dropped()[0]
        raise DataError(f"none of {len(source.samples)} images can be used: {first.why}, such as {first.example}")
    own = [sample.split for sample in kept]
    groups = scenes(np.stack(hashes)) if options.draws(own) and options.by_scene else [0] * len(kept)
    chosen = choose_splits([sample.image.name for sample in kept], own, groups, options)
    manifest = []
    for number, (sample, split, name) in enumerate(zip(kept, chosen, _names(kept, chosen), strict=True)):
        for place in ("images", "labels"):
            (folder / place / split).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample.image, folder / "images" / split / f"{name}{sample.image.suffix}")
        (folder / f"{number}.png").rename(folder / "labels" / split / f"{name}.png")
        entry: dict[str, Any] = {"name": name, "split": split, "from": str(sample.image)}
        manifest.append({**entry, "scene": groups[number]} if any(groups) else entry)
    return _told(source, classes, counts, Counter(chosen)), manifest


def _why(error: DataError, sample: Sample) -> str:
    return str(error).replace(str(sample.image), "its file").replace(sample.image.name, "its file")


def _names(samples: Sequence[Sample], splits: Sequence[str]) -> list[str]:
    """Returns what each image will be called: its own name, with its folders' where two have the same."""
    plain = Counter((split, sample.image.stem) for split, sample in zip(splits, samples, strict=True))
    common = Path(os.path.commonpath([sample.image.parent for sample in samples]))
    names, taken = list[str](), set[tuple[str, str]]()
    for split, sample in zip(splits, samples, strict=True):
        name = sample.image.stem
        if plain[split, name] > 1:
            name = "__".join(sample.image.relative_to(common).with_suffix("").parts)
        while (split, name) in taken:  # a.jpg and a.png beside each other
            name += "_"
        taken.add((split, name))
        names.append(name)
    return names


def _told(source: Source, classes: Classes, counts: _Counts, splits: Counter[str]) -> dict[str, Any]:
    labels = classes.labels
    warnings = list(source.tally.remarks())
    absent = [name for number, name in enumerate(labels.names) if not counts.pixels[number]]
    if absent:
        warnings.append(f"no pixel of {', '.join(absent)}: --classes drops or merges classes")
    if "val" not in splits:
        warnings.append("no split val, which training needs: --splits train=0.8,val=0.2 makes one")
    for name in classes.dropped:
        source.tally.add("class", "dropped or ignored", name)
    return {
        "splits": dict(sorted(splits.items())),
        "classes": {
            name: {"pixels": int(counts.pixels[number]), "pictures": int(counts.images[number])}
            for number, name in enumerate(labels.names)
        },
        "unlabelled": counts.bare / max(1, int(counts.pixels.sum())),
        "dropped": source.tally.dropped(),
        "warnings": tuple(warnings),
    }
