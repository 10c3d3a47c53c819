"""Paints vehicles."""

from __future__ import annotations

import numpy as np

from edgeseg.synth import ground
from edgeseg.synth.canvas import Canvas, times
from edgeseg.synth.records import VEHICLE, Colour, Vehicle
from edgeseg.synth.solids import frame_at, prism, slab

_SIZES = {"car": (4.3, 1.8, 0.85, 1.45), "van": (5.2, 2.0, 1.1, 2.1), "lorry": (8.2, 2.5, 1.0, 3.1)}
"""Length, width, height of the body and of the whole, metres."""
_GLASS: Colour = (52, 44, 38)


def cast(canvas: Canvas, vehicle: Vehicle) -> None:
    """Lays a vehicle's shadow on the ground."""
    length, width, _, height = _SIZES[vehicle.kind]
    frame = frame_at(vehicle.x, vehicle.y, vehicle.angle)
    floor = slab(frame, -length / 2, length / 2, width / 2, 0.2, 0.0)
    roof = slab(frame, -length * 0.42, length * 0.22, width * 0.42, 0.2, height)
    ground.cast(canvas, np.concatenate([floor, roof]))


def paint(canvas: Canvas, vehicle: Vehicle) -> None:
    """Paints body, glass and roof."""
    length, width, body, height = _SIZES[vehicle.kind]
    frame = frame_at(vehicle.x, vehicle.y, vehicle.angle)
    level = 0.62 if canvas.light.direct > 0.3 and canvas.shaded(vehicle.x, vehicle.y) else 1.0
    half = width / 2
    if vehicle.kind == "lorry":
        cab = vehicle.colour
        load: Colour = (205, 208, 210) if sum(cab) % 2 < 1 else times(cab, (0.8, 0.8, 0.8))
        prism(
            canvas,
            slab(frame, -length / 2, length * 0.26, half, 0.02, 0.5),
            slab(frame, -length / 2, length * 0.26, half, 0.02, height),
            load,
            VEHICLE,
            level,
        )
        prism(
            canvas,
            slab(frame, length * 0.29, length / 2, half * 0.96, 0.15, 0.4),
            slab(frame, length * 0.29, length / 2 - 0.25, half * 0.9, 0.12, height * 0.78),
            cab,
            VEHICLE,
            level,
        )
        canvas.flat(
            slab(frame, length / 2 - 0.75, length / 2 - 0.3, half * 0.78, 0.05, height * 0.78),
            times(_GLASS, (level,) * 3),
            VEHICLE,
        )
        return
    low = slab(frame, -length / 2, length / 2, half, 0.28, 0.28)
    top = slab(frame, -length / 2, length / 2, half * 0.96, 0.35, body)
    wheels = slab(frame, -length * 0.42, length * 0.42, half * 0.98, 0.1, 0.0)
    prism(canvas, wheels, low, (28, 28, 30), VEHICLE, level)
    prism(canvas, low, top, vehicle.colour, VEHICLE, level)
    back, front = (-length * 0.44, length * 0.20) if vehicle.kind == "car" else (-length * 0.49, length * 0.33)
    glass_low = slab(frame, back, front, half * 0.88, 0.12, body)
    inset = 0.55 if vehicle.kind == "car" else 0.3
    glass_top = slab(frame, back + inset * 0.8, front - inset * 1.2, half * 0.76, 0.12, height)
    prism(canvas, glass_low, glass_top, _GLASS, VEHICLE, level)
    bright = 1.08 * level
    canvas.flat(glass_top, times(vehicle.colour, (bright, bright, bright)), VEHICLE)
