"""Surfaces and paints: every draw of a random number here is a plausible colour of something seen from the air."""

from __future__ import annotations

import numpy as np

from edgeseg.synth.records import GROUND, LOW_VEGETATION, ROAD, WATER, Colour, Material

Rng = np.random.Generator

_CAR_PAINTS: tuple[Colour, ...] = (
    (235, 235, 235), (225, 228, 230), (190, 190, 192), (150, 150, 150), (40, 40, 42), (25, 25, 25), (60, 60, 65),
    (40, 40, 190), (30, 30, 140), (170, 90, 30), (120, 60, 25), (60, 110, 40), (40, 190, 230), (90, 110, 130),
)  # fmt: skip
_CLOTHES: tuple[Colour, ...] = (
    (40, 40, 210), (210, 95, 30), (235, 235, 235), (35, 35, 35), (40, 210, 240), (30, 135, 245), (160, 60, 170),
    (90, 180, 60), (130, 75, 50), (60, 60, 130), (190, 150, 245), (40, 250, 215),
)  # fmt: skip
_ROOFS: tuple[Colour, ...] = (
    (62, 78, 150), (55, 70, 128), (70, 95, 165), (60, 65, 85), (75, 75, 78), (95, 92, 90), (58, 58, 62), (85, 100, 125),
)  # fmt: skip
_HALL_ROOFS: tuple[Colour, ...] = (
    (150, 150, 148), (185, 185, 182), (120, 122, 125), (205, 206, 206), (135, 110, 85), (95, 130, 95), (80, 85, 130),
)  # fmt: skip
_WALLS: tuple[Colour, ...] = (
    (200, 210, 215), (175, 195, 210), (150, 185, 210), (95, 110, 150), (120, 130, 160), (185, 185, 185),
    (140, 165, 185),
)  # fmt: skip


def pick(rng: Rng, paints: tuple[Colour, ...], spread: float = 10.0) -> Colour:
    """Returns one of the colours, a little lighter or darker and a little tinted."""
    return vary(rng, paints[int(rng.integers(len(paints)))], spread)


def vary(rng: Rng, colour: Colour, spread: float) -> Colour:
    """Moves a colour: brightness by a normal step of `spread`, each channel by a third of it."""
    step = rng.standard_normal(4) * spread
    values = [min(250.0, max(5.0, c + step[0] + s / 3)) for c, s in zip(colour, step[1:], strict=True)]
    return values[0], values[1], values[2]


def car_paint(rng: Rng) -> Colour:
    """A car's colour."""
    return pick(rng, _CAR_PAINTS, 6)


def clothes(rng: Rng) -> Colour:
    """A colour of clothes."""
    return pick(rng, _CLOTHES, 12)


def roof_paint(rng: Rng) -> Colour:
    """A tiled roof's colour."""
    return pick(rng, _ROOFS, 8)


def hall_roof_paint(rng: Rng) -> Colour:
    """A flat or metal roof's colour."""
    return pick(rng, _HALL_ROOFS, 8)


def wall_paint(rng: Rng) -> Colour:
    """A wall's colour."""
    return pick(rng, _WALLS, 8)


def foliage(rng: Rng, season: float) -> Colour:
    """A crown's colour; `season` 0 is spring, 1 late summer with some autumn trees."""
    if rng.random() < 0.12 * season:
        return pick(rng, ((35, 110, 165), (40, 140, 175), (35, 75, 135)), 8)
    return vary(rng, (38 + 12 * season, 88 - 8 * season, 62 + 14 * season), 9)


def lawn(rng: Rng, dryness: float) -> Material:
    """Grass: mown lawns to dry meadows."""
    dry = float(np.clip(dryness + rng.normal(0, 0.15), 0, 1))
    base = (58 + 32 * dry, 122 + 26 * dry, 92 + 68 * dry)
    return Material(
        class_id=LOW_VEGETATION, base=vary(rng, base, 7), grain=13 + 8 * dry, mottle=(3, 9, 8),
        drift=(-2, 6, 20), stain=(6, 10, 4),
    )  # fmt: skip


def crop(rng: Rng) -> Material:
    """A field with rows: young green crops over soil, closed green crops, or ripe grain."""
    angle, kind = float(rng.uniform(0, np.pi)), rng.random()
    if kind < 0.45:
        base, other, spacing = (55, 125, 88), (72, 112, 122), float(rng.uniform(0.7, 1.3))
    elif kind < 0.75:
        base, other, spacing = (50, 128, 80), (42, 104, 68), float(rng.uniform(1.0, 2.4))
    else:
        base, other, spacing = (96, 172, 196), (80, 145, 172), float(rng.uniform(0.8, 2.0))
    return Material(
        class_id=LOW_VEGETATION, base=vary(rng, base, 8), grain=12, mottle=(3, 7, 5), drift=(0, 8, 12),
        stain=(4, 6, 2), pattern="rows", angle=angle, spacing=spacing, other=vary(rng, other, 6),
    )  # fmt: skip


def ploughed(rng: Rng) -> Material:
    """Bare furrows."""
    base = vary(rng, (78, 105, 135), 12)
    return Material(
        class_id=GROUND, base=base, grain=14, mottle=(5, 6, 7), drift=(8, 10, 12), stain=(-6, -8, -10),
        pattern="rows", angle=float(rng.uniform(0, np.pi)), spacing=float(rng.uniform(0.8, 1.6)),
        other=(base[0] * 0.72, base[1] * 0.72, base[2] * 0.72),
    )  # fmt: skip


def bare(rng: Rng) -> Material:
    """Trodden soil, sand or gravel."""
    base = ((92, 128, 160), (120, 150, 172), (138, 150, 160), (88, 112, 140))[int(rng.integers(4))]
    return Material(
        class_id=GROUND, base=vary(rng, base, 9), grain=15, mottle=(7, 8, 9), drift=(10, 12, 14), stain=(-8, -9, -9)
    )


def paving(rng: Rng, angle: float) -> Material:
    """Concrete or slabs."""
    base = vary(rng, (158, 166, 174), 10)
    return Material(
        class_id=GROUND, base=base, grain=6, mottle=(4, 4, 4), drift=(5, 6, 7), stain=(-7, -7, -7), pattern="paving",
        angle=angle, spacing=float(rng.uniform(0.6, 1.6)), other=(base[0] * 0.8, base[1] * 0.8, base[2] * 0.8),
    )  # fmt: skip


def asphalt(rng: Rng) -> Material:
    """Road surface, fresh black to worn grey."""
    grey = float(rng.uniform(62, 128))
    return Material(
        class_id=ROAD, base=vary(rng, (grey + 2, grey, grey - 2), 3), grain=7, mottle=(3, 3, 3), drift=(6, 6, 6),
        stain=(-9, -9, -9),
    )  # fmt: skip


def marking(rng: Rng, *, yellow: bool = False) -> Material:
    """Road paint, worn here and there."""
    base = (90.0, 190.0, 220.0) if yellow else (205.0, 212.0, 214.0)
    return Material(
        class_id=ROAD, base=vary(rng, base, 8), grain=10, mottle=(22, 22, 22), drift=(6, 6, 6), stain=(0, 0, 0)
    )


def pitch_line(rng: Rng) -> Material:
    """The chalk lines of a sports field, on grass."""
    return Material(
        class_id=LOW_VEGETATION, base=vary(rng, (190, 215, 205), 6), grain=12, mottle=(18, 14, 16), drift=(0, 0, 0),
        stain=(0, 0, 0),
    )  # fmt: skip


def water(rng: Rng) -> Material:
    """A river, pond or lake."""
    base = ((88, 76, 48), (74, 82, 58), (112, 92, 52), (66, 70, 62))[int(rng.integers(4))]
    return Material(
        class_id=WATER, base=vary(rng, base, 8), grain=2, mottle=(2, 2, 2), drift=(5, 6, 5), stain=(4, 6, 6),
        pattern="water", angle=float(rng.uniform(0, np.pi)), spacing=float(rng.uniform(0.7, 1.6)),
    )  # fmt: skip


def pool(rng: Rng) -> Material:
    """A swimming pool."""
    return Material(
        class_id=WATER, base=vary(rng, (196, 176, 92), 10), grain=2, mottle=(6, 5, 3), drift=(0, 0, 0),
        stain=(0, 0, 0), pattern="water", spacing=0.6,
    )  # fmt: skip
