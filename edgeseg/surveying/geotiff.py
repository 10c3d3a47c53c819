"""GeoTIFFs, by rasterio: read row by row, written in tiles with the ground they lie on."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from edgeseg.arrays import Uint8
from edgeseg.card import InputSpec, LabelSet
from edgeseg.errors import DataError, OutputError, UsageError
from edgeseg.files import replacing
from edgeseg.surveying.ground import WGS84, Ground
from edgeseg.surveying.options import SurveyOptions
from edgeseg.surveying.raster import Raster, Valid
from edgeseg.surveying.writing import WriteRows

_LOG = logging.getLogger("edgeseg.surveying")
_CACHE = 128 << 20
"""Bytes of GDAL's block cache: a row of blocks of 512 x 512 of a mosaic 80,000 pixels wide."""
_BLOCK = 256
"""Side of the blocks that are written."""


class GeoRaster:
    """A raster that rasterio reads; see `Raster`.

    Args:
        dataset: What rasterio opened.
        spec: The network's input.
        options: What was asked of the survey.

    Raises:
        UsageError: The bands or their type do not fit the network, or an option does not fit the file.
    """

    def __init__(self, dataset: Any, spec: InputSpec, options: SurveyOptions) -> None:
        self._dataset, self._range = dataset, options.value_range
        self.height, self.width = dataset.height, dataset.width
        self._bands = _bands(dataset, spec, options.bands)
        self._turned = spec.order != "as_is"
        _check_values(dataset, self._bands, options.value_range)
        self._whole = all(MaskFlags.all_valid in flags for flags in dataset.mask_flag_enums)
        self.ground = _ground(dataset, options.gsd)

    def read(self, top: int, bottom: int) -> tuple[Uint8, Valid]:
        """See `Raster`."""
        window = Window(0, top, self.width, bottom - top)
        try:
            values = self._dataset.read(list(self._bands), window=window)
            valid = (
                np.ones(values.shape[1:], np.bool_) if self._whole else self._dataset.dataset_mask(window=window) > 0
            )
        except RasterioError as error:
            raise DataError(f"cannot read rows {top} to {bottom} of {self._dataset.name}: {_gist(error)}") from error
        if values.dtype.kind == "f":
            valid &= np.isfinite(values).all(0)
        if self._range is not None:
            low, high = self._range
            scaled = (np.nan_to_num(values.astype(np.float32)) - np.float32(low)) * np.float32(255 / (high - low))
            values = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
        if self._turned:
            values = values[::-1] if len(values) == 3 else np.repeat(values, 3, axis=0)
        return np.ascontiguousarray(np.moveaxis(values, 0, 2)), valid


@contextmanager
def opened(path: Path, spec: InputSpec, options: SurveyOptions) -> Iterator[GeoRaster]:
    """Opens a file for a network's input.

    Raises:
        DataError: It cannot be read.
        UsageError: An option does not fit it.
    """
    with warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=_CACHE):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            dataset = rasterio.open(path)
        except RasterioError as error:
            raise DataError(f"cannot read {path}: {_gist(error)}") from error
        with dataset:
            yield GeoRaster(dataset, spec, options)


@contextmanager
def label_writer(path: Path, raster: Raster, labels: LabelSet) -> Iterator[WriteRows]:
    """Yields what takes the rows of a label map: 8 bits, with a colour table and the classes' names.

    Raises:
        OutputError: It cannot be written.
    """
    form = {"count": 1, "photometric": "palette", "nodata": labels.ignore_index, "compress": "deflate"}
    with _writer(path, raster, form) as (dataset, write):
        colours = {index: (*color, 255) for index, color in enumerate(labels.colors)}
        dataset.write_colormap(1, colours)
        dataset.update_tags(1, **{f"CLASS_{index}": name for index, name in enumerate(labels.names)})
        yield write


@contextmanager
def overlay_writer(path: Path, raster: Raster) -> Iterator[WriteRows]:
    """Yields what takes the rows of an overlay, compressed as JPEG.

    Raises:
        OutputError: It cannot be written.
    """
    form = {"count": 3, "photometric": "ycbcr", "compress": "jpeg", "jpeg_quality": 85, "interleave": "pixel"}
    with _writer(path, raster, form) as (_, write):
        yield write


@contextmanager
def _writer(path: Path, raster: Raster, form: dict[str, Any]) -> Iterator[tuple[Any, WriteRows]]:
    """Opens a tiled file; only whole blocks are written, each once, so the same rows give the same bytes."""
    ground = raster.ground
    a, b, c, d, e, f = ground.transform
    place = {"transform": rasterio.Affine(a, b, c, d, e, f), "crs": ground.wkt or None}
    size = {"height": raster.height, "width": raster.width, "dtype": "uint8"}
    tiles = {"tiled": True, "blockxsize": _BLOCK, "blockysize": _BLOCK, "bigtiff": "if_safer"}
    pending = np.empty((0, raster.width, *((form["count"],) if form["count"] > 1 else ())), np.uint8)
    done = 0
    with replacing(path) as temporary, warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=_CACHE):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(temporary, "w", driver="GTiff", **size, **place, **tiles, **form) as dataset:

                def write(rows: Uint8) -> None:
                    nonlocal pending, done
                    pending = np.concatenate([pending, rows])
                    last = done + len(pending) == raster.height
                    count = len(pending) if last else len(pending) // _BLOCK * _BLOCK
                    if count:
                        bands = (
                            pending[None, :count] if pending.ndim == 2 else np.moveaxis(pending[:count, :, ::-1], 2, 0)
                        )
                        dataset.write(bands, window=Window(0, done, raster.width, count))
                        pending, done = pending[count:], done + count

                yield dataset, write
        except RasterioError as error:
            raise OutputError(f"cannot write {path}: {_gist(error)}") from error


def _bands(dataset: Any, spec: InputSpec, asked: tuple[int, ...] | None) -> tuple[int, ...]:
    if ColorInterp.palette in dataset.colorinterp:
        raise UsageError(f"{dataset.name} has a colour table: gdal_translate -expand rgb makes an image of it")
    count = spec.channels if spec.order == "as_is" else 3 if dataset.count >= 3 else 1
    bands = asked or tuple(range(1, count + 1))
    fits = len(bands) == spec.channels if spec.order == "as_is" else len(bands) in (1, 3)
    if not fits or max(bands) > dataset.count:
        wanted = f"{spec.channels}" if spec.order == "as_is" else "1 or 3"
        raise UsageError(
            f"{dataset.name} has {dataset.count} bands, {', '.join(map(str, bands))} asked for: "
            f"expected {wanted} of them, such as --bands 1,2,3"
        )
    return bands


def _check_values(dataset: Any, bands: tuple[int, ...], value_range: tuple[float, float] | None) -> None:
    kinds = {dataset.dtypes[band - 1] for band in bands}
    if value_range is None and kinds != {"uint8"}:
        raise UsageError(
            f"{dataset.name} holds {', '.join(sorted(kinds))}: say what becomes 0 and 255, such as --range 0,3000"
        )


def _ground(dataset: Any, gsd: float | None) -> Ground:
    a, b, c, d, e, f = tuple(dataset.transform)[:6]
    crs = dataset.crs
    if dataset.gcps[0]:
        _LOG.info("%s is placed by control points, which its label map will not have: gdalwarp it first", dataset.name)
    place: dict[str, Any] = {"transform": (a, b, c, d, e, f), "wkt": crs.to_wkt() if crs else ""}
    measured = crs is not None and (crs.is_geographic or crs.is_projected)
    if measured and gsd is not None:
        raise UsageError(f"{dataset.name} has a coordinate system, which says how large a pixel is: leave out --gsd")
    if not measured:
        return Ground(**place, metres=gsd / abs(a * e - b * d) ** 0.5 if gsd else 0.0)
    if crs.to_epsg() == 3857:  # its plane is not the ground: at 48 degrees north areas are 2.2 times as large
        return Ground(**place, radians=1 / WGS84[0], is_mercator=True)
    if crs.is_projected:
        return Ground(**place, metres=crs.linear_units_factor[1])
    found = re.search(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",\s*([0-9.]+),\s*([0-9.]+)', place["wkt"])
    ellipsoid = (float(found[1]), float(found[2])) if found else WGS84
    return Ground(**place, radians=crs.units_factor[1], ellipsoid=ellipsoid)


def _gist(error: Exception) -> str:
    return " ".join(str(error).split())
