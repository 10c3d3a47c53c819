"""Sun and sky: what colours get from them, in the sun, in the shade, and on a slope."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgeseg.synth.palette import Rng
from edgeseg.synth.records import Colour


@dataclass(frozen=True, kw_only=True)
class Light:
    """The light of one image.

    Attributes:
        sun: Unit vector towards the sun.
        direct: Share of the sun in the light on open ground; the rest comes from the sky.
        tint: Factor of each channel, blue-green-red: exposure and colour temperature.
        sky: The sky's colour, for reflections and haze.
        haze: Share of the sky's colour at 100 m distance.
        cloud: Strength of clouds' shadows on the ground, 0-1.
    """

    sun: tuple[float, float, float]
    direct: float
    tint: Colour
    sky: Colour
    haze: float
    cloud: float

    @classmethod
    def draw(cls, rng: Rng) -> Light:
        """Draws a day: mostly sun, high or low, sometimes overcast."""
        overcast = rng.random() < 0.25
        elevation, azimuth = float(rng.uniform(24, 68)), float(rng.uniform(0, math.tau))
        low = max(0.0, (45 - elevation) / 21)
        exposure, warmth = (
            float(rng.normal(1.1, 0.14)),
            float(rng.normal(0.03, 0.05)) + (0 if overcast else 0.07 * low),
        )
        level = float(np.clip(exposure, 0.7, 1.35)) * (0.92 if overcast else 1.08)
        flat, tilt = math.cos(math.radians(elevation)), math.sin(math.radians(elevation))
        return cls(
            sun=(flat * math.cos(azimuth), flat * math.sin(azimuth), tilt),
            direct=float(rng.uniform(0.06, 0.22)) if overcast else float(rng.uniform(0.5, 0.68)),
            tint=(level * (1 - warmth), level, level * (1 + warmth)),
            sky=(215.0, 205.0, 195.0) if overcast else (225.0, 200.0, 175.0),
            haze=float(rng.beta(1.3, 5)) * 0.55,
            cloud=0.0 if overcast or rng.random() < 0.6 else float(rng.uniform(0.15, 0.4)),
        )

    @property
    def shade(self) -> Colour:
        """Factor of each channel in the shade: less light, and bluer."""
        left = 1 - self.direct
        return min(1.0, left * 1.12), left, left * 0.93

    def on(self, normal: tuple[float, float, float]) -> Colour:
        """Returns the factor of each channel on a face with that unit normal, compared with open ground."""
        facing = max(0.0, sum(n * s for n, s in zip(normal, self.sun, strict=True))) / self.sun[2]
        sky = 0.62 + 0.38 * max(0.0, normal[2])
        lit = min(1.35, self.direct * facing)
        blue, green, red = self.shade
        return blue * sky + lit, green * sky + lit, red * sky + lit
