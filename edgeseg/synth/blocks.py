"""Fills the squares between the roads: homes with gardens, halls with car parks, crops, parks, woods and the like."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edgeseg.synth import palette
from edgeseg.synth.builder import BASE, DETAIL, Builder
from edgeseg.synth.builder import WATER as WATER_LAYER
from edgeseg.synth.layout import BlockName
from edgeseg.synth.palette import Rng
from edgeseg.synth.records import ROAD, TreeName


@dataclass(frozen=True, kw_only=True)
class Area:
    """The rectangle to fill, in the grid's frame, metres."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def spot(self, rng: Rng, margin: float = 1.0) -> tuple[float, float]:
        """Draws a point at least `margin` inside."""
        return float(rng.uniform(self.x0 + margin, self.x1 - margin)), float(
            rng.uniform(self.y0 + margin, self.y1 - margin)
        )

    def shrunk(self, by: float) -> Area:
        """The same with a border taken away."""
        return Area(x0=self.x0 + by, y0=self.y0 + by, x1=self.x1 - by, y1=self.y1 - by)


def _base(builder: Builder, area: Area, material: int) -> None:
    builder.rectangle(area.x0, area.y0, area.x1, area.y1, material, BASE)


def _trees(builder: Builder, rng: Rng, area: Area, count: int, conifers: float = 0.2, bushes: float = 0.2) -> None:
    for _ in range(count):
        draw = rng.random()
        kind: TreeName = "conifer" if draw < conifers else "bush" if draw < conifers + bushes else "broadleaf"
        builder.tree(rng, *area.spot(rng), kind)


def _group(builder: Builder, rng: Rng, area: Area, people: int) -> None:
    x, y = area.spot(rng, 3)
    for _ in range(people):
        builder.person(rng, x + rng.normal(0, 1.6), y + rng.normal(0, 1.6))


def homes(builder: Builder, rng: Rng, area: Area) -> None:
    """Two rows of lots: a house, a drive with perhaps a car, a terrace, trees, now and then a pool."""
    _base(builder, area, builder.material(palette.lawn(rng, builder.grid.dryness * 0.6)))
    second = builder.material(palette.lawn(rng, builder.grid.dryness))
    drive = builder.material(palette.paving(rng, 0.0))
    gravel = builder.material(palette.bare(rng))
    swimming = builder.material(palette.pool(rng))
    width, middle = area.x1 - area.x0, area.middle[1]
    lots = max(1, round(width / float(rng.uniform(13, 19))))
    pitch = width / lots
    for side in (-1, 1):
        street = area.y0 if side < 0 else area.y1
        for lot in range(lots):
            x = area.x0 + (lot + 0.5) * pitch
            if rng.random() < 0.3:
                builder.rectangle(
                    x - pitch / 2, min(street, middle), x + pitch / 2, max(street, middle), second, DETAIL
                )
            if rng.random() < 0.06:
                _trees(builder, rng, Area(x0=x - 6, y0=min(street, middle), x1=x + 6, y1=max(street, middle)), 4)
                continue
            _lot(builder, rng, x, street, middle, pitch, (drive, gravel, swimming))
    if rng.random() < 0.6:  # a hedge between the gardens
        for step in range(int(width / 1.3)):
            builder.tree(rng, area.x0 + 1.3 * step, middle + rng.normal(0, 0.12), "bush", 0.85)
    _trees(builder, rng, Area(x0=area.x0, y0=middle - 7, x1=area.x1, y1=middle + 7), int(rng.integers(4, 12)))
    for _ in range(int(rng.integers(2, 7))):
        builder.person(rng, *area.spot(rng))


def _lot(
    builder: Builder, rng: Rng, x: float, street: float, middle: float, pitch: float, ground: tuple[int, int, int]
) -> None:
    drive, gravel, swimming = ground
    inward = 1.0 if middle > street else -1.0
    length, width = float(rng.uniform(8, min(12.5, pitch - 3))), float(rng.uniform(7, 9.5))
    y = street + inward * (float(rng.uniform(4, 6.5)) + width / 2)
    hx = x + float(rng.normal(0, 0.5))
    angle = float(rng.normal(0, 0.05)) + (math.pi / 2 if rng.random() < 0.3 else 0.0)
    roof, walls = palette.roof_paint(rng), palette.wall_paint(rng)
    wall = float(rng.choice([2.8, 3.0, 5.4]))
    kind = rng.random()
    if kind < 0.15:
        builder.building(
            rng, hx, y, angle, (length, width), wall=wall, ridge=0, roof="flat", wall_colour=walls,
            pattern="membrane" if rng.random() < 0.5 else "gravel", roof_colour=palette.hall_roof_paint(rng),
            solar=rng.random() < 0.4,
        )  # fmt: skip
    else:
        builder.building(
            rng, hx, y, angle, (length, width), wall=wall, ridge=width * float(rng.uniform(0.22, 0.42)),
            roof="hip" if kind < 0.45 else "gable", pattern="tiles" if rng.random() < 0.85 else "ribs",
            roof_colour=roof, wall_colour=walls, solar=rng.random() < 0.3,
        )  # fmt: skip
    if rng.random() < 0.3:  # a wing or a garage beside it
        builder.building(
            rng, hx + length / 2 * (1 if rng.random() < 0.5 else -1), y + inward * width * 0.3, angle, (5.5, 4.5),
            wall=2.5, ridge=0 if rng.random() < 0.5 else 1.2, roof="flat" if rng.random() < 0.5 else "gable",
            pattern="tiles", roof_colour=roof, wall_colour=walls, windows=False,
        )  # fmt: skip
    dx = x + (pitch / 2 - 1.7) * (1 if rng.random() < 0.5 else -1)
    surface = drive if rng.random() < 0.7 else gravel
    builder.rectangle(dx - 1.5, min(street, y), dx + 1.5, max(street, y), surface, DETAIL)
    if rng.random() < 0.6:
        builder.vehicle(rng, dx, street + inward * float(rng.uniform(3, 6)), math.pi / 2 * inward, lorries=0.02)
    if rng.random() < 0.6:
        builder.box(hx, y + inward * (width / 2 + 1.8), angle, (length * 0.6, 3.2), drive, DETAIL)
    back = y + inward * (width / 2 + 6)
    if rng.random() < 0.14 and abs(middle - back) > 3:
        builder.box(x, back, angle, (8, 4.6), drive, DETAIL)
        builder.box(x, back, angle, (6.4, 3.2), swimming, WATER_LAYER)
        builder.take(x, back, 4, 2.5)
    for _ in range(int(rng.integers(0, 3))):
        kind_of: TreeName = "bush" if rng.random() < 0.5 else "broadleaf"
        builder.tree(
            rng, x + float(rng.uniform(-pitch / 2, pitch / 2)), street + inward * rng.uniform(1.5, 4), kind_of, 0.75
        )


def halls(builder: Builder, rng: Rng, area: Area) -> None:
    """One or two big roofs, a car park with marked bays, a strip of green."""
    surface = palette.asphalt(rng) if rng.random() < 0.7 else palette.paving(rng, 0.0)
    _base(builder, area, builder.material(surface))
    green = builder.material(palette.lawn(rng, builder.grid.dryness))
    builder.rectangle(area.x0, area.y0, area.x1, area.y0 + 3.5, green, DETAIL)
    builder.rectangle(area.x0, area.y1 - 3, area.x1, area.y1, green, DETAIL)
    depth = (area.y1 - area.y0) * float(rng.uniform(0.3, 0.45))
    count, width = int(rng.integers(1, 3)), area.x1 - area.x0
    for n in range(count):
        size = (width / count - float(rng.uniform(3, 8)), depth)
        wall = float(rng.uniform(4, 9))
        arched = rng.random() < 0.3
        x, y = area.x0 + (n + 0.5) * width / count, area.y1 - 4 - depth / 2
        plant = tuple(
            (
                float(rng.uniform(-0.4, 0.4)) * size[0],
                float(rng.uniform(-0.35, 0.35)) * size[1],
                float(rng.uniform(1.2, 3.0)),
                float(rng.uniform(1.2, 2.4)),
            )
            for _ in range(0 if arched else int(rng.integers(0, 6)))
        )
        builder.building(
            rng, x, y, 0.0, size, wall=wall, ridge=depth * 0.14 if arched else 0, roof="gable" if arched else "flat",
            pattern=("ribs" if arched else ("gravel", "membrane", "ribs")[int(rng.integers(3))]), plant=plant,
            roof_colour=palette.hall_roof_paint(rng), wall_colour=palette.wall_paint(rng), solar=rng.random() < 0.35,
        )  # fmt: skip
    line = builder.material(palette.marking(rng))
    top = area.y1 - 6 - depth
    for row in (area.y0 + 6.5, top - 4.5):
        if row - 2.5 < area.y0 + 3.5 or row + 2.5 > top:
            continue
        for bay in range(int((width - 4) / 2.6)):
            x = area.x0 + 2 + 2.6 * bay
            if surface.class_id == ROAD:
                builder.rectangle(x - 0.06, row - 2.4, x + 0.06, row + 2.4, line, DETAIL)
            if rng.random() < 0.42:
                builder.vehicle(
                    rng, x + 1.3, row + rng.normal(0, 0.15), math.pi / 2 * (1 if rng.random() < 0.5 else -1), lorries=0
                )
    if rng.random() < 0.5:
        builder.vehicle(rng, area.middle[0], (area.y0 + top) / 2, 0.0, lorries=0.8)
    _trees(builder, rng, Area(x0=area.x0, y0=area.y0, x1=area.x1, y1=area.y0 + 3.5), int(rng.integers(2, 7)), 0, 0.3)
    for _ in range(int(rng.integers(3, 10))):
        builder.person(rng, float(rng.uniform(area.x0, area.x1)), float(rng.uniform(area.y0, top)))


def crops(builder: Builder, rng: Rng, area: Area) -> None:
    """One to three fields, a farm track, a row of trees."""
    strips, width = int(rng.integers(1, 4)), area.x1 - area.x0
    for n in range(strips):
        field = palette.ploughed(rng) if rng.random() < 0.25 else palette.crop(rng)
        builder.rectangle(
            area.x0 + n * width / strips, area.y0, area.x0 + (n + 1) * width / strips, area.y1,
            builder.material(field), BASE,
        )  # fmt: skip
    margin = builder.material(palette.lawn(rng, builder.grid.dryness))
    if rng.random() < 0.7:
        builder.rectangle(area.x0, area.y0, area.x1, area.y0 + 2.2, margin, DETAIL)
        for step in range(int(width / 3.2)):
            if rng.random() < 0.75:
                builder.tree(
                    rng, area.x0 + 3.2 * step, area.y0 + 1.1, "broadleaf" if rng.random() < 0.6 else "bush", 0.8
                )
    if rng.random() < 0.4:
        builder.vehicle(rng, *area.spot(rng, 4), float(rng.uniform(0, math.tau)), lorries=0.6)
    for _ in range(int(rng.integers(2, 7))):
        builder.person(rng, *area.spot(rng))


def park(builder: Builder, rng: Rng, area: Area) -> None:
    """Grass with paths, trees in clumps, people, sometimes a pond."""
    _base(builder, area, builder.material(palette.lawn(rng, builder.grid.dryness)))
    path = builder.material(palette.bare(rng) if rng.random() < 0.6 else palette.paving(rng, 0.4))
    mx, my = area.middle
    angle = float(rng.uniform(-0.5, 0.5))
    for turn in (angle, angle + math.pi / 2):
        builder.box(mx, my, turn, (max(area.x1 - area.x0, area.y1 - area.y0) * 0.95, 2.4), path, DETAIL)
    if rng.random() < 0.4:
        builder.blob(rng, mx, my, (6, 6), path, DETAIL)
    if rng.random() < 0.4:
        x, y = area.spot(rng, 13)
        size = (float(rng.uniform(6, 11)), float(rng.uniform(5, 9)))
        builder.blob(rng, x, y, (size[0] + 1.0, size[1] + 1.0), builder.material(palette.bare(rng)), DETAIL)
        builder.blob(rng, x, y, size, builder.material(palette.water(rng)), WATER_LAYER)
        builder.take(x, y, size[0], size[1])
    for _ in range(int(rng.integers(2, 6))):
        x, y = area.spot(rng, 6)
        clump = Area(x0=x - 6, y0=y - 6, x1=x + 6, y1=y + 6)
        _trees(builder, rng, clump, int(rng.integers(2, 7)))
    for _ in range(int(rng.integers(2, 6))):
        _group(builder, rng, area, int(rng.integers(2, 8)))
    along = float(rng.uniform(-18, 18))
    builder.person(rng, mx + along * math.cos(angle), my + along * math.sin(angle), angle=angle)


def wood(builder: Builder, rng: Rng, area: Area) -> None:
    """Dense trees with a clearing or a track."""
    _base(builder, area, builder.material(palette.lawn(rng, 0.5)))
    if rng.random() < 0.5:
        builder.box(
            *area.middle, float(rng.uniform(0, math.pi)), (60, 3.2), builder.material(palette.bare(rng)), DETAIL
        )
        builder.take(*area.middle, 2.0, 2.0)
    share = float(rng.uniform(0.0, 0.7))
    count = int((area.x1 - area.x0) * (area.y1 - area.y0) / float(rng.uniform(18, 32)))
    _trees(builder, rng, area, count, share, 0.1)
    _group(builder, rng, area, int(rng.integers(0, 3)))


def site(builder: Builder, rng: Rng, area: Area) -> None:
    """A building site or a gravel yard: bare ground, heaps, lorries, workers, a shell of a house."""
    _base(builder, area, builder.material(palette.bare(rng)))
    for _ in range(int(rng.integers(3, 7))):
        x, y = area.spot(rng, 5)
        patch = palette.lawn(rng, 0.8) if rng.random() < 0.45 else palette.bare(rng)
        builder.blob(rng, x, y, (float(rng.uniform(2, 8)), float(rng.uniform(2, 6))), builder.material(patch), DETAIL)
    for _ in range(int(rng.integers(0, 3))):
        x, y = area.spot(rng, 9)
        builder.building(
            rng, x, y, float(rng.uniform(0, math.pi)), (float(rng.uniform(6, 14)), float(rng.uniform(5, 9))),
            wall=float(rng.uniform(2.5, 6)), ridge=0, roof="flat", pattern="ribs" if rng.random() < 0.5 else "gravel",
            roof_colour=palette.hall_roof_paint(rng), wall_colour=palette.wall_paint(rng),
        )  # fmt: skip
    for _ in range(int(rng.integers(2, 6))):
        builder.vehicle(rng, *area.spot(rng, 4), float(rng.uniform(0, math.tau)), lorries=0.45)
    for _ in range(int(rng.integers(4, 12))):
        builder.person(rng, *area.spot(rng))
    _trees(builder, rng, area, int(rng.integers(0, 6)), 0.1, 0.6)


def pitch(builder: Builder, rng: Rng, area: Area) -> None:
    """A football pitch with players, trees along its sides."""
    _base(builder, area, builder.material(palette.lawn(rng, builder.grid.dryness)))
    inner = area.shrunk(5)
    stripes = builder.material(palette.lawn(rng, builder.grid.dryness * 0.3))
    line = builder.material(palette.pitch_line(rng))
    width = (inner.x1 - inner.x0) / 8
    for n in range(0, 8, 2):
        builder.rectangle(inner.x0 + n * width, inner.y0, inner.x0 + (n + 1) * width, inner.y1, stripes, DETAIL)
    for x in (inner.x0, inner.middle[0], inner.x1):
        builder.rectangle(x - 0.08, inner.y0, x + 0.08, inner.y1, line, DETAIL)
    for y in (inner.y0, inner.y1):
        builder.rectangle(inner.x0, y - 0.08, inner.x1, y + 0.08, line, DETAIL)
    for _ in range(int(rng.integers(6, 16))):
        builder.person(rng, *inner.spot(rng), angle=float(rng.uniform(0, math.tau)))
    builder.take(*inner.middle, (inner.x1 - inner.x0) / 2, (inner.y1 - inner.y0) / 2)
    _trees(builder, rng, area, int(rng.integers(10, 30)), 0.2, 0.3)


BLOCKS: dict[BlockName, Callable[[Builder, Rng, Area], None]] = {
    "homes": homes, "halls": halls, "crops": crops, "park": park, "wood": wood, "site": site, "pitch": pitch,
}  # fmt: skip
