"""Steadier label maps from frame to frame, without smearing what moves.

A pixel keeps its class until another one has been seen there often enough in a row. Where the scene moves, nothing is
held back: the shift of the whole image between two frames (a drone's own motion) is estimated by phase correlation
(Kuglin and Hines, 1975) and the memory is shifted along; pixels that still differ afterwards belong to something that
moves by itself, and take their new class at once. At a cut, everything does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from edgeseg.arrays import Float32, Uint8, check_image, check_label_map, filled
from edgeseg.errors import UsageError

T = TypeVar("T", Float32, Uint8)

_MOTION_WIDTH = 160
_SAME_SCENE = 0.05
"""Response of the phase correlation (0-1) below which two frames have nothing in common."""


@dataclass(frozen=True, kw_only=True)
class SmoothingFigures:
    """What smoothing did.

    Attributes:
        frames: Frames smoothed.
        raw_flicker: Share of pixels whose class changed from one frame to the next, before smoothing.
        flicker: The same after it.
        mean_ms: Time for a frame.
    """

    frames: int
    raw_flicker: float
    flicker: float
    mean_ms: float


class TemporalSmoother:
    """Smooths the label maps of a sequence; give them in order.

    Args:
        patience: How many times in a row another class must be seen before a still pixel takes it; 1 smooths nothing.
        motion: Difference in brightness (0-255) above which a pixel moves.
    """

    def __init__(self, patience: int = 3, motion: int = 14) -> None:
        if not 1 <= patience <= 100:
            raise UsageError(f"smoothing over {patience} frames: expected 1 to 100")
        self._patience, self._motion = patience, motion
        self._held = self._doubt = self._raw = np.empty((0, 0), np.uint8)
        self._grey = np.empty((0, 0), np.float32)
        self._window = np.empty((0, 0), np.float32)
        self._frames = 0
        self._seconds = self._raw_changes = self._changes = 0.0

    def __call__(self, frame: Uint8, label_map: Uint8) -> Uint8:
        """Smooths one label map.

        Args:
            frame: (H, W, 3) uint8 that it was made of.
            label_map: (h, w) uint8.

        Returns:
            (h, w) uint8, overwritten by the next call.

        Raises:
            UsageError: `frame` is no image, or `label_map` no label map.
        """
        check_image(frame, "frame")
        check_label_map(label_map)
        start = time.perf_counter()
        grey = _small_grey(frame)
        if self._held.shape != label_map.shape or self._grey.shape != grey.shape:
            self._begin(label_map, grey)
        else:
            moved = self._follow(grey, label_map.shape)
            self._raw_changes += float(np.count_nonzero(self._raw != label_map)) / label_map.size
            np.copyto(self._raw, label_map)
            before = self._held.copy()
            self._update(label_map, moved)
            self._changes += float(np.count_nonzero(self._held != before)) / label_map.size
        self._grey = grey
        self._frames += 1
        self._seconds += time.perf_counter() - start
        return self._held

    def figures(self) -> SmoothingFigures:
        """Returns what smoothing did so far."""
        steps = max(1, self._frames - 1)
        return SmoothingFigures(
            frames=self._frames,
            raw_flicker=self._raw_changes / steps,
            flicker=self._changes / steps,
            mean_ms=self._seconds * 1000 / max(1, self._frames),
        )

    def _begin(self, label_map: Uint8, grey: Float32) -> None:
        self._held = np.array(label_map)
        self._raw = np.array(label_map)
        self._doubt = np.zeros_like(self._held)
        self._window = cv2.createHanningWindow(grey.shape[::-1], cv2.CV_32F).astype(np.float32, copy=False)

    def _follow(self, grey: Float32, shape: tuple[int, ...]) -> Uint8:
        """Shifts the memory along with the image; returns 255 where something moves by itself, else 0."""
        # Copies: phaseCorrelate multiplies the window into images whose size needs no padding.
        (x, y), response = cv2.phaseCorrelate(self._grey.copy(), grey.copy(), self._window)
        rows, columns = shape[:2]
        if response < _SAME_SCENE:
            return np.full((rows, columns), 255, np.uint8)
        previous = self._grey
        if max(abs(x), abs(y)) >= 0.25:
            previous = _shifted(previous, x, y, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT, -255.0)
            across, down = x * columns / grey.shape[1], y * rows / grey.shape[0]
            self._held = _shifted(self._held, across, down, cv2.INTER_NEAREST, cv2.BORDER_REPLICATE, 0.0)
            self._doubt = _shifted(self._doubt, across, down, cv2.INTER_NEAREST, cv2.BORDER_REPLICATE, 0.0)
        difference = cv2.blur(cv2.absdiff(previous, grey), (3, 3))
        moving = (np.asarray(difference) > self._motion).astype(np.uint8) * 255
        wider = cv2.dilate(moving, np.ones((3, 3), np.uint8))
        return cv2.resize(wider, (columns, rows), interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False)

    def _update(self, label_map: Uint8, moved: Uint8) -> None:
        """Counts how often in a row each pixel disagreed with what is held, and lets go where it was often enough."""
        differs = np.asarray(cv2.compare(label_map, self._held, cv2.CMP_NE), np.uint8)
        self._doubt = np.asarray(cv2.bitwise_and(cv2.add(self._doubt, 1), differs), np.uint8)  # type: ignore[call-overload]
        convinced = np.asarray(cv2.compare(self._doubt, self._patience, cv2.CMP_GE), np.uint8)  # type: ignore[call-overload]
        taken = cv2.bitwise_or(convinced, moved)
        filled(self._held, cv2.copyTo(label_map, taken, self._held))
        self._doubt[np.asarray(taken) > 0] = 0


def _small_grey(frame: Uint8) -> Float32:
    height, width = frame.shape[:2]
    size = (min(width, _MOTION_WIDTH), max(1, round(height * min(1.0, _MOTION_WIDTH / width))))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.float32)


def _shifted(image: T, x: float, y: float, interpolation: int, border: int, value: float) -> T:
    """Moves an image's content by x to the right and y downwards."""
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    size = (image.shape[1], image.shape[0])
    moved = cv2.warpAffine(image, matrix, size, flags=interpolation, borderMode=border, borderValue=(value,))
    return moved.astype(image.dtype, copy=False)
