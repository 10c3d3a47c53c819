"""Layers that compute each value by itself: functions, arithmetic, rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from edgeseg.thawed_layers.layer import Layer, Tensor, register

FUNCTIONS = (
    "abs", "negative", "exp", "log", "sqrt", "rsqrt", "square", "floor", "ceil", "round", "sign", "sin", "cos", "erf",
)  # fmt: skip
"""What `Elementwise` computes: functions of `keras.ops`."""

ARITHMETIC = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "power")
"""What `Arithmetic` and `WithConstant` compute: functions of `keras.ops`."""


@register
class Elementwise(Layer):
    """Applies one of `FUNCTIONS` to every value."""

    SETTINGS = ("function",)

    def __init__(self, function: str, **others: Any) -> None:
        super().__init__(**others)
        self.function = function

    def call(self, x: Tensor) -> Tensor:
        """Computes the function."""
        return getattr(ops, self.function)(x)


@register
class Gelu(Layer):
    """The Gaussian error linear unit, by the error function, or approximated by a hyperbolic tangent."""

    SETTINGS = ("approximate",)

    def __init__(self, approximate: bool, **others: Any) -> None:
        super().__init__(**others)
        self.approximate = approximate

    def call(self, x: Tensor) -> Tensor:
        """Computes it."""
        return keras.activations.gelu(x, approximate=self.approximate)


@register
class Arithmetic(Layer):
    """One of `ARITHMETIC` between two tensors, broadcast."""

    SETTINGS = ("function",)

    def __init__(self, function: str, **others: Any) -> None:
        super().__init__(**others)
        self.function = function

    def call(self, pair: Sequence[Tensor]) -> Tensor:
        """Computes the function."""
        return getattr(ops, self.function)(pair[0], pair[1])


@register
class WithConstant(Layer):
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
class Rounded(Layer):
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
