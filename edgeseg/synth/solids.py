"""Upright bodies in one colour, of which vehicles, people and the plant on roofs are made."""

from __future__ import annotations

import math

import numpy as np

from edgeseg.synth.camera import NEAR, Points, fixed_point
from edgeseg.synth.canvas import Canvas, times
from edgeseg.synth.records import Colour

Frame = tuple[Points, Points, Points]
"""An origin on the ground, and the unit vectors along and across a thing."""


def frame_at(x: float, y: float, angle: float) -> Frame:
    """Returns the frame of something at (x, y) that points in direction `angle`."""
    along = np.array([math.cos(angle), math.sin(angle), 0.0])
    return np.array([x, y, 0.0]), along, np.array([-along[1], along[0], 0.0])


def slab(frame: Frame, back: float, front: float, half: float, cut: float, z: float) -> Points:
    """Returns a level octagon: a rectangle from `back` to `front`, `half` to each side, its corners cut."""
    origin, along, across = frame
    u = [back + cut, front - cut, front, front, front - cut, back + cut, back, back]
    v = [-half, -half, -half + cut, half - cut, half, half, half - cut, -half + cut]
    corners: Points = origin + np.outer(u, along) + np.outer(v, across) + np.array([0.0, 0.0, z])
    return corners


def prism(canvas: Canvas, floor: Points, top: Points, colour: Colour, class_id: int, level: float) -> None:
    """Paints a convex upright body in one colour.

    Args:
        canvas: Where to.
        floor: (N, 3) corners, counter-clockwise.
        top: The same corners above.
        colour: In full light.
        class_id: What it is.
        level: Share of that light, less than 1 in a shadow.
    """
    seen, count = canvas.camera.in_view(np.concatenate([floor, top])), len(floor)
    if seen[:, 2].min() < NEAR:
        return
    pixels = canvas.camera.to_pixels(seen)
    points, (xs, ys) = fixed_point(pixels), pixels.T.tolist()
    corners_x, corners_y = floor[:, 0].tolist(), floor[:, 1].tolist()
    for k in range(count):
        n = (k + 1) % count
        turn = (xs[n] - xs[k]) * (ys[count + k] - ys[k]) - (ys[n] - ys[k]) * (xs[count + k] - xs[k])
        if turn >= 0:  # rows grow downwards: a face that looks at the camera turns the other way round
            continue
        dx, dy = corners_x[n] - corners_x[k], corners_y[n] - corners_y[k]
        length = math.hypot(dx, dy) or 1.0
        factor = canvas.light.on((dy / length, -dx / length, 0.0))
        lit = times(colour, (factor[0] * level, factor[1] * level, factor[2] * level))
        canvas.fixed(points[[k, n, count + n, count + k]], lit, class_id)
    canvas.fixed(points[count:], times(colour, (level, level, level)), class_id)
