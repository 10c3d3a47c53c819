"""Shapes to masks. Coordinates count from the image's upper left corner, so pixel (0, 0) covers 0 to 1 in x and y.

A pixel belongs to a shape if its centre lies inside. COCO, CVAT, Label Studio, Labelme and YOLO all draw their shapes
in these coordinates; what each makes of the pixels on the edge differs, and the centre is what all of them approximate.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from edgeseg.data.importing.records import Mask
from edgeseg.errors import DataError, quoted

Points = npt.NDArray[np.float64]
_ARC = 128
"""Corners of the polygon that stands for an ellipse."""


def points_of(values: Any, least: int) -> Points:
    """Returns (N, 2) x and y of what a file gives, [[x, y], ...] or [x, y, x, y, ...].

    Raises:
        DataError: These are no points, or fewer than `least`.
    """
    try:
        points = np.asarray(values, np.float64)
        points = points.reshape(-1, 2) if points.ndim == 1 else points
    except (TypeError, ValueError, OverflowError):
        points = np.empty((0, 0))
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise DataError(f"points {quoted(values)}: expected pairs of numbers")
    if len(points) < least:
        raise DataError(f"{len(points)} points: expected {least} or more")
    return points


def polygon(rings: Sequence[Points], height: int, width: int) -> Mask:
    """Fills rings by the even-odd rule: rings inside another are holes.

    Foley et al., "Computer Graphics: Principles and Practice", section 3.6: each row's crossings with the edges.
    """
    mask = np.zeros((height, width), bool)
    corners = np.concatenate(list(rings))
    low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    left, top = np.clip(low, 0, (width, height)).astype(int)
    right, bottom = np.clip(high, 0, (width, height)).astype(int)
    crossings = np.zeros((bottom - top, right - left + 1), np.int16)
    for ring in rings:
        start, end = ring, np.roll(ring, -1, axis=0)
        upper, lower = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
        first = np.clip(np.ceil(upper - 0.5), top, bottom).astype(np.int64)
        counts = np.clip(np.ceil(lower - 0.5), top, bottom).astype(np.int64) - first
        edges = np.repeat(np.arange(len(ring)), counts)
        rows = first[edges] + np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts, counts)
        (x0, y0), (x1, y1) = start[edges].T, end[edges].T
        columns = np.ceil(x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0) - 0.5)
        np.add.at(crossings, (rows - top, np.clip(columns, left, right).astype(np.int64) - left), 1)
    mask[top:bottom, left:right] = np.cumsum(crossings[:, :-1] & 1, axis=1, dtype=np.int16) & 1
    return mask


def box(x0: float, y0: float, x1: float, y1: float, degrees: float = 0.0) -> Points:
    """Returns the corners of a box, turned clockwise about its centre."""
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)
    return turned(corners, (x0 + x1) / 2, (y0 + y1) / 2, degrees)


def ellipse(x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0.0) -> Points:
    """Returns an ellipse as a polygon, turned clockwise about its centre."""
    angles = np.linspace(0, 2 * np.pi, _ARC, endpoint=False)
    return turned(np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], 1), x, y, degrees)


def turned(points: Points, x: float, y: float, degrees: float) -> Points:
    """Turns points clockwise, as one sees them, about (x, y)."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    result: Points = (points - (x, y)) @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
    return result


def line(points: Points, thickness: int, height: int, width: int) -> Mask:
    """Draws connected lines of `thickness` pixels."""
    mask = np.zeros((height, width), np.uint8)
    corners = np.clip(np.floor(points), -30_000, 30_000).astype(np.int32)
    cv2.polylines(mask, [corners], False, 1, thickness)
    return mask.astype(bool)


def placed(patch: Mask, x: int, y: int, height: int, width: int) -> Mask:
    """Returns a mask of the whole image with `patch` at column x and row y; what sticks out is cut off."""
    mask = np.zeros((height, width), bool)
    top, left = max(0, y), max(0, x)
    bottom, right = min(height, y + patch.shape[0]), min(width, x + patch.shape[1])
    if bottom > top and right > left:
        mask[top:bottom, left:right] = patch[top - y : bottom - y, left - x : right - x]
    return mask


def png_mask(data: bytes) -> Mask:
    """Decodes a PNG inside an annotation: opaque pixels where it has transparency, else those that are not 0.

    Raises:
        DataError: It is no image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            values = np.asarray(image)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DataError("a mask that is no PNG") from error
    if values.ndim == 3:
        values = values[..., -1] if values.shape[2] in (2, 4) else values.max(axis=2)
    mask: Mask = values != 0
    return mask
