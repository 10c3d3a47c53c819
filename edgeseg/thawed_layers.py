"""Layers for those operators of TFLite that Keras has no layer for.

`edgeseg thaw` builds networks of Keras' own layers and of these, which have no trainable weights. They are registered,
so that a `.keras` file with them loads wherever this module has been imported (`edgeseg.keras_model` does). Axes and
sizes are those of the whole tensor, the batch being axis 0, which no layer touches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

Tensor = Any
"""A Keras tensor."""

register = keras.saving.register_keras_serializable(package="edgeseg")

FUNCTIONS = (
    "abs", "negative", "exp", "log", "sqrt", "rsqrt", "square", "floor", "ceil", "round", "sign", "sin", "cos", "erf",
)  # fmt: skip
"""What `Elementwise` computes: functions of `keras.ops`."""

ARITHMETIC = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "power")
"""What `Arithmetic` and `WithConstant` compute: functions of `keras.ops`."""

REDUCTIONS = ("mean", "sum", "max", "min", "prod")
"""What `Reduce` computes: functions of `keras.ops`."""


class _Layer(keras.layers.Layer):  # type: ignore[misc]
    """A layer whose constructor's arguments, named in `SETTINGS`, are attributes."""

    SETTINGS: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        """Returns what the constructor needs."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.SETTINGS}}


@register
class Elementwise(_Layer):
    """Applies one of `FUNCTIONS` to every value."""

    SETTINGS = ("function",)

    def __init__(self, function: str, **others: Any) -> None:
        super().__init__(**others)
        self.function = function

    def call(self, x: Tensor) -> Tensor:
        """Computes the function."""
        return getattr(ops, self.function)(x)


@register
class Gelu(_Layer):
    """The Gaussian error linear unit, by the error function, or approximated by a hyperbolic tangent."""

    SETTINGS = ("approximate",)

    def __init__(self, approximate: bool, **others: Any) -> None:
        super().__init__(**others)
        self.approximate = approximate

    def call(self, x: Tensor) -> Tensor:
        """Computes it."""
        return keras.activations.gelu(x, approximate=self.approximate)


@register
class Arithmetic(_Layer):
    """One of `ARITHMETIC` between two tensors, broadcast."""

    SETTINGS = ("function",)

    def __init__(self, function: str, **others: Any) -> None:
        super().__init__(**others)
        self.function = function

    def call(self, pair: Sequence[Tensor]) -> Tensor:
        """Computes the function."""
        return getattr(ops, self.function)(pair[0], pair[1])


@register
class WithConstant(_Layer):
    """One of `ARITHMETIC` between a tensor and a constant of `shape`, the layer's one weight, which does not train.

    The constant comes second, or first if `constant_first`.
    """

    SETTINGS = ("function", "shape", "constant_first")

    def __init__(self, function: str, shape: Sequence[int], constant_first: bool = False, **others: Any) -> None:
        super().__init__(**others)
        self.function, self.shape, self.constant_first = function, tuple(shape), constant_first
        self.constant = self.add_weight(name="constant", shape=self.shape, initializer="zeros", trainable=False)

    def build(self, shape: Any) -> None:
        """Has nothing left to make."""

    def call(self, x: Tensor) -> Tensor:
        """Computes the function."""
        pair = (self.constant, x) if self.constant_first else (x, self.constant)
        return getattr(ops, self.function)(*pair)


@register
class Rounded(_Layer):
    """Rounds values to scale * (n - zero_point), n a whole number in low..high: what an integer file stores.

    Gradients pass as if nothing were rounded, and not at all outside the range.
    """

    SETTINGS = ("scale", "zero_point", "low", "high")

    def __init__(self, scale: float, zero_point: int, low: int, high: int, **others: Any) -> None:
        super().__init__(**others)
        self.scale, self.zero_point, self.low, self.high = scale, zero_point, low, high

    def call(self, x: Tensor) -> Tensor:
        """Rounds; on TensorFlow with its own operator, from which its converter takes the range."""
        least, most = (self.scale * (n - self.zero_point) for n in (self.low, self.high))
        bits = (self.high - self.low + 1).bit_length() - 1
        if keras.backend.backend() == "tensorflow" and least <= 0 <= most and bits <= 16:
            import tensorflow as tf  # only where it is the backend

            return tf.raw_ops.FakeQuantWithMinMaxArgs(inputs=x, min=least, max=most, num_bits=bits)
        clipped = ops.clip(x, least, most)
        return clipped + ops.stop_gradient(ops.round(clipped / self.scale) * self.scale - clipped)


@register
class Pad(_Layer):
    """Pads each axis by (before, after): with `value`, or in mode "reflect" or "symmetric"."""

    SETTINGS = ("paddings", "value", "mode")

    def __init__(
        self, paddings: Sequence[Sequence[int]], value: float = 0.0, mode: str = "constant", **others: Any
    ) -> None:
        super().__init__(**others)
        self.paddings, self.value, self.mode = [list(pair) for pair in paddings], value, mode

    def call(self, x: Tensor) -> Tensor:
        """Pads."""
        value = self.value if self.mode == "constant" else None
        return ops.pad(x, self.paddings, mode=self.mode, constant_values=value)


@register
class Reduce(_Layer):
    """One of `REDUCTIONS` over some axes."""

    SETTINGS = ("function", "axes", "keepdims")

    def __init__(self, function: str, axes: Sequence[int], keepdims: bool, **others: Any) -> None:
        super().__init__(**others)
        self.function, self.axes, self.keepdims = function, list(axes), keepdims

    def call(self, x: Tensor) -> Tensor:
        """Reduces."""
        return getattr(ops, self.function)(x, axis=tuple(self.axes), keepdims=self.keepdims)


@register
class Resize(_Layer):
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


@register
class Slice(_Layer):
    """Takes [begin:end:stride] of each axis; an end of None goes to the axis' end."""

    SETTINGS = ("begin", "end", "strides")

    def __init__(self, begin: Sequence[int], end: Sequence[int | None], strides: Sequence[int], **others: Any) -> None:
        super().__init__(**others)
        self.begin, self.end, self.strides = list(begin), list(end), list(strides)

    def call(self, x: Tensor) -> Tensor:
        """Slices."""
        parts = zip(self.begin, self.end, self.strides, strict=True)
        return x[tuple(slice(None) if n == 0 else slice(*part) for n, part in enumerate(parts))]


@register
class Stack(_Layer):
    """Puts tensors beside each other along a new axis."""

    SETTINGS = ("axis",)

    def __init__(self, axis: int, **others: Any) -> None:
        super().__init__(**others)
        self.axis = axis

    def call(self, parts: Sequence[Tensor]) -> Tensor:
        """Stacks."""
        return ops.stack(list(parts), axis=self.axis)


@register
class Tile(_Layer):
    """Repeats a tensor along each axis so many times."""

    SETTINGS = ("multiples",)

    def __init__(self, multiples: Sequence[int], **others: Any) -> None:
        super().__init__(**others)
        self.multiples = list(multiples)

    def call(self, x: Tensor) -> Tensor:
        """Repeats."""
        return ops.tile(x, self.multiples)


@register
class ArgMax(_Layer):
    """The index of the largest value along an axis (of the smallest, if `smallest`), int32."""

    SETTINGS = ("axis", "smallest")

    def __init__(self, axis: int = -1, smallest: bool = False, **others: Any) -> None:
        super().__init__(**others)
        self.axis, self.smallest = axis, smallest

    def call(self, x: Tensor) -> Tensor:
        """Finds it."""
        return ops.cast((ops.argmin if self.smallest else ops.argmax)(x, axis=self.axis), "int32")


@register
class Shuffle(_Layer):
    """Moves blocks of block x block pixels into channels, or, `to_space`, channels into blocks of pixels."""

    SETTINGS = ("block", "to_space")

    def __init__(self, block: int, to_space: bool, **others: Any) -> None:
        super().__init__(**others)
        self.block, self.to_space = block, to_space

    def call(self, x: Tensor) -> Tensor:
        """Moves them."""
        block, (_, rows, columns, channels) = self.block, x.shape
        if self.to_space:
            x = ops.reshape(x, (-1, rows, columns, block, block, channels // block**2))
            x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
            return ops.reshape(x, (-1, rows * block, columns * block, channels // block**2))
        x = ops.reshape(x, (-1, rows // block, block, columns // block, block, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, rows // block, columns // block, channels * block**2))


REGISTERED: dict[str, type[_Layer]] = {
    f"edgeseg>{layer.__name__}": layer
    for layer in (
        Elementwise, Gelu, Arithmetic, WithConstant, Rounded, Pad, Reduce, Resize, Slice, Stack, Tile, ArgMax, Shuffle,
    )
}  # fmt: skip
"""The layers by their registered names."""
