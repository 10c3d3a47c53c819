"""The outlines of a label map's regions as GeoJSON (RFC 7946), by rasterio."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
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
_AT_ONCE = 1000  # polygons brought to longitude and latitude by one call
_CACHE = 128 << 20

Ring = tuple[Floats, Floats]


def write_polygons(path: Path, label_map: Path, labels: LabelSet, ground: Ground, min_area: float) -> int:
    """Writes a label map's regions, connected by their sides, in the order in which they end, from the top.

    Longitude and latitude where there is a coordinate system, else columns and rows. Each has its class, and its area
    in square metres, in pixels where metres are not known. The outlines of one picture are held in memory.

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
        for feature in _features(label_map, labels, ground, min_area):
            file.write(",\n" if count else "\n")
            file.write(json.dumps(feature))
            count += 1
        file.write("\n]}\n")
    return count


def _features(label_map: Path, labels: LabelSet, ground: Ground, min_area: float) -> Iterator[dict[str, Any]]:
    found = _polygons(label_map, labels, ground, min_area)
    unit = "square_metres" if ground.is_measured else "pixels"
    while some := list(itertools.islice(found, _AT_ONCE)):
        placed = _placed([ring for _, _, rings in some for ring in rings], ground)
        for class_id, area, rings in some:
            yield {
                "type": "Feature",
                "properties": {"class": labels.names[class_id], "id": class_id, unit: round(area, 4)},
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [_closed(next(placed), hole=index > 0) for index in range(len(rings))],
                },
            }


def _polygons(
    label_map: Path, labels: LabelSet, ground: Ground, min_area: float
) -> Iterator[tuple[int, float, list[Ring]]]:
    """Yields class, area and rings, in the map's own coordinates, of each region that is large enough."""
    with rasterio.Env(GDAL_CACHEMAX=_CACHE):
        for shape, value in _shapes(label_map, ground):
            if value >= labels.num_classes:
                continue
            rings = [(ring[:, 0], ring[:, 1]) for ring in map(np.array, shape["coordinates"])]
            outer, *holes = [abs(ground.ring_area(*ring)) for ring in rings]
            area = outer - sum(holes)
            if area >= min_area:
                yield int(value), area, rings


def _shapes(label_map: Path, ground: Ground) -> Iterator[tuple[dict[str, Any], float]]:
    affine = rasterio.Affine(*ground.transform)
    if label_map.suffix == ".tif":
        with rasterio.open(label_map) as dataset:
            yield from shapes(rasterio.band(dataset, 1), transform=affine)
    else:
        yield from shapes(read_label_map(label_map), transform=affine)


def _placed(rings: list[Ring], ground: Ground) -> Iterator[Ring]:
    """Brings rings to longitude and latitude, where there is a coordinate system."""
    if not ground.wkt:
        yield from rings
        return
    x, y = (np.concatenate([ring[axis] for ring in rings]) for axis in (0, 1))
    longitude, latitude = transform(ground.wkt, _LONGITUDE_LATITUDE, x, y)
    ends = np.cumsum([len(ring[0]) for ring in rings])[:-1]
    yield from zip(np.split(np.array(longitude), ends), np.split(np.array(latitude), ends), strict=True)


def _closed(ring: Ring, *, hole: bool) -> list[list[float]]:
    """Returns a ring's positions, to a millimetre, the outer ones counterclockwise as RFC 7946 asks."""
    x, y = ring
    left = float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) > 0
    points = np.round(np.stack([x, y], axis=1), 8)
    return (points if left != hole else points[::-1]).tolist()  # type: ignore[no-any-return]
