"""Collects what stands in a region: callers place things in the grid's frame, records come out in world coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from edgeseg.synth import palette
from edgeseg.synth.camera import Points
from edgeseg.synth.layout import Grid
from edgeseg.synth.palette import Rng
from edgeseg.synth.records import (
    Building,
    Colour,
    Material,
    Patch,
    Person,
    RoofName,
    RoofPattern,
    Scene,
    Tree,
    TreeName,
    Vehicle,
    VehicleName,
)

BASE, DETAIL, SHORE, WATER, PAVEMENT, CARRIAGEWAY, MARKING = range(7)
"""Layers of the ground, from the lowest."""
Thing = TypeVar("Thing")
_EDGE = 5.0  # longest edge of a bent outline, metres


class Builder:
    """Gathers the parts of a scene. `time` (seconds) moves what has a speed."""

    def __init__(self, grid: Grid, time: float) -> None:
        self.grid, self.time = grid, time
        self._materials: list[Material] = []
        self._patches: list[tuple[Points, int, int]] = []
        self._buildings: list[dict[str, Any]] = []
        self._trees: list[dict[str, Any]] = []
        self._vehicles: list[dict[str, Any]] = []
        self._people: list[dict[str, Any]] = []
        self._taken: list[tuple[float, float, float, float]] = []

    def scene(self) -> Scene:
        """Returns all that was gathered in world coordinates, the ground sorted by layer."""
        outlines = [_divided(outline) for outline, _, _ in self._patches]
        placed = np.split(self.grid.place(np.concatenate(outlines)), np.cumsum([len(o) for o in outlines])[:-1])
        patches = [
            Patch(outline=outline, material=material, layer=layer)
            for outline, (_, material, layer) in zip(placed, self._patches, strict=True)
        ]
        return Scene(
            materials=tuple(self._materials),
            patches=tuple(sorted(patches, key=lambda patch: patch.layer)),
            buildings=self._placed(Building, self._buildings),
            trees=self._placed(Tree, self._trees),
            vehicles=self._placed(Vehicle, self._vehicles),
            people=self._placed(Person, self._people),
        )

    def _placed(self, kind: Callable[..., Thing], things: list[dict[str, Any]]) -> tuple[Thing, ...]:
        if not things:
            return ()
        points = np.array([(thing["x"], thing["y"]) for thing in things])
        angles = self.grid.headings(points, np.array([thing.get("angle", 0.0) for thing in things])).tolist()
        for thing, (x, y), angle in zip(things, self.grid.place(points).tolist(), angles, strict=True):
            thing["x"], thing["y"] = x, y
            if "angle" in thing:
                thing["angle"] = angle
        return tuple(kind(**thing) for thing in things)

    def material(self, material: Material) -> int:
        """Adds a material, rows turned with the grid; returns its number."""
        self._materials.append(material)
        return len(self._materials) - 1

    def patch(self, outline: Points, material: int, layer: int) -> None:
        """Adds a polygon (N, 2) of ground; long edges bend with the grid."""
        self._patches.append((outline, material, layer))

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, material: int, layer: int) -> None:
        """Adds an upright rectangle of ground."""
        self.patch(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), material, layer)

    def box(self, x: float, y: float, angle: float, size: tuple[float, float], material: int, layer: int) -> None:
        """Adds a turned rectangle of ground, `size` along and across `angle`."""
        self.patch(_turned(x, y, angle, size), material, layer)

    def blob(self, rng: Rng, x: float, y: float, size: tuple[float, float], material: int, layer: int) -> None:
        """Adds a rounded irregular patch, `size` its half axes."""
        turns = np.linspace(0, math.tau, 28, endpoint=False)
        radius = 1 + 0.13 * np.sin(2 * turns + rng.uniform(0, 6)) + 0.09 * np.sin(3 * turns + rng.uniform(0, 6))
        radius += 0.04 * np.sin(7 * turns + rng.uniform(0, 6))
        outline = np.stack([x + size[0] * radius * np.cos(turns), y + size[1] * radius * np.sin(turns)], axis=1)
        self.patch(outline, material, layer)

    def take(self, x: float, y: float, half_x: float, half_y: float) -> None:
        """Keeps trees and people out of a rectangle."""
        self._taken.append((x - half_x, y - half_y, x + half_x, y + half_y))

    def free(self, x: float, y: float, margin: float) -> bool:
        """Whether a disc of radius `margin` meets nothing that was taken, the river included."""
        if self.grid.river_row is not None:
            middle = float(self.grid.river(np.array([x]))[0])
            if abs(y - middle) < self.grid.river_width / 2 + margin * 0.6 + 0.5:
                return False
        return not any(
            x0 - margin < x < x1 + margin and y0 - margin < y < y1 + margin for x0, y0, x1, y1 in self._taken
        )

    def building(
        self,
        rng: Rng,
        x: float,
        y: float,
        angle: float,
        size: tuple[float, float],
        *,
        wall: float,
        ridge: float,
        roof: RoofName,
        pattern: RoofPattern,
        roof_colour: Colour,
        wall_colour: Colour,
        windows: bool = True,
        solar: bool = False,
        plant: tuple[tuple[float, float, float, float], ...] = (),
    ) -> None:
        """Adds a building, `size` its length along and width across `angle`."""
        cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
        self.take(x, y, (size[0] * cos + size[1] * sin) / 2, (size[0] * sin + size[1] * cos) / 2)
        self._buildings.append(
            {
                "x": x,
                "y": y,
                "angle": angle,
                "length": size[0],
                "width": size[1],
                "wall": wall,
                "ridge": ridge,
                "roof": roof,
                "roof_pattern": pattern,
                "roof_colour": roof_colour,
                "wall_colour": wall_colour,
                "windows": windows,
                "solar": solar,
                "plant": plant,
                "texture": int(rng.integers(1 << 16)),
            }
        )

    def tree(self, rng: Rng, x: float, y: float, kind: TreeName, scale: float = 1.0) -> None:
        """Adds a tree if there is room for its trunk."""
        low, high = {"broadleaf": (1.7, 3.6), "conifer": (1.4, 2.4), "bush": (0.75, 1.4)}[kind]
        radius = float(rng.uniform(low, high)) * scale
        if not self.free(x, y, 0.55 * radius):
            return
        tall = {"broadleaf": 2.1, "conifer": 3.6, "bush": 1.3}[kind]
        colour = palette.foliage(rng, self.grid.season)
        if kind == "conifer":
            colour = palette.vary(rng, (46, 76, 44), 6)
        self._trees.append(
            {
                "x": x,
                "y": y,
                "radius": radius,
                "height": min(9.0, radius * tall * float(rng.uniform(0.85, 1.15))),
                "kind": kind,
                "colour": colour,
                "texture": int(rng.integers(1 << 16)),
            }
        )

    def vehicle(
        self, rng: Rng, x: float, y: float, angle: float, *, moving: bool = False, lorries: float = 0.1
    ) -> None:
        """Adds a vehicle; where one stands, nothing else does."""
        kind: VehicleName = "lorry" if rng.random() < lorries else "van" if rng.random() < 0.15 else "car"
        colour = palette.car_paint(rng)
        if not moving:
            self.take(x, y, 1.6, 1.6)
        self._vehicles.append({"x": x, "y": y, "angle": angle, "kind": kind, "colour": colour})

    def person(self, rng: Rng, x: float, y: float, *, angle: float | None = None) -> None:
        """Adds somebody if the place is free; with a direction they walk, otherwise they stand."""
        speed = 0.0 if angle is None else float(rng.uniform(0.9, 1.6))
        facing = float(rng.uniform(0, math.tau)) if angle is None else angle
        height, top, legs = float(rng.uniform(1.55, 1.9)), palette.clothes(rng), palette.clothes(rng)
        hair = palette.pick(rng, ((20, 25, 30), (30, 45, 65), (70, 120, 160), (120, 125, 130)), 6)
        stride = float(rng.uniform(0, math.tau))
        x, y = x + speed * self.time * math.cos(facing), y + speed * self.time * math.sin(facing)
        if not self.free(x, y, 0.4):
            return
        self._people.append(
            {
                "x": x,
                "y": y,
                "angle": facing,
                "height": height,
                "top": top,
                "legs": legs,
                "hair": hair,
                "speed": speed,
                "stride": stride + 6.0 * self.time,
            }
        )


def _turned(x: float, y: float, angle: float, size: tuple[float, float]) -> Points:
    along = np.array([math.cos(angle), math.sin(angle)]) * size[0] / 2
    across = np.array([-math.sin(angle), math.cos(angle)]) * size[1] / 2
    return np.array([x, y]) + np.stack([-along - across, along - across, along + across, -along + across])


def _divided(outline: Points) -> Points:
    edges = np.empty_like(outline)
    edges[:-1], edges[-1] = outline[1:] - outline[:-1], outline[0] - outline[-1]
    counts = np.maximum(1, np.ceil(np.sqrt((edges * edges).sum(axis=1)) / _EDGE)).astype(int)
    total = int(counts.sum())
    if total == len(outline):
        return outline
    owner = np.repeat(np.arange(len(outline)), counts)
    step = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    divided: Points = outline[owner] + edges[owner] * (step / counts[owner])[:, None]
    return divided
