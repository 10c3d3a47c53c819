"""COCO instances: one JSON file a split, polygons and run lengths; also what Roboflow exports as COCO segmentation.

https://cocodataset.org/#format-data. The format says nothing of overlaps: crowds lie below, all others as the file
orders them, the later on top.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from edgeseg.data.importing.finding import ImageFiles, jsons_of, looks_like
from edgeseg.data.importing.records import Mask, Names, Region, Sample, Source, Tally, painter
from edgeseg.data.importing.rle import coco_mask, run_mask
from edgeseg.data.importing.shapes import points_of, polygon
from edgeseg.data.split_names import split_named
from edgeseg.errors import DataError, quoted
from edgeseg.files import read_json

NAME = "coco"
TITLE = "COCO instances (annotations/*.json; Roboflow's COCO segmentation)"


def matches(root: Path) -> bool:
    """Whether `root` holds this format."""
    return looks_like(root, "coco")


def read(root: Path) -> Source:
    """Reads every COCO file below `root`."""
    tally, names, files, samples = Tally(), Names(), ImageFiles(root), list[Sample]()
    for path in jsons_of(root, "coco"):
        content = read_json(path, "annotations")
        classes = categories(content, path)
        used = {note.get("category_id") for note in content.get("annotations", []) if isinstance(note, dict)}
        for number, name in classes.items():
            if number in used or not _is_heading(content, name):
                names.index(name)
        notes = defaultdict[Any, list[dict[str, Any]]](list)
        for note in sorted(content.get("annotations", []), key=lambda n: not n.get("iscrowd", 0)):
            notes[note.get("image_id")].append(note)
        for entry, image in entries(content, path, files, tally):
            regions = list[Region]()
            for note in notes[entry.get("id")]:
                try:
                    index = names.index(classes[note.get("category_id")])
                    regions.append(Region(index=index, mask=_mask_of(note.get("segmentation"))))
                except KeyError:
                    tally.add("annotation", "its category is not in the file", image.name)
                except DataError as error:
                    tally.add("annotation", str(error), image.name)
            draw = painter(regions, size_of(entry))
            samples.append(Sample(image=image, split=split_of(path, image), draw=draw))
    return Source(
        names=names.tuple(), samples=tuple(samples), tally=tally, sparse=True,
        overlap="crowds below, then as the file orders them",
    )  # fmt: skip


def entries(content: dict[str, Any], path: Path, files: ImageFiles, tally: Tally) -> list[tuple[dict[str, Any], Path]]:
    """Returns a file's entries of images, each with its image; those without one are counted."""
    found = []
    for entry in content["images"]:
        name = str(entry.get("file_name", "")) if isinstance(entry, dict) else ""
        image = files.find(name, path)
        if image is None:
            tally.add("image", "named in the annotations, but not there", name or path.name)
        else:
            found.append((entry, image))
    return found


def categories(content: dict[str, Any], path: Path) -> dict[Any, str]:
    """Returns a file's category names by id."""
    try:
        return {category["id"]: str(category["name"]) for category in content["categories"]}
    except (KeyError, TypeError) as error:
        raise DataError(f'{path} has a category without id or name: expected {{"id": 1, "name": "car"}}') from error


def split_of(path: Path, image: Path) -> str:
    """Returns the split that an annotation file is of, by its name, its folder's or the image's folder's."""
    return split_named(path.stem) or split_named(path.parent.name) or split_named(image.parent.name)


def size_of(entry: dict[str, Any]) -> tuple[int, int] | None:
    """Returns an entry's height and width, if it has them."""
    height, width = entry.get("height"), entry.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) and height and width else None


def _is_heading(content: dict[str, Any], name: str) -> bool:
    """Whether a category is only the heading of others, as Roboflow writes one."""
    return any(isinstance(c, dict) and c.get("supercategory") == name != c.get("name") for c in content["categories"])


def _mask_of(segmentation: Any) -> Any:
    if isinstance(segmentation, dict):
        return partial(_decoded, segmentation)
    if not isinstance(segmentation, list) or not segmentation:
        raise DataError("it has a box, but no segmentation")
    parts = [points_of(part, 3) for part in segmentation]

    def union(height: int, width: int) -> Mask:
        mask = polygon(parts[:1], height, width)
        for part in parts[1:]:
            mask |= polygon([part], height, width)
        return mask

    return union


def _decoded(segmentation: dict[str, Any], height: int, width: int) -> Mask:
    if "size" not in segmentation and isinstance(segmentation.get("counts"), list):
        return run_mask(segmentation["counts"], height, width, by_columns=True)
    mask = coco_mask(segmentation)
    if mask.shape != (height, width):
        raise DataError(f"run lengths of {quoted(segmentation.get('size'))} in an image of {height}x{width}")
    return mask
