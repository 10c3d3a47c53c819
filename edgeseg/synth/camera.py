"""A pinhole camera over a flat world: projecting polygons, and the ground point that each pixel sees."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32, Uint8

Points = npt.NDArray[np.float64]

NEAR = 0.5
"""Polygons are cut this far in front of the camera, in metres."""
SHIFT = 4
"""Fractional bits of the coordinates given to OpenCV's fillers."""


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where the camera is and looks.

    Attributes:
        x: East, metres.
        y: North, metres.
        altitude: Above the ground, metres.
        yaw: Heading of the image's top, radians clockwise from north.
        pitch: Radians below the horizon; pi/2 looks straight down.
        roll: Radians about the viewing direction.
        fov: Horizontal field of view, radians.
    """

    x: float
    y: float
    altitude: float
    yaw: float
    pitch: float
    roll: float
    fov: float


class Camera:
    """A pose with an image size: projects points, and holds what each pixel sees of the ground.

    Attributes:
        centre: (3,) position.
        height: Rows of the image.
        width: Columns of the image.
        focal: Focal length, pixels.
        ray_x: (height, width) x of the ray through each pixel, scaled so that it falls by the altitude.
        ray_y: The same for y: so `centre + ray` is the ground point.
        depth: (height, width) distance of the ground point along the viewing axis, metres.
    """

    def __init__(self, pose: Pose, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.centre = np.array([pose.x, pose.y, pose.altitude])
        self.focal = width / 2 / math.tan(pose.fov / 2)
        self._middle = np.array([(width - 1) / 2, (height - 1) / 2])
        self.axes = _axes(pose)  # rows: right, down, forward
        right, down, forward = self.axes
        self._ground_axes, self._ground_offset = self.axes.T[:2].copy(), -self.axes @ self.centre
        across = (np.arange(width, dtype=np.float32) - np.float32(self._middle[0])) / np.float32(self.focal)
        along = (np.arange(height, dtype=np.float32)[:, None] - np.float32(self._middle[1])) / np.float32(self.focal)
        fall = -(np.float32(forward[2]) + across * np.float32(right[2]) + along * np.float32(down[2]))
        self.depth: Float32 = (np.float32(pose.altitude) / np.maximum(fall, np.float32(0.02))).astype(np.float32)
        self.ray_x: Float32 = (
            np.float32(forward[0]) + across * np.float32(right[0]) + along * np.float32(down[0])
        ) * self.depth
        self.ray_y: Float32 = (
            np.float32(forward[1]) + across * np.float32(right[1]) + along * np.float32(down[1])
        ) * self.depth

    def in_view(self, points: Points) -> Points:
        """Returns points (N, 3) in the camera's frame: right, down, forward, metres."""
        seen: Points = (points - self.centre) @ self.axes.T
        return seen

    def to_pixels(self, seen: Points) -> Points:
        """Projects points (N, 3) of the camera's frame, all in front of it, to (N, 2) column and row."""
        pixels: Points = seen[:, :2] * (self.focal / seen[:, 2:]) + self._middle
        return pixels

    def project(self, polygon: Points) -> Points | None:
        """Projects a polygon (N, 3), cut at the near plane, to (M, 2) column and row; None if it is out of sight."""
        return self._shown(self.in_view(polygon))

    def project_ground(self, outline: Points) -> Points | None:
        """The same for a polygon (N, 2) on the ground."""
        return self._shown(outline @ self._ground_axes + self._ground_offset)

    def _shown(self, seen: Points) -> Points | None:
        if seen[:, 2].min() < NEAR:
            seen = _cut(seen)
            if len(seen) < 3:
                return None
        pixels = self.to_pixels(seen)
        (left, top), (right, bottom) = pixels.min(0).tolist(), pixels.max(0).tolist()
        if right < 0 or bottom < 0 or left > self.width - 1 or top > self.height - 1:
            return None
        return pixels


def _axes(pose: Pose) -> Points:
    sin_yaw, cos_yaw = math.sin(pose.yaw), math.cos(pose.yaw)
    sin_pitch, cos_pitch = math.sin(pose.pitch), math.cos(pose.pitch)
    forward = np.array([cos_pitch * sin_yaw, cos_pitch * cos_yaw, -sin_pitch])
    down = np.array([-sin_pitch * sin_yaw, -sin_pitch * cos_yaw, -cos_pitch])
    right = np.array([cos_yaw, -sin_yaw, 0.0])
    sin_roll, cos_roll = math.sin(pose.roll), math.cos(pose.roll)
    return np.stack([cos_roll * right + sin_roll * down, cos_roll * down - sin_roll * right, forward])


def _cut(seen: Points) -> Points:
    """Cuts a polygon at the near plane (Sutherland and Hodgman, CACM 1974, one plane)."""
    kept: list[Points] = []
    for start, end in zip(seen, np.roll(seen, -1, axis=0), strict=True):
        if start[2] >= NEAR:
            kept.append(start)
        if (start[2] >= NEAR) != (end[2] >= NEAR):
            kept.append(start + (end - start) * ((NEAR - start[2]) / (end[2] - start[2])))
    return np.array(kept).reshape(-1, 3)


def fixed_point(pixels: Points) -> npt.NDArray[np.int32]:
    """Turns pixel coordinates into OpenCV's fixed point, kept inside its range."""
    return np.rint(np.clip(pixels, -30000, 30000) * (1 << SHIFT)).astype(np.int32)


def fill(target: Uint8, pixels: Points, value: int) -> None:
    """Fills a projected polygon (N, 2) in a map of ids."""
    cv2.fillPoly(target, [fixed_point(pixels)], (value,), cv2.LINE_8, SHIFT)
