"""Resizing in all the ways that TFLite knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from edgeseg.thawed_layers.layer import Layer, Tensor, register


@register
class Resize(Layer):
    """Resizes maps (batch, rows, columns, channels) the ways TFLite knows.

    A target pixel i reads the source at i * (from - 1) / (to - 1) with `align_corners`, at (i + 0.5) * from / to - 0.5
    with `half_pixel`, else at i * from / to.

    Args:
        size: Rows and columns of the result.
        method: "bilinear" or "nearest".
        align_corners: See above.
        half_pixel: See above.
        others: As for any layer.
    """

    SETTINGS = ("size", "method", "align_corners", "half_pixel")

    def __init__(
        self, size: Sequence[int], method: str, align_corners: bool = False, half_pixel: bool = False, **others: Any
    ) -> None:
        super().__init__(**others)
        self.size, self.method, self.align_corners, self.half_pixel = list(size), method, align_corners, half_pixel

    def call(self, x: Tensor) -> Tensor:
        """Resizes; on TensorFlow with its own operator, which converts to TFLite's."""
        if keras.backend.backend() != "tensorflow":
            return self.by_matrices(x)
        import tensorflow as tf  # only where it is the backend

        operator = tf.raw_ops.ResizeBilinear if self.method == "bilinear" else tf.raw_ops.ResizeNearestNeighbor
        return operator(
            images=x, size=self.size, align_corners=self.align_corners, half_pixel_centers=self.half_pixel
        )  # fmt: skip

    def by_matrices(self, x: Tensor) -> Tensor:
        """Resizes as two products with sparse matrices, on any backend."""
        rows = self.weights_of(int(x.shape[1]), self.size[0])
        columns = self.weights_of(int(x.shape[2]), self.size[1])
        return ops.einsum("ri,bijc,sj->brsc", ops.cast(rows, x.dtype), x, ops.cast(columns, x.dtype))

    def weights_of(self, source: int, target: int) -> Any:
        """Returns (target, source) weights of each source pixel in each target pixel."""
        at = np.arange(target, dtype=np.float64)
        if self.align_corners and target > 1:
            at = at * (source - 1) / (target - 1)
        else:
            at = (at + 0.5) * source / target - 0.5 if self.half_pixel else at * source / target
        weights = np.zeros((target, source), np.float32)
        lines = np.arange(target)
        if self.method == "nearest":
            if self.half_pixel and not self.align_corners:
                at = at + 0.5
            chosen = np.floor(at + 0.5) if self.align_corners else np.floor(at + 1e-6)
            weights[lines, np.clip(chosen, 0, source - 1).astype(int)] = 1
            return weights
        at = np.clip(at, 0, source - 1)
        low = np.floor(at).astype(int)
        np.add.at(weights, (lines, low), 1 - (at - low))
        np.add.at(weights, (lines, np.minimum(low + 1, source - 1)), at - low)
        return weights

    def compute_output_shape(self, shape: Any) -> tuple[Any, ...]:
        """Returns (batch, rows, columns, channels)."""
        return (shape[0], *self.size, shape[3])
