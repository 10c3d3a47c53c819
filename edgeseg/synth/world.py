"""Where things stand: an endless town and country laid out by hashing, the same from wherever it is looked at.

Roads run on the lines of a jittered grid that is bent by two sine waves and turned; `blocks` fills the squares between
them. Every line and square draws from a generator of its own, seeded by the world's key and the square's position, so
a flight may look at any part in any order.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from edgeseg.synth import palette
from edgeseg.synth.blocks import BLOCKS, Area
from edgeseg.synth.builder import CARRIAGEWAY, MARKING, SHORE, WATER, Builder
from edgeseg.synth.builder import PAVEMENT as PAVEMENT_LAYER
from edgeseg.synth.camera import Points
from edgeseg.synth.layout import HALF_WIDTHS, PAVEMENT, Grid, RoadName
from edgeseg.synth.records import Scene

_SLOT = 19.0  # room for one vehicle in a lane, metres
_MARGIN = 9.0  # how far outside a region things may stand and still be seen or cast a shadow into it, metres


def scene_in(grid: Grid, region: Points, time: float = 0.0) -> Scene:
    """Builds everything in and around a region.

    Args:
        grid: The world's plan.
        region: (N, 2) points in world coordinates whose bounding box, in the grid's frame, is wanted.
        time: Seconds since the start; what moves has moved on by then.
    """
    builder = Builder(grid, time)
    inside = grid.unplace(region)
    low, high = inside.min(0) - _MARGIN, inside.max(0) + _MARGIN
    columns, rows = _lines(grid, 0, low[0], high[0]), _lines(grid, 1, low[1], high[1])
    roads = {(0, i): grid.road(0, i) for i in columns} | {(1, j): grid.road(1, j) for j in rows}
    at = {(0, i): grid.line(0, i) for i in columns} | {(1, j): grid.line(1, j) for j in rows}
    for i in columns[:-1]:
        for j in rows[:-1]:
            area = Area(
                x0=at[0, i] + _verge(roads[0, i]),
                y0=at[1, j] + _verge(roads[1, j]),
                x1=at[0, i + 1] - _verge(roads[0, i + 1]),
                y1=at[1, j + 1] - _verge(roads[1, j + 1]),
            )
            _fill(builder, i, j, area)
    if grid.river_row is not None and rows[0] <= grid.river_row < rows[-1]:
        _river(builder, at[0, columns[0]], at[0, columns[-1]])
    network = _Network(builder, roads, at, columns, rows)
    for axis, lines in ((0, columns), (1, rows)):
        for index in lines:
            network.road(axis, index)
    return builder.scene()


def _lines(grid: Grid, axis: int, low: float, high: float) -> list[int]:
    first, last = math.floor(low / grid.spacing[axis]) - 1, math.ceil(high / grid.spacing[axis]) + 1
    lines = list(range(first, last + 1))
    while len(lines) > 2 and grid.line(axis, lines[1]) < low:
        lines.pop(0)
    while len(lines) > 2 and grid.line(axis, lines[-2]) > high:
        lines.pop()
    return lines


def _verge(road: RoadName) -> float:
    return HALF_WIDTHS[road] + (PAVEMENT if road in ("street", "main") else 0.0)


def _fill(builder: Builder, i: int, j: int, area: Area) -> None:
    rng, name = builder.grid.rng(5, i, j), builder.grid.block(i, j)
    if builder.grid.river_row == j:
        name = "park" if name not in ("wood", "crops") else name
    BLOCKS[name](builder, rng, area)


def _river(builder: Builder, x0: float, x1: float) -> None:
    grid = builder.grid
    rng = grid.rng(6)
    water, shore = palette.water(rng), palette.bare(rng) if rng.random() < 0.6 else palette.lawn(rng, 0.9)
    x: Points = np.arange(math.floor(x0 / 4), math.ceil(x1 / 4) + 1).astype(np.float64) * 4
    middle = grid.river(x)
    for material, layer, extra in ((shore, SHORE, 1.3), (water, WATER, 0.0)):
        half = grid.river_width / 2 + extra + 0.35 * np.sin(x * 0.31 + layer) + 0.25 * np.sin(x * 0.83)
        outline = np.concatenate([np.stack([x, middle - half], axis=1), np.stack([x, middle + half], axis=1)[::-1]])
        builder.patch(outline, builder.material(material), layer)


class _Network:
    """Draws the roads of a region; owns the materials that they share."""

    def __init__(
        self,
        builder: Builder,
        roads: dict[tuple[int, int], RoadName],
        at: dict[tuple[int, int], float],
        columns: list[int],
        rows: list[int],
    ) -> None:
        rng = builder.grid.rng(7)
        self._builder, self._roads, self._at, self._lines = builder, roads, at, (columns, rows)
        self._asphalt = builder.material(palette.asphalt(rng))
        self._second = builder.material(palette.asphalt(rng))
        self._paving = builder.material(palette.paving(rng, 0.0))
        self._track = builder.material(palette.bare(rng))
        self._white = builder.material(palette.marking(rng))
        self._yellow = builder.material(palette.marking(rng, yellow=True))
        self._centre = self._yellow if rng.random() < 0.3 else self._white

    def road(self, axis: int, index: int) -> None:
        """Draws one line's road from end to end of the region, with its markings and traffic."""
        kind = self._roads[axis, index]
        if kind == "none":
            return
        other = self._lines[1 - axis]
        start, end = self._at[1 - axis, other[0]], self._at[1 - axis, other[-1]]
        half = HALF_WIDTHS[kind]
        surface = self._track if kind == "track" else self._asphalt if kind == "main" else self._second
        self._strip(axis, index, start, end, -half, half, surface, CARRIAGEWAY)
        for first, last in itertools.pairwise(other):
            self._stretch(axis, index, kind, first, last)
        if kind != "track":
            for side in (-1, 1):
                self._lane(axis, index, side, start, end, half)

    def _strip(
        self, axis: int, index: int, start: float, end: float, low: float, high: float, material: int, layer: int
    ) -> None:
        across = self._at[axis, index]
        if axis == 0:
            self._builder.rectangle(across + low, start, across + high, end, material, layer)
        else:
            self._builder.rectangle(start, across + low, end, across + high, material, layer)

    def _stretch(self, axis: int, index: int, kind: RoadName, first: int, last: int) -> None:
        """Draws what lies between two junctions."""
        rng = self._builder.grid.rng(8, axis, index, first)
        half = HALF_WIDTHS[kind]
        start = self._at[1 - axis, first] + HALF_WIDTHS[self._roads[1 - axis, first]]
        end = self._at[1 - axis, last] - HALF_WIDTHS[self._roads[1 - axis, last]]
        if kind == "track":
            self._parked(rng, axis, index, start, end, 0.0)
            return
        for side in (-1, 1):
            low, high = sorted((side * half, side * (half + PAVEMENT)))
            self._strip(axis, index, start, end, low, high, self._paving, PAVEMENT_LAYER)
        if kind == "main":
            self._markings(rng, axis, index, start, end, half)
        elif rng.random() < 0.6:
            self._dashes(axis, index, start + 3, end - 3, 0.0, 1.6, 2.4)
        self._parked(rng, axis, index, start + 8, end - 8, half)
        for _ in range(int(rng.poisson(2.4))):
            along, beside = float(rng.uniform(start, end)), float(rng.choice([-1, 1]))
            x, y = self._point(axis, index, along, beside * (half + PAVEMENT * float(rng.uniform(0.3, 0.8))))
            turn = math.pi / 2 if axis == 0 else 0.0
            self._builder.person(rng, x, y, angle=turn + (math.pi if rng.random() < 0.5 else 0.0))

    def _markings(self, rng: palette.Rng, axis: int, index: int, start: float, end: float, half: float) -> None:
        for side in (-1, 1):
            edge = side * (half - 0.35)
            self._strip(axis, index, start + 1, end - 1, edge - 0.07, edge + 0.07, self._white, MARKING)
        if rng.random() < 0.35:
            self._strip(axis, index, start + 4, end - 4, -0.08, 0.08, self._centre, MARKING)
        else:
            self._dashes(axis, index, start + 4, end - 4, 0.0, 3.0, 3.5)
        for crossing in (start + 0.8, end - 3.6):  # zebra crossings at the junctions
            if rng.random() < 0.6:
                for bar in np.arange(-half + 0.7, half - 0.7, 1.1):
                    self._strip(
                        axis, index, crossing, crossing + 2.8, float(bar), float(bar) + 0.55, self._white, MARKING
                    )

    def _dashes(
        self, axis: int, index: int, start: float, end: float, offset: float, length: float, gap: float
    ) -> None:
        for begin in np.arange(start, end - length, length + gap):
            self._strip(
                axis, index, float(begin), float(begin) + length, offset - 0.07, offset + 0.07, self._centre, MARKING
            )

    def _parked(self, rng: palette.Rng, axis: int, index: int, start: float, end: float, half: float) -> None:
        """Parks cars on both kerbs between two junctions; on a track, rarely, in the middle."""
        for side in (-1, 1) if half else (1,):
            along = start + float(rng.exponential(60 if half else 150))
            while along < end:
                x, y = self._point(axis, index, along, side * (half + 0.15 if half else 0.0))
                self._builder.vehicle(rng, x, y, self._direction(axis, side), lorries=0.05 if half else 0.4)
                along += 6 + float(rng.exponential(60 if half else 150))

    def _lane(self, axis: int, index: int, side: int, start: float, end: float, half: float) -> None:
        """Fills one lane with traffic that moves as a whole: what is at a place is hashed from place minus way gone."""
        grid = self._builder.grid
        speed = 4 + 4 * grid.chance(11, axis, index, side + 1)
        angle = self._direction(axis, side)
        sign = 1 if abs(angle - (math.pi / 2 if axis == 0 else 0.0)) < 1 else -1
        gone = sign * speed * self._builder.time
        for slot in range(math.floor((start - gone) / _SLOT), math.ceil((end - gone) / _SLOT)):
            if grid.chance(12, axis, index, side + 1, slot) > (0.6 if half > HALF_WIDTHS["street"] else 0.42):
                continue
            rng = grid.rng(13, axis, index, side + 1, slot)
            along = (slot + 0.5) * _SLOT + float(rng.uniform(-0.2, 0.2)) * _SLOT + gone
            x, y = self._point(axis, index, along, side * half / 2)
            self._builder.vehicle(rng, x, y, angle, moving=True)

    @staticmethod
    def _direction(axis: int, side: int) -> float:
        """Traffic keeps to the right: seen along +y the right-hand lane is at +x, seen along +x it is at -y."""
        forward = side > 0 if axis == 0 else side < 0
        return (math.pi / 2 if axis == 0 else 0.0) + (0.0 if forward else math.pi)

    def _point(self, axis: int, index: int, along: float, offset: float) -> tuple[float, float]:
        across = self._at[axis, index] + offset
        return (across, along) if axis == 0 else (along, across)
