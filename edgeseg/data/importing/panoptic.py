"""COCO panoptic: one JSON file a split, and a folder of PNGs of the same name whose colours number the segments.

https://cocodataset.org/#format-data, section 4: a segment's id is R + 256 G + 256^2 B; 0 is unlabelled.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.data.importing.coco import categories, size_of, split_of
from edgeseg.data.importing.finding import ImageFiles, jsons_of, looks_like
from edgeseg.data.importing.records import UNLABELLED, Indices, Names, Sample, Source, Tally
from edgeseg.errors import DataError
from edgeseg.files import read_json
from edgeseg.image import read_image

NAME = "panoptic"
TITLE = "COCO panoptic (annotations/panoptic_*.json beside folders of PNGs)"


def matches(root: Path) -> bool:
    """Whether `root` holds this format."""
    return looks_like(root, "panoptic")


def read(root: Path) -> Source:
    """Reads every panoptic file below `root`."""
    tally, names, files, samples = Tally(), Names(), ImageFiles(root), list[Sample]()
    for path in jsons_of(root, "panoptic"):
        content = read_json(path, "annotations")
        classes = categories(content, path)
        for name in classes.values():
            names.index(name)
        entries = {entry.get("id"): entry for entry in content["images"] if isinstance(entry, dict)}
        for note in content["annotations"]:
            entry, png = entries.get(note.get("image_id")), path.with_suffix("") / str(note.get("file_name", ""))
            image = _photo(files, str(entry.get("file_name", "")), path) if entry else None
            if entry is None or image is None:
                tally.add("image", "named in the annotations, but not there", note.get("file_name", path.name))
                continue
            if not png.is_file():
                tally.add("image", f"its PNG of segments is not in {png.parent.name}", image.name)
                continue
            table = {
                segment["id"]: names.index(classes[segment["category_id"]])
                for segment in note.get("segments_info", [])
                if segment.get("category_id") in classes
            }
            draw = partial(_segments, png, table, size_of(entry))
            samples.append(Sample(image=image, split=split_of(path, image), draw=draw))
    return Source(names=names.tuple(), samples=tuple(samples), tally=tally, sparse=True)


def _photo(files: ImageFiles, name: str, path: Path) -> Path | None:
    """Finds the image, which may be called like its PNG of segments."""
    image = files.find(name, path)
    return None if image is not None and image.parent == path.with_suffix("") else image


def _segments(png: Path, table: dict[Any, int], size: tuple[int, int] | None, height: int, width: int) -> Indices:
    blue, green, red = np.moveaxis(read_image(png).astype(np.int32), 2, 0)
    if red.shape != (height, width):
        raise DataError(f"its PNG of segments is {red.shape[0]}x{red.shape[1]}, but the image is {height}x{width}")
    ids, inverse = np.unique(red + 256 * green + 65536 * blue, return_inverse=True)
    indices = np.array([table.get(int(number), UNLABELLED) for number in ids], np.int16)
    result: Indices = indices[inverse.reshape(height, width)]
    return result
