"""What a world is made of, and what its surfaces look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeseg.synth.camera import Points

Colour = tuple[float, float, float]
"""(blue, green, red), 0-255."""

GROUND, LOW_VEGETATION, ROAD, BUILDING, TREE, WATER, VEHICLE, PERSON = range(8)

PatternName = Literal["plain", "rows", "paving", "water"]
RoofName = Literal["flat", "gable", "hip"]
RoofPattern = Literal["tiles", "ribs", "gravel", "membrane"]
TreeName = Literal["broadleaf", "conifer", "bush"]
VehicleName = Literal["car", "van", "lorry"]


@dataclass(frozen=True, kw_only=True)
class Material:
    """The look of a piece of ground.

    Attributes:
        class_id: What it is.
        base: Mean colour in full light.
        grain: Amplitude of the finest texture (centimetres).
        mottle: Colour added where the middle texture (a metre) is high, and taken away where it is low.
        drift: The same for the coarse texture (tens of metres).
        stain: The same for a second, independent coarse texture.
        pattern: "rows" adds crop rows or furrows, "paving" slabs, "water" waves and the sky's reflection.
        angle: Direction of rows and slabs, radians.
        spacing: Distance between rows or joints, metres.
        other: Colour between the rows, or of the joints.
    """

    class_id: int
    base: Colour
    grain: float
    mottle: Colour
    drift: Colour
    stain: Colour
    pattern: PatternName = "plain"
    angle: float = 0.0
    spacing: float = 1.0
    other: Colour = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A polygon (N, 2) of ground; higher layers lie over lower ones."""

    outline: Points
    material: int
    layer: int


@dataclass(frozen=True, kw_only=True)
class Building:
    """A rectangular house or hall.

    Attributes:
        x: Its middle, east.
        y: Its middle, north.
        angle: Direction of its length, radians.
        length: Metres.
        width: Metres.
        wall: Height of the walls, metres.
        ridge: How much higher the ridge is, metres; 0 for a flat roof.
        roof: Shape of the roof.
        roof_pattern: What covers it.
        roof_colour: In full light.
        wall_colour: In full light.
        windows: Whether the walls have any.
        solar: Whether there are solar panels on the roof.
        plant: Boxes on a flat roof: offset along, offset across, length, width, metres.
        texture: Varies the texture between buildings of one colour.
    """

    x: float
    y: float
    angle: float
    length: float
    width: float
    wall: float
    ridge: float
    roof: RoofName
    roof_pattern: RoofPattern
    roof_colour: Colour
    wall_colour: Colour
    windows: bool
    solar: bool
    plant: tuple[tuple[float, float, float, float], ...]
    texture: int


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A tree or a bush."""

    x: float
    y: float
    radius: float
    height: float
    kind: TreeName
    colour: Colour
    texture: int


@dataclass(frozen=True, kw_only=True)
class Vehicle:
    """A car, a van or a lorry."""

    x: float
    y: float
    angle: float
    kind: VehicleName
    colour: Colour


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody standing or walking."""

    x: float
    y: float
    angle: float
    height: float
    top: Colour
    legs: Colour
    hair: Colour
    speed: float
    stride: float


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything in one region of a world."""

    materials: tuple[Material, ...]
    patches: tuple[Patch, ...]
    buildings: tuple[Building, ...]
    trees: tuple[Tree, ...]
    vehicles: tuple[Vehicle, ...]
    people: tuple[Person, ...]
