"""The plan of a world: its grid of roads, its bends, its river and its taste in blocks."""

from __future__ import annotations

import bisect
import itertools
import math
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from edgeseg.synth.camera import Points
from edgeseg.synth.palette import Rng

RoadName = Literal["none", "track", "street", "main"]
BlockName = Literal["homes", "halls", "crops", "park", "wood", "site", "pitch"]

HALF_WIDTHS: dict[RoadName, float] = {"none": 0.0, "track": 1.7, "street": 3.0, "main": 4.4}
"""Half of each road's carriageway, metres."""
PAVEMENT = 1.9
"""Width of the pavement beside streets and main roads, metres."""

_STYLES: tuple[tuple[dict[BlockName, float], dict[RoadName, float], float], ...] = (
    # shares of blocks; shares of roads; chance of a river
    ({"homes": 6, "park": 1.5, "halls": 0.6, "pitch": 0.4, "site": 0.5}, {"street": 6, "main": 2, "none": 1}, 0.35),
    ({"halls": 4, "homes": 2, "park": 1.5, "site": 1.5}, {"main": 5, "street": 4}, 0.35),
    ({"crops": 5, "wood": 2, "park": 1, "homes": 2, "site": 1}, {"track": 4, "street": 3, "main": 2, "none": 3}, 0.5),
    ({"park": 4, "wood": 2, "homes": 2, "pitch": 1, "crops": 1}, {"street": 4, "track": 2, "main": 2, "none": 2}, 0.8),
)
_MASK = 2**64 - 1
Name = TypeVar("Name", bound=str)


def _share(shares: dict[Name, float], chance: float) -> Name:
    """Returns the name at `chance` when the names lie side by side on [0, 1), as wide as their shares."""
    ends = list(itertools.accumulate(shares.values()))
    return list(shares)[bisect.bisect_right(ends, chance * ends[-1], hi=len(ends) - 1)]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The plan of one world.

    Attributes:
        key: Seeds every draw in this world.
        style: Which mix of blocks and roads.
        spacing: Mean distance of the grid's lines in x and y, metres.
        turn: Rotation of the whole grid, radians.
        bend: Amplitude, wave number and phase of the sine that bends the lines, for x and for y.
        river_row: The row of blocks that a river runs through; None if there is none.
        river_width: Metres.
        season: 0 spring, 1 late summer.
        dryness: 0 lush, 1 parched.
    """

    key: tuple[int, ...]
    style: int
    spacing: tuple[float, float]
    turn: float
    bend: tuple[tuple[float, float, float], tuple[float, float, float]]
    river_row: int | None
    river_width: float
    season: float
    dryness: float

    @classmethod
    def draw(cls, key: tuple[int, ...]) -> Grid:
        """Draws the plan of the world of `key`."""
        rng = np.random.default_rng([*key, 1])
        style = int(rng.choice(len(_STYLES), p=(0.35, 0.2, 0.23, 0.22)))
        bend = [(rng.uniform(0, 6), math.tau / rng.uniform(130, 220), rng.uniform(0, math.tau)) for _ in range(2)]
        return cls(
            key=key,
            style=style,
            spacing=(float(rng.uniform(48, 64)), float(rng.uniform(48, 64))),
            turn=float(rng.uniform(0, math.tau)),
            bend=(bend[0], bend[1]),
            river_row=int(rng.integers(-1, 1)) if rng.random() < _STYLES[style][2] else None,
            river_width=float(rng.uniform(9, 17)),
            season=float(rng.random()),
            dryness=float(rng.beta(1.5, 2.5)),
        )

    def rng(self, *where: int) -> Rng:
        """Returns the generator of one place; what is at `where` depends on nothing else."""
        return np.random.default_rng([*self.key, *(w % 2**32 for w in where)])

    def chance(self, *where: int) -> float:
        """Returns a number in [0, 1) that depends on the place alone; far quicker than a generator."""
        mixed = 0
        for value in (*self.key, *where):
            mixed = (mixed + value + 0x9E3779B97F4A7C15) & _MASK  # splitmix64, Steele et al., OOPSLA 2014
            mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
            mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
            mixed ^= mixed >> 31
        return mixed / 2**64

    def line(self, axis: int, index: int) -> float:
        """Where grid line `index` across `axis` (0: x, 1: y) stands, metres."""
        return self.spacing[axis] * (index + 0.24 * (self.chance(2, axis, index) - 0.5))

    def road(self, axis: int, index: int) -> RoadName:
        """Which road runs along that line."""
        return _share(_STYLES[self.style][1], self.chance(3, axis, index))

    def block(self, i: int, j: int) -> BlockName:
        """What fills the square between lines (i, i + 1) and (j, j + 1)."""
        return _share(_STYLES[self.style][0], self.chance(4, i, j))

    def river(self, x: Points) -> Points:
        """The river's middle line: y for each x of the grid's frame. Only where there is a river."""
        row = self.river_row or 0
        low, high = self.line(1, row), self.line(1, row + 1)
        swing = max(0.0, (high - low) / 2 - self.river_width / 2 - 9)
        middle: Points = (low + high) / 2 + swing * np.sin(x * (math.tau / 170) + self.bend[0][2])
        return middle

    def place(self, points: Points) -> Points:
        """Turns points (N, 2) of the grid's frame into world coordinates."""
        (a, k, p), (b, m, q) = self.bend
        x = points[:, 0] + a * np.sin(k * points[:, 1] + p)
        y = points[:, 1] + b * np.sin(m * points[:, 0] + q)
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        return np.stack([cos * x - sin * y, sin * x + cos * y], axis=1)

    def unplace(self, points: Points) -> Points:
        """Turns world coordinates (N, 2) into the grid's frame, to within the bends' amplitude."""
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        x, y = cos * points[:, 0] + sin * points[:, 1], -sin * points[:, 0] + cos * points[:, 1]
        (a, k, p), (b, m, q) = self.bend
        return np.stack([x - a * np.sin(k * y + p), y - b * np.sin(m * x + q)], axis=1)

    def headings(self, points: Points, angles: Points) -> Points:
        """Turns directions (N,) at points (N, 2) of the grid's frame into ones of the world, radians."""
        step = 0.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        moved = self.place(points + step) - self.place(points)
        turned: Points = np.arctan2(moved[:, 1], moved[:, 0])
        return turned
