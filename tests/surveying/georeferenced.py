"""Little GeoTIFFs for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

from edgeseg.arrays import Uint8

UTM = "EPSG:32632"
PIXEL = 0.08
"""Metres."""


def write_geotiff(
    path: Path, image: Uint8, *, crs: str | None = UTM, corner: tuple[float, float] = (500000.0, 5300000.0),
    pixel: float = PIXEL, **more: Any,
) -> Path:  # fmt: skip
    """Writes an image, (H, W, 3) blue-green-red or (bands, H, W) of any type, as a GeoTIFF with square pixels."""
    bands = np.moveaxis(image[:, :, ::-1], 2, 0) if image.shape[2:] == (3,) else image
    place = {"crs": crs, "transform": from_origin(*corner, pixel, pixel)} if crs else {}
    form = {"driver": "GTiff", "count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
    with rasterio.open(path, "w", dtype=bands.dtype, **form, **place, **more) as dataset:
        dataset.write(bands)
    return path
