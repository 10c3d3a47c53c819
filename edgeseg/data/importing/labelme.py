"""Labelme: one JSON file an image, old (only polygons, no "shape_type") and new ("mask" shapes) alike.

https://github.com/wkentaro/labelme. As its own export does, shapes are painted in the file's order, the later on top; a
line is 10 pixels wide, a point a disc of radius 5.
"""

from __future__ import annotations

import base64
import binascii
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.data.importing.finding import ImageFiles, jsons_of, looks_like
from edgeseg.data.importing.records import Mask, Names, Region, Sample, Source, Tally, painter
from edgeseg.data.importing.shapes import Points, box, ellipse, line, placed, png_mask, points_of, polygon
from edgeseg.data.split_names import split_named
from edgeseg.errors import DataError, quoted
from edgeseg.files import read_json

NAME = "labelme"
TITLE = "Labelme (one .json beside each image)"
_LINE, _POINT = 10, 5


def matches(root: Path) -> bool:
    """Whether `root` holds this format."""
    return looks_like(root, "labelme")


def read(root: Path) -> Source:
    """Reads every Labelme file below `root`."""
    tally, names, files, samples = Tally(), Names(), ImageFiles(root), list[Sample]()
    for path in jsons_of(root, "labelme"):
        content = read_json(path, "annotations")
        image = files.find(str(content["imagePath"]), path)
        if image is None:
            tally.add("image", "named in the annotations, but not there", path.name)
            continue
        regions = list[Region]()
        for shape in content["shapes"]:
            try:
                mask = _mask_of(shape)
                regions.append(Region(index=names.index(shape["label"]), mask=mask))
            except (DataError, KeyError, TypeError) as error:
                told = str(error) if isinstance(error, DataError) else "it has no label or no points"
                tally.add("annotation", told, path.name)
        height, width = content.get("imageHeight"), content.get("imageWidth")
        size = (int(height), int(width)) if height and width else None
        samples.append(
            Sample(
                image=image,
                split=split_named(image.parent.name),
                draw=painter(regions, size),
            )
        )
    return Source(
        names=names.tuple(), samples=tuple(samples), tally=tally, sparse=True,
        overlap="as the file orders them, the later on top",
    )  # fmt: skip


def _mask_of(shape: dict[str, Any]) -> Any:
    kind = shape.get("shape_type") or "polygon"
    least = {"polygon": 3, "rectangle": 2, "circle": 2, "mask": 2, "line": 2, "linestrip": 2, "point": 1, "points": 1}
    if kind not in least:
        raise DataError(f"shape {quoted(kind)} covers no area that is known")
    points = points_of(shape["points"], least[kind])
    if kind == "mask":
        try:
            patch = png_mask(base64.b64decode(shape["mask"]))
        except binascii.Error as error:
            raise DataError("a mask that is not base64") from error
        return partial(placed, patch, round(points[0, 0]), round(points[0, 1]))
    if kind in ("line", "linestrip"):
        return partial(line, points, _LINE)
    if kind in ("point", "points"):
        return partial(_discs, points)
    if kind == "rectangle":
        points = box(*points[0], *points[1])
    elif kind == "circle":
        radius = math.dist(points[0], points[1])
        points = ellipse(points[0, 0], points[0, 1], radius, radius)
    return partial(polygon, [points])


def _discs(points: Points, height: int, width: int) -> Mask:
    mask: Mask = np.zeros((height, width), bool)
    for x, y in points:
        mask |= polygon([ellipse(x, y, _POINT, _POINT)], height, width)
    return mask
