"""Rebuilding TFLite's operators that take parts of a tensor."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from edgeseg import thawed_layers
from edgeseg.tflite.graph import Operator
from edgeseg.thawing.graph import Handler, NotRebuilt, Thawing, Value, rebuilt_axes, settings
from edgeseg.thawing.weights import constant


def _sliced(thawing: Thawing, name: str, x: Value, begin: list[int], end: list[Any], strides: list[int]) -> Value:
    if isinstance(x, np.ndarray):
        return x[tuple(slice(*part) for part in zip(begin, end, strides, strict=True))]
    if begin[0] != 0 or strides[0] != 1:
        raise NotRebuilt("it takes a part of the batch")
    return thawed_layers.Slice(begin, end, strides, name=name)(x)


def slice_(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """SLICE: begin and size, -1 for all that follows."""
    begin, size = ([int(n) for n in constant(value, "bounds")] for value in inputs[1:3])
    shape = thawing.graph.inputs_of(op)[0].shape
    end = [None if n < 0 or b + n == s else b + n for b, n, s in zip(begin, size, shape, strict=True)]
    return [_sliced(thawing, thawing.name(op), inputs[0], begin, end, [1] * len(begin))]


def strided_slice(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """STRIDED_SLICE with its masks, new axes apart."""
    begin, end, strides = ([int(n) for n in constant(value, "bounds")] for value in inputs[1:4])
    options = {name: int(settings(op).get(name, 0)) for name in ("begin_mask", "end_mask", "shrink_axis_mask")}
    if settings(op).get("ellipsis_mask") or settings(op).get("new_axis_mask"):
        raise NotRebuilt("it has an ellipsis or a new axis")
    shape, ends = thawing.graph.inputs_of(op)[0].shape, list[Any](end)
    for n, side in enumerate(shape[: len(begin)]):
        if options["shrink_axis_mask"] >> n & 1:
            ends[n] = begin[n] + 1 or None
        elif options["end_mask"] >> n & 1 or end[n] == side:
            ends[n] = None
        if options["begin_mask"] >> n & 1:
            begin[n] = 0 if strides[n] > 0 else side - 1
    y = _sliced(thawing, f"{thawing.name(op)}_part", inputs[0], begin, ends, strides)
    shrunk = [n for n in range(len(begin)) if options["shrink_axis_mask"] >> n & 1]
    if isinstance(y, np.ndarray):
        return [y.squeeze(tuple(shrunk))]
    if 0 in shrunk:
        raise NotRebuilt("it takes a part of the batch")
    if not shrunk:
        return [y]
    sides = [side for n, side in enumerate(y.shape) if n not in shrunk][1:]
    return [keras.layers.Reshape(sides, name=thawing.name(op))(y)]


def split(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """SPLIT (axis, tensor) and SPLIT_V (tensor, sizes, axis)."""
    x, where = (inputs[1], inputs[0]) if op.op == "SPLIT" else (inputs[0], inputs[2])
    (axis,) = rebuilt_axes(constant(where, "axis"), len(x.shape))
    count = len(op.outputs)
    sizes = [x.shape[axis] // count] * count if op.op == "SPLIT" else [int(n) for n in constant(inputs[1], "sizes")]
    if -1 in sizes:
        sizes[sizes.index(-1)] = x.shape[axis] - sum(sizes) - 1
    parts, at = [], 0
    for number, size in enumerate(sizes):
        begin, end = [0] * len(x.shape), list[Any]([None] * len(x.shape))
        begin[axis], end[axis] = at, at + size
        parts.append(_sliced(thawing, f"{thawing.name(op)}_{number}", x, begin, end, [1] * len(begin)))
        at += size
    return parts


def unpack(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """UNPACK: a part for each index along an axis."""
    x = inputs[0]
    (axis,) = rebuilt_axes(settings(op)["axis"], len(x.shape))
    parts = []
    for number in range(len(op.outputs)):
        begin, end = [0] * len(x.shape), list[Any]([None] * len(x.shape))
        begin[axis], end[axis] = number, number + 1
        part = _sliced(thawing, f"{thawing.name(op)}_{number}_part", x, begin, end, [1] * len(begin))
        sides = [side for n, side in enumerate(part.shape) if n not in (0, axis)]
        parts.append(keras.layers.Reshape(sides, name=f"{thawing.name(op)}_{number}")(part))
    return parts


HANDLERS: dict[str, Handler] = {
    "SLICE": slice_,
    "STRIDED_SLICE": strided_slice,
    "SPLIT": split,
    "SPLIT_V": split,
    "UNPACK": unpack,
}
