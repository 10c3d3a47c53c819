"""Layers that move, join, repeat or reduce values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from edgeseg.thawed_layers.layer import Layer, Tensor, register

REDUCTIONS = ("mean", "sum", "max", "min", "prod")
"""What `Reduce` computes: functions of `keras.ops`."""


@register
class Pad(Layer):
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
class Reduce(Layer):
    """One of `REDUCTIONS` over some axes."""

    SETTINGS = ("function", "axes", "keepdims")

    def __init__(self, function: str, axes: Sequence[int], keepdims: bool, **others: Any) -> None:
        super().__init__(**others)
        self.function, self.axes, self.keepdims = function, list(axes), keepdims

    def call(self, x: Tensor) -> Tensor:
        """Reduces."""
        return getattr(ops, self.function)(x, axis=tuple(self.axes), keepdims=self.keepdims)


@register
class Slice(Layer):
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
class Stack(Layer):
    """Puts tensors beside each other along a new axis."""

    SETTINGS = ("axis",)

    def __init__(self, axis: int, **others: Any) -> None:
        super().__init__(**others)
        self.axis = axis

    def call(self, parts: Sequence[Tensor]) -> Tensor:
        """Stacks."""
        return ops.stack(list(parts), axis=self.axis)


@register
class Tile(Layer):
    """Repeats a tensor along each axis so many times."""

    SETTINGS = ("multiples",)

    def __init__(self, multiples: Sequence[int], **others: Any) -> None:
        super().__init__(**others)
        self.multiples = list(multiples)

    def call(self, x: Tensor) -> Tensor:
        """Repeats."""
        return ops.tile(x, self.multiples)


@register
class ArgMax(Layer):
    """The index of the largest value along an axis (of the smallest, if `smallest`), int32."""

    SETTINGS = ("axis", "smallest")

    def __init__(self, axis: int = -1, smallest: bool = False, **others: Any) -> None:
        super().__init__(**others)
        self.axis, self.smallest = axis, smallest

    def call(self, x: Tensor) -> Tensor:
        """Finds it."""
        return ops.cast((ops.argmin if self.smallest else ops.argmax)(x, axis=self.axis), "int32")


@register
class Shuffle(Layer):
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
