"""Where an image lies on the ground, and how large its pixels are there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WGS84 = (6378137.0, 298.257223563)
"""Semi-major axis, metres, and inverse flattening (National Geospatial-Intelligence Agency, NGA.STND.0036)."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The map that an image is.

    Attributes:
        transform: (a, b, c, d, e, f): a point of `column` and `row` is at x = a column + b row + c,
            y = d column + e row + f.
        metres: Metres of a unit of x and y; 0 if that is unknown.
        radians: Radians of longitude in a unit of x where areas are measured on the ellipsoid; else 0.
        is_mercator: Whether y is that of Web Mercator (EPSG:3857), not latitude, where `radians` is given.
        ellipsoid: Semi-major axis in metres and inverse flattening (0 for a sphere), where `radians` is given.
        wkt: The coordinate reference system; "" if there is none.
    """

    transform: tuple[float, float, float, float, float, float] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    metres: float = 0.0
    radians: float = 0.0
    is_mercator: bool = False
    ellipsoid: tuple[float, float] = WGS84
    wkt: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether areas are known."""
        return bool(self.metres or self.radians)

    @property
    def how(self) -> str:
        """How areas are measured, in words."""
        if self.radians:
            return "on the ellipsoid, for each row of pixels"
        if self.metres:
            return "in the plane of the map" if self.wkt else "from the size of a pixel that was given"
        return "not measured: neither a coordinate system nor the size of a pixel is known"

    @property
    def origin(self) -> tuple[int, int]:
        """(row, column) of the upper left corner in pixels from the origin of x and y; 0 where the map is turned."""
        a, b, c, d, e, f = self.transform
        if b or d or not self.wkt:
            return 0, 0
        # A quarter: corners lie on whole or on half pixels, and must not fall to either side by rounding.
        return math.floor(f / e + 0.25), math.floor(c / a + 0.25)

    def resolution(self, height: int) -> float:
        """Returns metres from pixel to pixel, down and across in the geometric mean, in the middle of `height` rows.

        Returns:
            0 if it is not known.
        """
        return math.sqrt(self.pixel_areas(height)[height // 2]) if self.is_measured else 0.0

    def pixel_areas(self, height: int) -> Floats:
        """Returns (height,) the square metres of a pixel in each row; where a map is turned, of its first pixel."""
        a, b, _, d, e, f = self.transform
        middle: Floats = f + 0.5 * d + e * (np.arange(height, dtype=np.float64) + 0.5)
        half = (abs(d) + abs(e)) / 2
        areas: Floats = abs(a * e - b * d) * (self.zone(middle + half) - self.zone(middle - half)) / (2 * half)
        return areas

    def ring_area(self, x: Floats, y: Floats) -> float:
        """Returns the square metres inside a closed ring; positive where it turns to the left with y upwards."""
        zone = self.zone(y)
        return -float(np.sum((zone[1:] + zone[:-1]) / 2 * np.diff(x)))

    def zone(self, y: Floats) -> Floats:
        """Returns the square metres from y = 0 to each y, for a width of one unit of x.

        On an ellipsoid that is the area between equator and parallel: Snyder, "Map projections: a working manual"
        (1987), equation 3-12, times a^2 / 2.
        """
        if not self.radians:
            return y * (self.metres or 1.0) ** 2
        major, inverse = self.ellipsoid
        flat = 1 / inverse if inverse else 0.0
        eccentric = math.sqrt(flat * (2 - flat))
        latitude = y * self.radians
        sine = np.tanh(latitude) if self.is_mercator else np.sin(latitude)
        second = np.arctanh(eccentric * sine) / eccentric if eccentric else sine
        half: Floats = (1 - eccentric**2) / 2 * (sine / (1 - (eccentric * sine) ** 2) + second)
        return half * major**2 * self.radians
