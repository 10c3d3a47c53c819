"""From a file to a raster and to what writes its results: GeoTIFFs by rasterio, other images by OpenCV."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from edgeseg.card import InputSpec, LabelSet
from edgeseg.errors import MissingExtraError, UsageError
from edgeseg.image import IMAGE_SUFFIXES
from edgeseg.surveying.ground import Ground
from edgeseg.surveying.options import SurveyOptions
from edgeseg.surveying.raster import ImageRaster, Raster
from edgeseg.surveying.writing import WriteRows, image_writer

TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
GEO_SUFFIXES = TIFF_SUFFIXES | {".vrt", ".jp2", ".img"}
"""What rasterio reads, if it is there; without it a TIFF that says nothing of the ground is read as an image."""
SUFFIXES = IMAGE_SUFFIXES | GEO_SUFFIXES
_GEO_KEY_DIRECTORY = 34735  # OGC GeoTIFF 1.1, 7.1.1
"""The TIFF tag that every GeoTIFF has."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A raster, and what writes results for it.

    Attributes:
        raster: The image.
        is_geo: Whether rasterio reads and writes it.
    """

    raster: Raster
    is_geo: bool

    def label_file(self, name: str) -> str:
        """Returns what the label map is called."""
        return f"{name}_labels{'.tif' if self.is_geo else '.png'}"

    def overlay_file(self, name: str) -> str:
        """Returns what the overlay is called."""
        return f"{name}_overlay{'.tif' if self.is_geo else '.jpg'}"

    def label_writer(self, path: Path, labels: LabelSet) -> AbstractContextManager[WriteRows]:
        """Opens the label map for writing."""
        if self.is_geo:
            writer: AbstractContextManager[WriteRows] = geo_module("GeoTIFF").label_writer(path, self.raster, labels)
            return writer
        return image_writer(path, (self.raster.height, self.raster.width))

    def overlay_writer(self, path: Path) -> AbstractContextManager[WriteRows]:
        """Opens the overlay for writing."""
        if self.is_geo:
            writer: AbstractContextManager[WriteRows] = geo_module("GeoTIFF").overlay_writer(path, self.raster)
            return writer
        return image_writer(path, (self.raster.height, self.raster.width, 3))


@contextmanager
def opened(path: Path, spec: InputSpec, options: SurveyOptions) -> Iterator[Opened]:
    """Opens an image for a network's input.

    Raises:
        DataError: It cannot be read.
        UsageError: An option does not fit it.
        MissingExtraError: It needs rasterio, which is not installed.
    """
    if needs_rasterio(path):
        with geo_module(f"reading {path}").opened(path, spec, options) as raster:
            yield Opened(raster=raster, is_geo=True)
        return
    for name, given in (("bands", options.bands), ("range", options.value_range)):
        if given is not None:
            raise UsageError(f"--{name} is for GeoTIFFs: {path} is read as an image, leave it out")
    yield Opened(raster=ImageRaster(path, Ground(metres=options.gsd or 0.0)), is_geo=False)


def needs_rasterio(path: Path) -> bool:
    """Whether a file is for rasterio: where that is installed any GeoTIFF suffix, else what nothing else can read."""
    suffix = path.suffix.lower()
    if suffix not in GEO_SUFFIXES:
        return False
    return suffix not in TIFF_SUFFIXES or importlib.util.find_spec("rasterio") is not None or _is_geotiff(path)


def geo_module(purpose: str, name: str = "edgeseg.surveying.geotiff") -> Any:
    """Imports a module that stands on rasterio.

    Args:
        purpose: What needs it, for the message.
        name: The module.

    Raises:
        MissingExtraError: rasterio is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError("rasterio", "geo", purpose) from error


def _is_geotiff(path: Path) -> bool:
    """Whether a TIFF says where on the ground it lies, or is too large to be read as an image."""
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # Pillow's, of large images
            return _GEO_KEY_DIRECTORY in getattr(image, "tag_v2", {})
    except Image.DecompressionBombError:
        return True
    except OSError:
        return False  # whoever reads it will say so
