"""YOLO segmentation: `data.yaml`, `images/<split>/`, `labels/<split>/*.txt` with a class and a polygon on each line.

https://docs.ultralytics.com/datasets/segment/. Coordinates are fractions of width and height. As its trainer has it,
the smaller of two objects lies on top.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.data.importing.finding import files_in
from edgeseg.data.importing.records import Draw, Indices, Region, Sample, Source, Tally, painter
from edgeseg.data.importing.shapes import Points, polygon
from edgeseg.data.split_names import split_named
from edgeseg.data.yaml_file import read_yaml
from edgeseg.errors import DataError, quoted
from edgeseg.files import read_text
from edgeseg.image import IMAGE_SUFFIXES

NAME = "yolo"
TITLE = "YOLO segmentation (data.yaml, images and labels)"
_YAML = frozenset({".yaml", ".yml"})


def matches(root: Path) -> bool:
    """Whether `root` holds this format."""
    files = [p for p in (root.iterdir() if root.is_dir() else [root]) if p.suffix.lower() in _YAML]
    return any("names" in text and ("train" in text or "val" in text) for text in map(_text, files))


def read(root: Path) -> Source:
    """Reads the folder of a data.yaml."""
    tally, samples = Tally(), list[Sample]()
    path = next((p for p in files_in(root, _YAML) if "names" in _text(p)), None)
    if path is None:
        raise DataError(f"no YOLO data set in {root}: expected data.yaml with names, train and val")
    content = read_yaml(path, "a YOLO data set")
    names = _names(content, path)
    seen = set[Path]()
    for key in ("train", "val", "test"):
        for folder in _folders(content, key, path, tally):
            for image in files_in(folder, IMAGE_SUFFIXES):
                if image in seen:
                    continue
                seen.add(image)
                label = _label_of(image)
                if not label.is_file():
                    tally.add("image", "it has no file of labels", image.name)
                    continue
                draw = _drawing(label, len(names), tally)
                samples.append(Sample(image=image, split=split_named(key), draw=draw))
    return Source(names=names, samples=tuple(samples), tally=tally, sparse=True, overlap="the smaller on top")


def _names(content: Any, path: Path) -> tuple[str, ...]:
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        names = [names.get(number) for number in range(len(names))]
    if not isinstance(names, list) or not names or None in names:
        raise DataError(f"{path} has names {quoted(names)}: expected a list, or 0: name, 1: name, ...")
    return tuple(str(name) for name in names)


def _folders(content: dict[str, Any], key: str, path: Path, tally: Tally) -> list[Path]:
    """Returns a split's folders: as the file says, or where the data really lies beside it."""
    values = content.get(key)
    found = []
    for value in values if isinstance(values, list) else [values] if values else []:
        told = Path(str(content.get("path") or "")) / str(value)
        bare = Path(*[part for part in Path(str(value)).parts if part not in ("..", "/")])
        folder = next((f for f in (path.parent / told, path.parent / bare) if f.is_dir()), None)
        if folder is None:
            tally.add("split", f"'{key}: {value}' is no folder", path.name)
        else:
            found.append(folder)
    return found


def _label_of(image: Path) -> Path:
    """Returns the file of labels: the last folder `images` in the path, read `labels`."""
    parts = list(image.with_suffix(".txt").parts)
    at = max((n for n, part in enumerate(parts) if part == "images"), default=None)
    if at is not None:
        parts[at] = "labels"
    return Path(*parts)


def _drawing(label: Path, count: int, tally: Tally) -> Draw:
    shapes = list[tuple[int, Points]]()
    for line in read_text(label, "labels").splitlines():
        if not line.strip():
            continue
        try:
            number, *values = [float(word) for word in line.split()]
        except ValueError:
            tally.add("annotation", "a line that holds no numbers", label.name)
            continue
        if not 0 <= number < count or number != int(number):
            tally.add("annotation", f"class {number:g}, of {count}", label.name)
        elif len(values) == 4:
            tally.add("annotation", "a box, no polygon", label.name)
        elif len(values) < 6 or len(values) % 2 or not np.isfinite(values).all():
            tally.add("annotation", "a line that is no polygon", label.name)
        else:
            shapes.append((int(number), np.reshape(values, (-1, 2))))
    shapes.sort(key=lambda shape: -_area(shape[1]))
    return partial(_draw, shapes)


def _draw(shapes: list[tuple[int, Points]], height: int, width: int) -> Indices:
    regions = [Region(index=n, mask=partial(polygon, [points * (width, height)])) for n, points in shapes]
    return painter(regions)(height, width)


def _area(points: Points) -> float:
    """Area of a polygon by Gauss's formula."""
    x, y = points.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _text(path: Path) -> str:
    try:
        return read_text(path, "data set")
    except DataError:
        return ""
