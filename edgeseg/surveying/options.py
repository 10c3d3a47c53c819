"""What is asked of a survey."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeseg.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class SurveyOptions:
    """How images are surveyed, and what is written of each.

    Attributes:
        overlap: Share of a tile that its neighbour sees, too, 0 to 0.5.
        scale: Pixels of the image that the network sees as one; rounded to what its output's grid allows.
        resolution: Metres that the network sees as one pixel, in place of `scale`.
        gsd: Metres that a pixel measures, of images without a coordinate system.
        bands: Bands of a GeoTIFF, from 1: red, green, blue, or one, or as many as the network takes; its first if None.
        value_range: The values of a GeoTIFF that become 0 and 255; needed where they are no bytes.
        overlay: Write the classes' colours over the image.
        polygons: Write the regions' outlines as GeoJSON.
        min_area: Leave out polygons below so many square metres, or pixels where metres are not known.
    """

    overlap: float = 0.25
    scale: float = 1.0
    resolution: float | None = None
    gsd: float | None = None
    bands: tuple[int, ...] | None = None
    value_range: tuple[float, float] | None = None
    overlay: bool = False
    polygons: bool = False
    min_area: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 0.5:
            raise UsageError(f"overlap {self.overlap}: expected a share of a tile, 0 to 0.5")
        for name in ("scale", "resolution", "gsd"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} {value}: expected a number above 0")
        if self.resolution is not None and self.scale != 1.0:
            raise UsageError("scale and resolution: give one, they say the same in pixels and in metres")
        if self.bands is not None and (not self.bands or min(self.bands) < 1):
            raise UsageError(f"bands {self.bands}: expected numbers from 1, such as 1,2,3")
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise UsageError(f"range {self.value_range}: expected the lower value first, such as 0,3000")
        if not self.min_area >= 0:
            raise UsageError(f"min_area {self.min_area}: expected 0 or more")
        if self.min_area and not self.polygons:
            raise UsageError("min_area without polygons: it says which of them to leave out")
