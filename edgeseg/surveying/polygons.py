"""The outlines of a label map's regions as GeoJSON (RFC 7946), by rasterio."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.features import shapes
from rasterio.warp import transform

from edgeseg.card import LabelSet
from edgeseg.files import replacing
from edgeseg.image import read_label_map
from edgeseg.surveying.ground import Floats, Ground

_LONGITUDE_LATITUDE = "OGC:CRS84"
_AT_ONCE = 1 << 16  # positions that are Python's numbers at a time, each a hundred bytes
_CACHE = 128 << 20


def write_polygons(path: Path, label_map: Path, labels: LabelSet, ground: Ground, min_area: float) -> int:
    """Writes a label map's regions, connected by their sides, in the order in which they end, from the top.

    Longitude and latitude where there is a coordinate system, else columns and rows. Each has its class, and its area
    in square metres, in pixels where metres are not known. The outlines of one image are held in memory.

    Args:
        path: The GeoJSON file.
        label_map: A label map's file.
        labels: Its classes.
        ground: Where it lies.
        min_area: Leaves out what is smaller, in square metres or pixels.

    Returns:
        How many were written.

    Raises:
        OutputError: It cannot be written.
    """
    count = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for region in _placed(_regions(label_map, labels, ground, min_area), ground):
            file.write(",\n" if count else "\n")
            for text in _feature(region, labels, ground):
                file.write(text)
            count += 1
        file.write("\n]}\n")
    return count


@dataclass(frozen=True, kw_only=True, eq=False)
class _Region:
    """Connected pixels of a class: their area, and rings of x and y, (positions, 2), the outer one first."""

    class_id: int
    area: float
    rings: tuple[Floats, ...]


def _feature(region: _Region, labels: LabelSet, ground: Ground) -> Iterator[str]:
    """Yields the text of a region's feature, piece by piece."""
    unit = "square_metres" if ground.is_measured else "pixels"
    properties = {"class": labels.names[region.class_id], "id": region.class_id, unit: round(region.area, 4)}
    yield f'{{"type": "Feature", "properties": {json.dumps(properties)}, '
    yield '"geometry": {"type": "Polygon", "coordinates": ['
    for index, ring in enumerate(region.rings):
        yield ", [" if index else "["
        points = _turned(ring, hole=index > 0)
        for begin in range(0, len(points), _AT_ONCE):
            yield (", " if begin else "") + json.dumps(points[begin : begin + _AT_ONCE].tolist())[1:-1]
        yield "]"
    yield "]}}"


def _regions(label_map: Path, labels: LabelSet, ground: Ground, min_area: float) -> Iterator[_Region]:
    """Yields each region that is large enough, in the map's own coordinates."""
    with rasterio.Env(GDAL_CACHEMAX=_CACHE):
        for class_id, rings in map(_as_arrays, _shapes(label_map, ground)):
            if class_id < labels.num_classes:
                outer, *holes = [abs(ground.ring_area(ring[:, 0], ring[:, 1])) for ring in rings]
                area = outer - sum(holes)
                if area >= min_area:
                    yield _Region(class_id=class_id, area=area, rings=rings)


def _shapes(label_map: Path, ground: Ground) -> Iterator[tuple[dict[str, Any], float]]:
    affine = rasterio.Affine(*ground.transform)
    if label_map.suffix == ".tif":
        with rasterio.open(label_map) as dataset:
            yield from shapes(rasterio.band(dataset, 1), transform=affine)
    else:
        yield from shapes(read_label_map(label_map), transform=affine)


def _as_arrays(found: tuple[dict[str, Any], float]) -> tuple[int, tuple[Floats, ...]]:
    """Lets go of Python's numbers, ten times as large as an array's."""
    shape, value = found
    return int(value), tuple(np.array(ring, np.float64) for ring in shape["coordinates"])


def _placed(regions: Iterator[_Region], ground: Ground) -> Iterator[_Region]:
    """Brings regions to longitude and latitude, where there is a coordinate system: many by one call."""
    if not ground.wkt:
        yield from regions
        return
    waiting: list[_Region] = []
    positions = 0
    for region in regions:
        waiting.append(region)
        positions += sum(map(len, region.rings))
        if positions >= _AT_ONCE:
            yield from _all_placed(waiting, ground)
            waiting, positions = [], 0
    yield from _all_placed(waiting, ground)


def _all_placed(regions: list[_Region], ground: Ground) -> Iterator[_Region]:
    if not regions:
        return
    points = np.concatenate([ring for region in regions for ring in region.rings])
    for begin in range(0, len(points), _AT_ONCE):
        part = points[begin : begin + _AT_ONCE]
        part[:] = np.transpose(transform(ground.wkt, _LONGITUDE_LATITUDE, part[:, 0], part[:, 1]))
    ends = np.cumsum([len(ring) for region in regions for ring in region.rings])[:-1]
    rings = iter(np.split(points, ends))
    for region in regions:
        yield replace(region, rings=tuple(itertools.islice(rings, len(region.rings))))


def _turned(ring: Floats, *, hole: bool) -> Floats:
    """Returns a ring's positions, to a millimetre, the outer ones counterclockwise as RFC 7946 asks."""
    x, y = ring.T
    left = float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) > 0
    points: Floats = np.round(ring, 8)
    return points if left != hole else points[::-1]
