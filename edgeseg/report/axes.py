"""Scales of the drawings: from values to pixels, with round values to mark."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A scale from values to pixels, linear or logarithmic.

    Attributes:
        low: The value at `start`.
        high: The value at `end`.
        start: Pixels.
        end: Pixels.
        ticks: Values to mark.
        logarithmic: Whether equal steps are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Returns where a value lies, in pixels."""
        scaled = math.log if self.logarithmic else float
        low, high = scaled(self.low), scaled(self.high)
        return self.start + (scaled(value) - low) / (high - low) * (self.end - self.start)

    def marked(self) -> list[Tick]:
        """Returns the marks."""
        return [Tick(at=round(self.at(tick), 1), text=number(tick)) for tick in self.ticks]


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark: where, in pixels, and what it says."""

    at: float
    text: str


def ticks(low: float, high: float) -> tuple[float, ...]:
    """Returns about five round values from low to high."""
    raw = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= raw)
    first = math.ceil(low / step - 1e-9)
    return tuple(i * step for i in range(first, math.floor(high / step + 1e-9) + 1))


def number(value: float) -> str:
    """0.30000000000000004 -> "0.3"."""
    return f"{value:.10g}"
