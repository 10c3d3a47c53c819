"""What a robot wants of a mask: where it is free, where a circle of free ground fits, how far ahead is free.

All of it is computed on a copy of the mask with at most `LONGEST_SIDE` pixels, in the frame's aspect ratio, so that a
circle is a circle whatever the network's input shape is. Places are given as fractions of the frame, x to the right, y
downwards; lengths in metres are given where the camera's height and field of view are known, over flat ground.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8, check_label_map, check_size
from edgeseg.card import LabelSet
from edgeseg.errors import UsageError, unknown_name
from edgeseg.image import resize_label_map
from edgeseg.live.packet import Packet

LONGEST_SIDE = 256
_LEVEL = 1e-6  # a ray that sinks less never meets the ground
COLUMNS = 72
"""Directions of the free distance: as many as MAVLink's OBSTACLE_DISTANCE has."""


@dataclass(frozen=True, kw_only=True)
class CameraGeometry:
    """How the camera looks at flat ground.

    Attributes:
        height: Metres above the ground.
        fov: Horizontal field of view, degrees.
        pitch: Degrees below the horizon that the optical axis points: 90 is straight down.
    """

    height: float
    fov: float
    pitch: float = 90.0

    def __post_init__(self) -> None:
        if not (0 < self.height < math.inf and 0 < self.fov < 180 and 0 <= self.pitch <= 90):
            raise UsageError(
                f"camera height {self.height} m, field of view {self.fov}°, pitch {self.pitch}°: expected more than 0, "
                "0 to 180, and 0 (level) to 90 (straight down)"
            )


@dataclass(frozen=True, kw_only=True)
class Circle:
    """The largest circle of safe ground.

    Attributes:
        x: Its centre, as a fraction of the frame's width.
        y: Its centre, as a fraction of the frame's height.
        radius: As a fraction of the frame's width.
        radius_m: In metres; None where the geometry is unknown.
        angle_x: Degrees that the centre lies to the right of the optical axis; None likewise.
        angle_y: Degrees that it lies below the axis; None likewise.
        distance_m: Metres from the camera to the centre; None likewise, and where it lies above the horizon.
    """

    x: float
    y: float
    radius: float
    radius_m: float | None = None
    angle_x: float | None = None
    angle_y: float | None = None
    distance_m: float | None = None


@dataclass(frozen=True, kw_only=True)
class FreeSpace:
    """What is free.

    Attributes:
        share: Of the frame's area.
        region_share: The share of the largest connected part.
        region_box: Its left, top, right and bottom, as fractions of the frame.
        circle: The largest circle; None if nothing is free.
        columns: For `COLUMNS` directions from left to right (of equal angle where the geometry is known, else of equal
            width): how much of the frame's height is free from the bottom up.
        columns_m: The same as metres ahead; None where the geometry is unknown or the camera looks straight down; in
            it, infinity where everything up to the horizon is free.
    """

    share: float
    region_share: float
    region_box: tuple[float, float, float, float]
    circle: Circle | None
    columns: tuple[float, ...]
    columns_m: tuple[float, ...] | None = None


def safe_table(labels: LabelSet, names: Sequence[str]) -> Uint8:
    """Returns a table from class id to 1 (safe) or 0.

    Raises:
        UsageError: A name is no class.
    """
    table = np.zeros(256, np.uint8)
    for name in names:
        if name not in labels.names:
            raise unknown_name("class", name, labels.names)
        table[labels.names.index(name)] = 1
    return table


def free_space(
    label_map: Uint8, frame_size: tuple[int, int], table: Uint8, geometry: CameraGeometry | None = None
) -> FreeSpace:
    """Finds what is free.

    Args:
        label_map: (h, w) uint8 class ids of any scale.
        frame_size: (rows, columns) of the frame, for its aspect ratio.
        table: From `safe_table`.
        geometry: For angles and metres.

    Raises:
        UsageError: `label_map` is no label map, `frame_size` no size, or `table` not of `safe_table`'s kind.
    """
    check_label_map(label_map)
    check_size(*frame_size)
    if np.shape(table) != (256,) or table.dtype != np.uint8:
        raise UsageError(
            f"a table of {table.dtype} of shape {np.shape(table)}: expected uint8 of (256,), by safe_table"
        )
    scale = min(1.0, LONGEST_SIDE / max(frame_size))
    rows, columns = (max(1, round(side * scale)) for side in frame_size)
    safe = table[resize_label_map(np.ascontiguousarray(label_map), rows, columns)]
    region_share, region_box = _largest_region(safe)
    borders = _directions(geometry)
    free = _free_from_below(safe, borders)
    return FreeSpace(
        share=float(safe.mean()),
        region_share=region_share,
        region_box=region_box,
        circle=_largest_circle(safe, geometry),
        columns=tuple(float(part) for part in free),
        columns_m=_ahead(free, borders, rows / columns, geometry),
    )


class FreeSpaceFinder:
    """Finds what is free in results; computes it once for each, however many ask.

    Args:
        labels: The classes.
        safe: Names of the classes that are free ground.
        geometry: How the camera looks at the ground, if known.

    Raises:
        UsageError: A name is no class.
    """

    def __init__(self, labels: LabelSet, safe: Sequence[str], geometry: CameraGeometry | None = None) -> None:
        self._table, self._geometry = safe_table(labels, safe), geometry
        self._last: tuple[int, FreeSpace] | None = None

    def __call__(self, packet: Packet) -> FreeSpace:
        """Returns what is free in a valid result."""
        if packet.label_map is None or packet.image is None:
            raise ValueError("a result without a mask has no free space")
        if self._last is None or self._last[0] != packet.index:
            size = packet.image.shape[:2]
            found = free_space(packet.label_map, (size[0], size[1]), self._table, self._geometry)
            self._last = (packet.index, found)
        return self._last[1]


def _largest_region(safe: Uint8) -> tuple[float, tuple[float, float, float, float]]:
    rows, columns = safe.shape
    count, _, stats, _ = cv2.connectedComponentsWithStats(safe, connectivity=4)
    if count < 2:
        return 0.0, (0.0, 0.0, 0.0, 0.0)
    left, top, width, height, area = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))]
    box = (left / columns, top / rows, (left + width) / columns, (top + height) / rows)
    return float(area / safe.size), (float(box[0]), float(box[1]), float(box[2]), float(box[3]))


def _largest_circle(safe: Uint8, geometry: CameraGeometry | None) -> Circle | None:
    """The farthest point from anything unsafe; what lies outside the frame is not known, so it is not safe."""
    rows, columns = safe.shape
    inside = cv2.copyMakeBorder(safe, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    _, longest, _, (column, row) = cv2.minMaxLoc(distance)
    if longest <= 0:
        return None
    x, y = (column - 0.5) / columns, (row - 0.5) / rows
    radius = (longest - 0.5) / columns
    if geometry is None:
        return Circle(x=x, y=y, radius=radius)
    half_width = math.tan(math.radians(geometry.fov / 2))
    half_height = half_width * rows / columns
    right, down = (2 * x - 1) * half_width, (2 * y - 1) * half_height  # at distance 1 along the axis
    pitch = math.radians(geometry.pitch)
    sinking = math.sin(pitch) + down * math.cos(pitch)  # how far the ray goes down while it goes 1 along the axis
    depth = geometry.height / sinking if sinking > _LEVEL else None
    return Circle(
        x=x,
        y=y,
        radius=radius,
        radius_m=None if depth is None else radius * 2 * half_width * depth,
        angle_x=math.degrees(math.atan(right)),
        angle_y=math.degrees(math.atan(down)),
        distance_m=None if depth is None else depth * math.sqrt(1 + right**2 + down**2),
    )


def _directions(geometry: CameraGeometry | None) -> npt.NDArray[np.float64]:
    """Borders of the directions, as fractions of the frame's width: of equal angle where the field of view is known."""
    steps = np.linspace(-1, 1, COLUMNS + 1)
    if geometry is not None:
        half = math.radians(geometry.fov / 2)
        steps = np.tan(steps * half) / math.tan(half)
    return (steps + 1) / 2


def _free_from_below(safe: Uint8, borders: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each direction, the share of the height that is free from the bottom up, at its most blocked pixel column."""
    rows, columns = safe.shape
    blocked = safe[::-1] == 0
    free = np.where(blocked.any(0), blocked.argmax(0), rows) / rows
    starts = np.minimum((borders[:-1] * columns).astype(np.intp), columns - 1)
    return np.asarray(np.minimum.reduceat(free, starts), np.float64)


def _ahead(
    free: npt.NDArray[np.float64],
    borders: npt.NDArray[np.float64],
    aspect: float,
    geometry: CameraGeometry | None,
) -> tuple[float, ...] | None:
    """Metres over the ground to where each direction is blocked first."""
    if geometry is None or geometry.pitch >= 90:
        return None
    half_width, pitch = math.tan(math.radians(geometry.fov / 2)), math.radians(geometry.pitch)
    down = (1 - 2 * free) * half_width * aspect  # of a ray that goes 1 along the optical axis
    right = (borders[:-1] + borders[1:] - 1) * half_width
    sinking = math.sin(pitch) + down * math.cos(pitch)
    onward = math.cos(pitch) - down * math.sin(pitch)
    depth = np.divide(geometry.height, sinking, out=np.full(len(free), np.inf), where=sinking > _LEVEL)
    metres = np.where(np.isfinite(depth), np.hypot(np.maximum(onward, 0.0), right) * np.minimum(depth, 1e9), np.inf)
    return tuple(float(value) for value in metres)
