"""Paints trees and bushes: crowns of many clumps of leaves, each lit by where it sits."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from edgeseg.arrays import filled
from edgeseg.synth import ground, noise
from edgeseg.synth.camera import NEAR, Points
from edgeseg.synth.canvas import Canvas
from edgeseg.synth.records import TREE, Tree

_TEMPLATES = 24  # different crowns of each kind


@functools.cache
def _crown(kind: str, number: int) -> tuple[Points, Points]:
    """Returns a crown's clumps: (N, 4) x, y, z and radius in units of the crown's radius and height, and (N,) tone."""
    rng = np.random.default_rng([len(kind), number, 11])
    if kind == "conifer":
        z = np.linspace(0.12, 0.97, 30)
        reach = (1 - z) * 0.95
        turn = np.arange(30) * 2.4 + rng.uniform(0, 6)
        x, y, radius = 0.62 * reach * np.cos(turn), 0.62 * reach * np.sin(turn), 0.12 + 0.5 * reach
    else:
        count = 14 if kind == "bush" else 38
        turn, height = rng.uniform(0, math.tau, count), np.sort(rng.uniform(-0.55, 0.95, count))
        ring = np.sqrt(1 - height**2)
        spread = rng.uniform(0.62, 0.80, count)
        x, y, z = spread * ring * np.cos(turn), spread * ring * np.sin(turn), 0.62 + 0.30 * height
        radius = rng.uniform(0.20, 0.40, count)
        core = np.array([[0, 0, 0.55, 0.80], [0.12, -0.1, 0.68, 0.66]])
        clumps = np.concatenate([core, np.stack([x, y, z, radius], axis=1)])
        return clumps, np.concatenate([[-2.2, -1.6], rng.normal(0, 1, count)])
    return np.stack([x, y, z, radius], axis=1), rng.normal(0, 1, len(z))


def cast(canvas: Canvas, tree: Tree) -> None:
    """Lays a tree's shadow on the ground."""
    turns = np.linspace(0, math.tau, 16, endpoint=False) + tree.texture
    wobble = tree.radius * (0.92 + 0.10 * np.sin(turns * 3 + tree.texture))
    x, y = tree.x + wobble * np.cos(turns), tree.y + wobble * np.sin(turns)
    if tree.kind == "conifer":
        rings = np.stack([x, y, np.full(16, 0.15 * tree.height)], axis=1)
        points = np.concatenate([rings, [[tree.x, tree.y, tree.height]]])
    else:
        low, high = np.full(16, 0.45 * tree.height), np.full(16, 0.78 * tree.height)
        points = np.concatenate(
            [np.stack([x, y, low], 1), np.stack([x * 0.7 + tree.x * 0.3, y * 0.7 + tree.y * 0.3, high], 1)]
        )
    ground.cast(canvas, points)


def paint(canvas: Canvas, tree: Tree) -> None:
    """Paints trunk and crown: clumps of leaves from the far to the near ones, the sunny side lighter."""
    clumps, tones = _crown(tree.kind, tree.texture % _TEMPLATES)
    turn = tree.texture * 0.37
    cos, sin = math.cos(turn), math.sin(turn)
    offset = np.stack([clumps[:, 0] * cos - clumps[:, 1] * sin, clumps[:, 0] * sin + clumps[:, 1] * cos], axis=1)
    centre = np.empty((len(clumps), 3))
    centre[:, :2] = np.array([tree.x, tree.y]) + offset * tree.radius
    centre[:, 2] = clumps[:, 2] * tree.height
    seen = canvas.camera.in_view(centre)
    if seen[:, 2].min() < NEAR + tree.radius:
        return
    pixels = canvas.camera.to_pixels(seen)
    radius = clumps[:, 3] * tree.radius * (canvas.camera.focal / seen[:, 2])
    reach = float(radius.max())
    if (pixels.max(0) < -reach).any() or (
        pixels.min(0) > (canvas.camera.width + reach, canvas.camera.height + reach)
    ).any():
        return
    if tree.kind != "bush":
        _trunk(canvas, tree)
    light = canvas.light
    facing = offset @ np.array(light.sun[:2]) + (clumps[:, 2] - 0.6) * 1.6 * light.sun[2]
    level = (1 - light.direct) * (0.62 + 0.45 * clumps[:, 2]) + light.direct * np.clip(0.62 + 0.75 * facing, 0.12, 1.35)
    level *= 1 + 0.11 * tones
    colours = np.clip(np.array(tree.colour) * level[:, None] * 1.12, 4, 235)
    for k in np.argsort(-seen[:, 2], kind="stable"):
        blue, green, red = colours[k].tolist()
        canvas.disc(float(pixels[k, 0]), float(pixels[k, 1]), float(radius[k]), (blue, green, red), TREE)


def _trunk(canvas: Canvas, tree: Tree) -> None:
    half = 0.05 * tree.radius + 0.06
    across = np.array([canvas.camera.axes[0, 0], canvas.camera.axes[0, 1], 0.0]) * half
    foot, top = np.array([tree.x, tree.y, 0.0]), np.array([tree.x, tree.y, 0.5 * tree.height])
    canvas.flat(np.array([foot - across, foot + across, top + across, top - across]), (42, 56, 72), TREE)


def leaf(canvas: Canvas) -> None:
    """Gives all crowns painted so far their leaves: strong fine texture, as if all stood at one height."""
    chosen = canvas.ids == TREE
    if not chosen.any():
        return
    eye_x, eye_y, eye_z = canvas.camera.centre.tolist()
    reach = 1 - 5.0 / eye_z  # how far along the ray, 5 m above the ground
    x, y = eye_x + reach * canvas.camera.ray_x[chosen], eye_y + reach * canvas.camera.ray_y[chosen]
    size = canvas.camera.depth[chosen] * (reach / canvas.camera.focal)
    strength = np.clip(0.10 / size, 0.35, 1.0)
    level = 1 + strength * (0.15 * noise.at(x, y, 11.0, 0, 5) + 0.13 * noise.at(x, y, 8.0, 1, 9))
    factor = np.ones(chosen.shape, np.float32)
    factor[chosen] = np.clip(level, 0.35, 1.75)
    shaded = cv2.multiply(canvas.image, cv2.merge([factor, factor, factor]), canvas.image, dtype=cv2.CV_8U)
    filled(canvas.image, shaded)
