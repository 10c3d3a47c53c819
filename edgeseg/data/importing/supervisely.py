"""Supervisely: `meta.json`, and folders with `img/` and `ann/`; bitmaps with an origin, polygons with interiors.

https://developer.supervisely.com/getting-started/supervisely-annotation-format. Objects are painted in the order of the
file, the later on top. Whole coordinates number pixels, as its SDK draws them (edge included, interiors cut out);
fractions, of its labelling tool, count from the image's corner.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgeseg.data.importing.finding import files_in, json_kind
from edgeseg.data.importing.records import Colour, Mask, Names, Region, Sample, Source, Tally, painter
from edgeseg.data.importing.shapes import Points, box, placed, png_mask, points_of, polygon
from edgeseg.data.split_names import split_named
from edgeseg.errors import DataError, quoted
from edgeseg.files import read_json
from edgeseg.image import IMAGE_SUFFIXES

NAME = "supervisely"
TITLE = "Supervisely (meta.json, <dataset>/img and <dataset>/ann)"
_META = "meta.json"
_MOST = 1 << 28
"""Bytes that a bitmap may unpack to."""


def matches(root: Path) -> bool:
    """Whether `root` holds this format."""
    return (root / _META).is_file() and json_kind(root / _META) == "supervisely" and any(root.rglob("ann"))


def read(root: Path) -> Source:
    """Reads a project."""
    tally, names, colours, samples = Tally(), Names(), dict[str, Colour](), list[Sample]()
    if not matches(root):
        raise DataError(f"no Supervisely project in {root}: expected {_META} and folders with img and ann")
    for entry in read_json(root / _META, "the project's classes")["classes"]:
        names.index(entry["title"])
        text = str(entry.get("color", "")).removeprefix("#")
        if len(text) == 6:
            colours[entry["title"]] = (int(text[:2], 16), int(text[2:4], 16), int(text[4:], 16))
    for path in files_in(root, frozenset({".json"})):
        if path.parent.name != "ann":
            continue
        image = _image_of(path)
        if image is None:
            tally.add("image", "annotated, but not in img", path.name)
            continue
        content = read_json(path, "annotations")
        regions = list[Region]()
        for thing in content.get("objects", []):
            try:
                mask = _mask_of(thing)
                regions.append(Region(index=names.index(thing["classTitle"]), mask=mask))
            except (KeyError, TypeError) as error:
                tally.add("annotation", f"it has no {error}", image.name)
            except DataError as error:
                tally.add("annotation", str(error), image.name)
        size = content.get("size") or {}
        draw = painter(regions, (size["height"], size["width"]) if {"height", "width"} <= size.keys() else None)
        samples.append(Sample(image=image, split=split_named(path.parent.parent.name), draw=draw))
    return Source(
        names=names.tuple(), samples=tuple(samples), tally=tally, sparse=True, colours=colours,
        overlap="as the file orders them, the later on top",
    )  # fmt: skip


def _image_of(path: Path) -> Path | None:
    """Returns the image of `ann/a.jpg.json`, or of older projects' `ann/a.json`."""
    folder = path.parent.parent / "img"
    if (folder / path.stem).is_file() and Path(path.stem).suffix.lower() in IMAGE_SUFFIXES:
        return folder / path.stem
    return next((p for p in sorted(folder.glob(f"{path.stem}.*")) if p.suffix.lower() in IMAGE_SUFFIXES), None)


def _mask_of(thing: dict[str, Any]) -> Callable[[int, int], Mask]:
    kind = thing.get("geometryType") or ("bitmap" if thing.get("bitmap") else "polygon")
    if kind == "bitmap":
        try:
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(base64.b64decode(thing["bitmap"]["data"]), _MOST)
        except (binascii.Error, zlib.error) as error:
            raise DataError("a bitmap that is no zipped base64") from error
        x, y = (int(n) for n in thing["bitmap"]["origin"])
        return partial(placed, png_mask(data), x, y)
    if kind == "rectangle":
        points = points_of(thing["points"]["exterior"], 2)
        low, high = points.min(axis=0), points.max(axis=0)
        return partial(polygon, [box(*low, *(high + (_whole([points]))))])
    if kind == "polygon":
        exterior = points_of(thing["points"]["exterior"], 3)
        interior = [points_of(ring, 3) for ring in thing["points"].get("interior") or []]
        return partial(_filled if _whole([exterior, *interior]) else _exact, exterior, interior)
    raise DataError(f"a {quoted(kind)} covers no area that is known")


def _whole(rings: list[Points]) -> bool:
    return all(bool((ring == np.floor(ring)).all()) for ring in rings)


def _exact(exterior: Points, interior: list[Points], height: int, width: int) -> Mask:
    return polygon([exterior, *interior], height, width)


def _filled(exterior: Points, interior: list[Points], height: int, width: int) -> Mask:
    mask = np.zeros((height, width), np.uint8)
    for value, rings in ((1, [exterior]), (0, interior)):
        for ring in rings:
            cv2.fillPoly(mask, [np.clip(ring, -30_000, 30_000).astype(np.int32)], value)
    return mask.astype(bool)
