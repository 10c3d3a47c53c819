"""The synthetic aerial set: images that a drone might take, with exact label maps, from nothing but a seed.

An image is painted at twice its size and then halved with a 5 x 5 Gaussian (`cv2.pyrDown`, which samples every second
pixel); the label map takes exactly those pixels' classes. So labels have hard edges, images soft ones, and both
agree to the pixel.

The images of a (seed, index) are the same bytes on every run on one machine. Another version of OpenCV or another
processor may differ in the last bits of a few pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import numpy as np

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import LabelSet
from edgeseg.errors import UsageError
from edgeseg.synth import buildings, ground, palette, people, sensor, trees, vehicles
from edgeseg.synth.camera import Camera, Points, Pose
from edgeseg.synth.canvas import Canvas
from edgeseg.synth.layout import Grid
from edgeseg.synth.light import Light
from edgeseg.synth.palette import Rng
from edgeseg.synth.records import Scene
from edgeseg.synth.world import scene_in

NAME = "synthetic"
VERSION = 2
"""Raised whenever the same (seed, index) gives another image."""
LABELS = LabelSet(
    names=("ground", "low vegetation", "road", "building", "tree", "water", "vehicle", "person"),
    colors=(
        (190, 153, 110), (150, 200, 90), (128, 96, 136), (214, 84, 62),
        (32, 112, 60), (48, 126, 216), (250, 206, 48), (255, 64, 190),
    ),
)  # fmt: skip
SPLITS = ("train", "val")
_WORLD, _CAMERA, _LIGHT, _SENSOR, _FLIGHT = range(1, 6)  # what a generator is for; never 0, which SeedSequence ignores
FLIGHT_FPS = 30
"""Frames a second of `flight`."""


class _Thing(NamedTuple):
    x: float
    y: float
    top: float
    radius: float
    what: Any
    painter: ModuleType  # has cast(canvas, what) for the shadow and paint(canvas, what)


def split_seed(seed: int, split: str) -> int:
    """Returns the renderer's seed for a split: even for train, odd for val, so that no world is in both.

    Raises:
        UsageError: The split is not "train" or "val".
    """
    if split not in SPLITS:
        raise UsageError(f"the synthetic set has no split '{split}': it has {', '.join(SPLITS)}")
    return 2 * seed + SPLITS.index(split)


def render(index: int, *, seed: int, height: int, width: int) -> tuple[Uint8, Uint8]:
    """Renders one image of a world of its own.

    Args:
        index: Which image, from 0.
        seed: Which set; see `split_seed`.
        height: Rows.
        width: Columns.

    Returns:
        The image, (height, width, 3) uint8 blue-green-red, and its label map, (height, width) uint8.

    Raises:
        UsageError: A negative index or seed, or a size below 16.
    """
    check(height, width, seed, index)
    key = (seed, index)
    grid = Grid.draw((*key, _WORLD))
    pose = _pose(np.random.default_rng([*key, _CAMERA]), grid)
    light = Light.draw(np.random.default_rng([*key, _LIGHT]))
    rng = np.random.default_rng([*key, _SENSOR])
    return _take(grid, pose, 0.0, light, sensor.Sensor.draw(rng), rng, height, width)


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One frame of a flight: all that it takes to render it.

    Attributes:
        seed: Which world, light and course.
        frame: Its number, from 0.
        pose: Where the camera is.
    """

    seed: int
    frame: int
    pose: Pose


def flight(frames: int, *, seed: int, height: int, width: int) -> Iterator[tuple[Uint8, Uint8]]:
    """Flies slowly over one world in which people walk and traffic moves: the demo's video.

    Args:
        frames: How many, at `FLIGHT_FPS`. A longer flight begins with the same frames.
        seed: Which world, light and course.
        height: Rows.
        width: Columns.

    Yields:
        Image and label map as `render` returns them.

    Raises:
        UsageError: As `render`.
    """
    for shot in flight_shots(frames, seed=seed, height=height, width=width):
        yield shoot(shot, height=height, width=width)


def flight_shots(frames: int, *, seed: int, height: int, width: int) -> tuple[Shot, ...]:
    """Plans a flight (see `flight`), so that its frames may be rendered by `shoot` in any order."""
    check(height, width, seed, frames)
    grid = Grid.draw((*_flight_key(seed), _WORLD))
    course = np.random.default_rng([*_flight_key(seed), _CAMERA])
    phase, turn = course.uniform(0, math.tau, 4), grid.turn + float(course.choice([0, 1])) * math.pi / 2
    position = grid.place(np.array([[grid.line(0, 0) + 2.0, grid.line(1, 0) - 6.0]]))[0]
    shots = []
    for frame in range(frames):
        time = frame / FLIGHT_FPS
        yaw = 0.35 * math.sin(0.11 * time + phase[0]) - turn
        pose = Pose(
            x=float(position[0]),
            y=float(position[1]),
            altitude=19 + 3 * math.sin(0.13 * time + phase[1]),
            yaw=yaw,
            pitch=math.radians(62 + 14 * math.sin(0.17 * time + phase[2])),
            roll=0.02 * math.sin(0.7 * time + phase[3]),
            fov=math.radians(66),
        )
        shots.append(Shot(seed=seed, frame=frame, pose=pose))
        position = position + np.array([math.sin(yaw), math.cos(yaw)]) * (4.5 / FLIGHT_FPS)
    return tuple(shots)


def shoot(shot: Shot, *, height: int, width: int) -> tuple[Uint8, Uint8]:
    """Renders one frame of a flight; returns what `render` does."""
    key = _flight_key(shot.seed)
    eye = sensor.Sensor(blur=0.0, vignette=0.12, noise=1.8, contrast=1.06, saturation=1.05, quality=0)
    return _take(
        Grid.draw((*key, _WORLD)),
        shot.pose,
        shot.frame / FLIGHT_FPS,
        Light.draw(np.random.default_rng([*key, _LIGHT])),
        eye,
        np.random.default_rng([*key, _SENSOR, shot.frame + 1]),
        height,
        width,
    )


def _flight_key(seed: int) -> tuple[int, int, int]:
    return seed, _FLIGHT, _FLIGHT


def check(height: int, width: int, seed: int, index: int) -> None:
    """Refuses sizes, seeds and indices that cannot be rendered.

    Raises:
        UsageError: A negative index or seed, or a size below 16.
    """
    if height < 16 or width < 16:
        raise UsageError(f"synthetic image of {height}x{width}: expected at least 16x16")
    if seed < 0 or index < 0:
        raise UsageError(f"synthetic image {index} of seed {seed}: expected numbers from 0 on")


def _pose(rng: Rng, grid: Grid) -> Pose:
    """Draws a camera that looks at something: a junction, a row of houses, or anything in a block."""
    (x, y), kind = rng.random(2), rng.random()
    if kind < 0.2:
        x, y = 0.12 * rng.standard_normal(2)
    elif kind < 0.6:
        y = float(rng.choice([0.27, 0.73])) + 0.06 * rng.standard_normal()
    target = grid.place(np.array([[grid.line(0, 0) + x * grid.spacing[0], grid.line(1, 0) + y * grid.spacing[1]]]))[0]
    nadir = rng.random() < 0.45
    pitch = math.radians(float(rng.uniform(82, 90) if nadir else rng.uniform(40, 78)))
    altitude = math.exp(float(rng.uniform(math.log(12.5), math.log(34))))
    fov = math.radians(float(rng.uniform(52, 72)))
    yaw = float(rng.uniform(0, math.tau))
    back = altitude / math.tan(pitch)
    return Pose(
        x=float(target[0]) - back * math.sin(yaw),
        y=float(target[1]) - back * math.cos(yaw),
        altitude=altitude,
        yaw=yaw,
        pitch=pitch,
        roll=float(rng.normal(0, 0.03)),
        fov=fov,
    )


def _take(
    grid: Grid,
    pose: Pose,
    time: float,
    light: Light,
    eye: sensor.Sensor,
    rng: Rng,
    height: int,
    width: int,
) -> tuple[Uint8, Uint8]:
    camera = Camera(pose, 2 * height, 2 * width)
    canvas = Canvas(camera, light)
    scene = scene_in(grid, _footprint(camera), time)
    paint(canvas, scene, grid)
    small = cv2.pyrDown(canvas.image).astype(np.uint8, copy=False)
    depth: Float32 = np.ascontiguousarray(camera.depth[::2, ::2])
    return sensor.expose(small, depth, light, eye, rng), np.ascontiguousarray(canvas.ids[::2, ::2])


def _footprint(camera: Camera) -> Points:
    edge = np.array([(r, c) for r in (0, camera.height - 1) for c in (0, camera.width // 2, camera.width - 1)])
    rays = np.stack([camera.ray_x[edge[:, 0], edge[:, 1]], camera.ray_y[edge[:, 0], edge[:, 1]]], axis=1)
    footprint: Points = rays.astype(np.float64) + camera.centre[:2]
    return footprint


def paint(canvas: Canvas, scene: Scene, grid: Grid) -> None:
    """Paints a scene: shadows, ground, then everything that stands on it, from the far to the near."""
    things = [
        *(_Thing(b.x, b.y, b.wall + b.ridge, (b.length + b.width) / 2, b, buildings) for b in scene.buildings),
        *(_Thing(t.x, t.y, t.height, 1.4 * t.radius, t, trees) for t in scene.trees),
        *(_Thing(v.x, v.y, 3.1 if v.kind == "lorry" else 1.6, 4.5, v, vehicles) for v in scene.vehicles),
        *(_Thing(p.x, p.y, p.height, 0.5, p, people) for p in scene.people),
    ]
    numbers = np.array([thing[:4] for thing in things]).reshape(-1, 4)
    x, y, top, radius = numbers.T
    if canvas.light.direct > 0.3:
        fall = top / canvas.light.sun[2]
        for k in np.flatnonzero(canvas.sees(x, y, 0 * x, radius + fall)):
            things[k].painter.cast(canvas, things[k].what)
    shift = grid.rng(9).uniform(0, 512, 2)
    backdrop = palette.lawn(grid.rng(10), grid.dryness)
    ground.paint(canvas, scene, (float(shift[0]), float(shift[1])), backdrop)
    away = ((numbers[:, :3] - canvas.camera.centre) ** 2).sum(axis=1)
    shown = np.flatnonzero(canvas.sees(x, y, top / 2, radius + top / 2))
    for k in shown[np.argsort(-away[shown], kind="stable")]:
        things[k].painter.paint(canvas, things[k].what)
    trees.leaf(canvas)
