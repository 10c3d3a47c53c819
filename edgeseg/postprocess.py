"""From logits to label maps, with the same result to the last pixel on every processor.

Interpolated logits of two classes are often exactly equal, above all where they come from a quantized network. Then the
rounding of a float resize decides the pixel, and it differs between processors (fused multiply-add, vector width). So
integer logits are interpolated here in integers, with weights in 1/2048, and float logits by separate multiplications
and additions, each rounded as IEEE 754 prescribes.

Upsampling everything and then comparing would take a hundred times the memory. It is not needed: where the four logits
around a pixel agree on the strongest class, any bilinear mixture of them does too (a convex combination keeps every
inequality). Only pixels between disagreeing neighbours are interpolated: the outlines of the regions.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32, Uint8, check_size, filled
from edgeseg.errors import UsageError

_WEIGHT_BITS = 11  # 8-bit logits times two weights of 11 bits stay inside int32
_CHUNK = 1 << 14  # pixels interpolated at once: their logits stay in the second-level cache

Index = npt.NDArray[np.intp]


class Argmax:
    """Strongest class per pixel at the logits' own resolution; keeps its buffers from call to call.

    Args:
        height: Rows of the logits.
        width: Columns of the logits.
        num_classes: Channels of the logits, 1 to 256.
        dtype: Type of the logits.
    """

    def __init__(self, height: int, width: int, num_classes: int, dtype: npt.DTypeLike) -> None:
        check_size(height, width)
        if not 1 <= num_classes <= 256:
            raise UsageError(f"logits of {num_classes} classes: expected 1 to 256, as ids are stored in a byte")
        self._planes = np.empty((num_classes, height * width), dtype)
        self._best = np.empty((1, height * width), dtype)
        self._mask = np.empty((1, height * width), np.uint8)
        self._shape = (height, width)

    def __call__(self, logits: npt.NDArray[Any], out: Uint8 | None = None) -> Uint8:
        """Takes the strongest class of each pixel.

        Args:
            logits: (height, width, num_classes) of the dtype that was promised.
            out: (height, width) uint8 to fill; a new array if None.

        Returns:
            (height, width) uint8 class ids; ties go to the lower id.

        Raises:
            UsageError: The logits or `out` are not what was promised.
        """
        planes, best, mask = self._planes, self._best, self._mask
        if logits.shape != (*self._shape, len(planes)) or logits.dtype != planes.dtype:
            raise UsageError(
                f"logits are {logits.dtype} of shape {logits.shape}: expected {planes.dtype} of shape "
                f"{(*self._shape, len(planes))}"
            )
        labels = np.empty(self._shape, np.uint8) if out is None else checked_out(out, self._shape)
        labels.fill(0)
        flat = labels.reshape(1, -1)
        filled(planes, cv2.transpose(logits.reshape(-1, len(planes)), dst=planes))
        best[0] = planes[0]
        for class_id in range(1, len(planes)):
            plane = planes[class_id : class_id + 1]
            filled(mask, cv2.compare(plane, best, cv2.CMP_GT, dst=mask))
            filled(best, cv2.max(plane, best, dst=best))
            np.minimum(mask, class_id, out=mask)  # 255 where stronger becomes the id,
            np.maximum(flat, mask, out=flat)  # which is above every id so far
        return labels


def checked_out(out: Uint8, shape: tuple[int, int]) -> Uint8:
    """Returns `out`, where a label map of `shape` is to go.

    Raises:
        UsageError: It is not contiguous uint8 of that shape.
    """
    if out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
        raise UsageError(f"out is {out.dtype} of shape {out.shape}: expected contiguous uint8 of shape {shape}")
    return out


def _check(logits: npt.NDArray[Any]) -> None:
    if logits.ndim != 3 or not logits.size or logits.dtype.kind not in "iuf":
        raise UsageError(f"logits are {logits.dtype} of shape {logits.shape}: expected numbers (h, w, classes)")


def label_map(logits: npt.NDArray[Any], height: int, width: int, canvas: tuple[int, int] | None = None) -> Uint8:
    """Upsamples logits bilinearly and takes the strongest class of each pixel.

    Args:
        logits: (h, w, classes), float or integer; half-pixel centres, the border repeated outwards.
        height: Rows wanted.
        width: Columns wanted.
        canvas: (rows, columns) that the logits cover, of which the upper left (height, width) is wanted; just that
            if None.

    Returns:
        (height, width) uint8 class ids; ties go to the lower id.

    Raises:
        UsageError: The logits are not numbers (h, w, classes) of at most 256 classes, or the size is none.
    """
    _check(logits)
    check_size(height, width)
    whole_height, whole_width = (height, width) if canvas is None else canvas
    rows, columns, num_classes = logits.shape
    logits = _computable(logits)
    coarse = Argmax(rows, columns, num_classes, logits.dtype)(logits)
    if (rows, columns) == (whole_height, whole_width):
        return np.ascontiguousarray(coarse[:height, :width])
    top, bottom, down = (part[:height] for part in _neighbours(rows, whole_height))
    left, right, across = (part[:width] for part in _neighbours(columns, whole_width))
    labels: Uint8 = coarse[:, left][top]
    pending = np.flatnonzero(_disagreeing(coarse)[:, left][top])
    table, flat = logits.reshape(-1, num_classes), labels.reshape(-1)
    integer = logits.dtype.kind in "iu"
    accumulator = np.dtype((np.int32 if logits.dtype.itemsize == 1 else np.int64) if integer else logits.dtype)
    for start in range(0, len(pending), _CHUNK):
        chosen = pending[start : start + _CHUNK]
        y, x = np.divmod(chosen, width)
        weights = (_weights(down[y], whole_height, accumulator), _weights(across[x], whole_width, accumulator))
        corners = tuple(
            table[row * columns + column].astype(accumulator, copy=False)
            for row in (top[y], bottom[y])
            for column in (left[x], right[x])
        )
        flat[chosen] = np.argmax(_mix(corners, weights), axis=1)
    return labels


def probabilities(
    logits: npt.NDArray[Any], height: int, width: int, canvas: tuple[int, int] | None = None, *, softmax: bool = True
) -> Float32:
    """Upsamples logits bilinearly and takes the softmax of each pixel.

    Args:
        logits: (h, w, classes) in real units; half-pixel centres, the border repeated outwards.
        height: Rows wanted.
        width: Columns wanted.
        canvas: See `label_map`.
        softmax: Whether they are logits; else they are probabilities already, >= 0, and are only upsampled.

    Returns:
        (height, width, classes) float32; each pixel's sum to 1.

    Raises:
        UsageError: The logits are not numbers (h, w, classes), or the size is none.
    """
    _check(logits)
    check_size(height, width)
    rows, columns = (height, width) if canvas is None else canvas
    planes = np.empty((logits.shape[2], height, width), np.float32)
    for index, plane in enumerate(planes):
        source = np.ascontiguousarray(logits[:, :, index], np.float32)
        plane[:] = cv2.resize(source, (columns, rows), interpolation=cv2.INTER_LINEAR)[:height, :width]
    if softmax:
        planes -= planes.max(0)
        np.exp(planes, out=planes)
    planes /= np.maximum(planes.sum(0), np.finfo(np.float32).tiny)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def binary_label_map(logits: npt.NDArray[Any], threshold: float) -> Uint8:
    """Thresholds a network of one output channel: 1 above `threshold`, else 0.

    Args:
        logits: (h, w, 1).
        threshold: In the logits' own (quantized) units.

    Returns:
        (h, w) uint8.

    Raises:
        UsageError: The logits are not numbers (h, w, 1).
    """
    _check(logits)
    if logits.shape[2] != 1:
        raise UsageError(f"logits of {logits.shape[2]} channels: expected one, as a threshold parts two classes")
    return (logits[:, :, 0] > threshold).astype(np.uint8)


def _computable(logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """OpenCV knows neither float16 nor 64-bit integers."""
    if logits.dtype == np.float16:
        logits = logits.astype(np.float32)
    elif logits.dtype.kind in "iu" and logits.dtype.itemsize > 4:
        logits = logits.astype(np.float64)
    return np.ascontiguousarray(logits)


def _neighbours(source: int, target: int) -> tuple[Index, Index, Index]:
    """For each target position: the two source positions around it, and how far on it is, in 1/(2 target) steps."""
    position = np.maximum((2 * np.arange(target) + 1) * source - target, 0)
    lower = position // (2 * target)
    return lower, np.minimum(lower + 1, source - 1), position - lower * 2 * target


def _disagreeing(coarse: Uint8) -> npt.NDArray[np.bool_]:
    """Whether the square of which a position is the top left corner holds more than one class."""
    padded = np.pad(coarse, ((0, 1), (0, 1)), mode="edge")
    corner = padded[:-1, :-1]
    differs: npt.NDArray[np.bool_] = (
        (padded[1:, :-1] != corner) | (padded[:-1, 1:] != corner) | (padded[1:, 1:] != corner)
    )
    return differs


def _weights(steps: Index, target: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if dtype.kind == "f":
        return (steps / (2.0 * target)).astype(dtype)[:, None]
    return (((steps << _WEIGHT_BITS) + target) // (2 * target)).astype(dtype)[:, None]


def _mix(corners: tuple[npt.NDArray[Any], ...], weights: tuple[npt.NDArray[Any], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    top_left, top_right, bottom_left, bottom_right = corners
    down, across = weights
    one = down.dtype.type(1 if down.dtype.kind == "f" else 1 << _WEIGHT_BITS)
    upper = top_left * (one - across) + top_right * across
    lower = bottom_left * (one - across) + bottom_right * across
    mixed: npt.NDArray[Any] = upper * (one - down) + lower * down
    return mixed
