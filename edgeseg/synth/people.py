"""Paints people."""

from __future__ import annotations

import math

import numpy as np

from edgeseg.synth import ground
from edgeseg.synth.camera import NEAR
from edgeseg.synth.canvas import Canvas, times
from edgeseg.synth.records import PERSON, Person
from edgeseg.synth.solids import frame_at, prism, slab


def cast(canvas: Canvas, person: Person) -> None:
    """Lays a person's shadow on the ground."""
    frame = frame_at(person.x, person.y, person.angle)
    ground.cast(
        canvas,
        np.concatenate(
            [slab(frame, -0.14, 0.14, 0.17, 0.04, 0.0), slab(frame, -0.18, 0.18, 0.31, 0.06, person.height * 0.8),
             slab(frame, -0.1, 0.1, 0.1, 0.03, person.height)]
        ),
    )  # fmt: skip


def paint(canvas: Canvas, person: Person) -> None:
    """Paints legs, body and head."""
    frame = frame_at(person.x, person.y, person.angle)
    level = 0.6 if canvas.light.direct > 0.3 and canvas.shaded(person.x, person.y) else 1.0
    step = 0.22 * math.sin(person.stride) if person.speed else 0.0
    hip, neck = person.height * 0.48, person.height * 0.84
    origin, along, across = frame
    for side in (-1, 1):
        leg = (origin + along * step * side + across * 0.13 * side, along, across)
        hips = (origin + across * 0.11 * side, along, across)
        prism(
            canvas,
            slab(leg, -0.13, 0.13, 0.11, 0.03, 0.0),
            slab(hips, -0.13, 0.13, 0.13, 0.03, hip),
            person.legs,
            PERSON,
            level,
        )
    prism(
        canvas,
        slab(frame, -0.18, 0.18, 0.28, 0.09, hip),
        slab(frame, -0.19, 0.19, 0.34, 0.11, neck),
        person.top,
        PERSON,
        level,
    )
    head = np.array([[person.x, person.y, person.height - 0.12]])
    seen = canvas.camera.in_view(head)
    if seen[0, 2] > NEAR:
        column, row = canvas.camera.to_pixels(seen)[0].tolist()
        radius = 0.15 * canvas.camera.focal / float(seen[0, 2])
        canvas.disc(column, row, radius, times(person.hair, (level, level, level)), PERSON)
