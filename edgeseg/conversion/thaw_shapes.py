"""Rebuilding TFLite's operators that move values: pooling, resizing, reshaping, slicing, joining."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from edgeseg import thawed_layers
from edgeseg.conversion.thaw_graph import Handler, NotRebuilt, Thawing, Value, settings
from edgeseg.conversion.thaw_weights import activated, constant
from edgeseg.tflite.graph import Operator

BROADCASTING = ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW")
"""Operators that align the last axes of two tensors."""


def _axes(values: Any, rank: int) -> list[int]:
    """Returns axes counted from the front; the batch is none that a layer may touch."""
    axes = sorted(int(axis) % rank for axis in np.ravel(values))
    if 0 in axes:
        raise NotRebuilt("it works along the batch")
    return axes


def pool(kind: str) -> Handler:
    """Makes the handler of AVERAGE_POOL_2D or MAX_POOL_2D; one window over the whole map is a global pooling."""

    def handle(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
        x, o, name = inputs[0], settings(op), thawing.name(op)
        window = (int(o["filter_h"]), int(o["filter_w"]))
        if thawing.graph.inputs_of(op)[0].shape[1:3] == window and o["padding"] == "VALID":
            made = getattr(keras.layers, f"Global{kind}Pooling2D")(keepdims=True, name=name)
        else:
            strides, padding = (int(o["stride_h"]), int(o["stride_w"])), str(o["padding"]).lower()
            made = getattr(keras.layers, f"{kind}Pooling2D")(window, strides=strides, padding=padding, name=name)
        return [activated(thawing, op, made(x))]

    return handle


def reduce(function: str) -> Handler:
    """Makes the handler of MEAN and the like; over rows and columns, MEAN is a global pooling."""

    def handle(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
        x, keep = inputs[0], bool(settings(op).get("keep_dims"))
        axes = _axes(constant(inputs[1], "axes"), len(x.shape))
        if function == "mean" and axes == [1, 2] and len(x.shape) == 4:
            return [keras.layers.GlobalAveragePooling2D(keepdims=keep, name=thawing.name(op))(x)]
        return [thawed_layers.Reduce(function, axes, keep, name=thawing.name(op))(x)]

    return handle


def resize(method: str) -> Handler:
    """Makes the handler of RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR."""

    def handle(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
        x = inputs[0]
        size = thawing.new_size(tuple(map(int, constant(inputs[1], "size"))))
        corners, half = bool(settings(op)["align_corners"]), bool(settings(op)["half_pixel_centers"])
        factors = [to / of for to, of in zip(size, x.shape[1:3], strict=True)]
        whole = all(factor == int(factor) and factor >= 1 for factor in factors)
        if method == "bilinear" and half and not corners and whole:
            made = keras.layers.UpSampling2D(tuple(map(int, factors)), interpolation=method, name=thawing.name(op))
        else:
            made = thawed_layers.Resize(size, method, corners, half, name=thawing.name(op))
        return [made(x)]

    return handle


def reshape(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """RESHAPE, SQUEEZE and EXPAND_DIMS, to the shape that the file's result has.

    Where the network has another input size or number of classes, the first dimension that can takes up the change.
    """
    x, target = inputs[0], list(thawing.graph.outputs_of(op)[0].shape)
    if isinstance(x, np.ndarray):
        return [x.reshape(target)]
    given = thawing.graph.inputs_of(op)[0].shape
    if not target or not given or target[0] != given[0]:
        target = _with_batch(thawing, op, target)
    sides, total = target[1:], math.prod(x.shape[1:])
    if math.prod(sides) != total:
        for n in range(len(sides)):
            rest = math.prod(sides[:n] + sides[n + 1 :])
            if total % rest == 0:
                sides[n] = total // rest
                break
        else:
            raise NotRebuilt(f"{list(x.shape[1:])} does not go into {target[1:]}")
    return [keras.layers.Reshape(sides, name=thawing.name(op))(x)]


def _with_batch(thawing: Thawing, op: Operator, target: list[int]) -> list[int]:
    """Returns the shape of a result that the file leaves without a batch of 1, to broadcast it against a larger tensor.

    Raises:
        NotRebuilt: It is not for broadcasting, or the batch is another.
    """
    given = thawing.graph.inputs_of(op)[0].shape
    takers = [other for other in thawing.graph.operators if op.outputs[0] in other.inputs]
    if (
        given[:1] != (1,)
        or len(takers) != 1
        or takers[0].op not in BROADCASTING
        or op.outputs[0] in thawing.graph.outputs
    ):
        raise NotRebuilt(f"{list(given)} to {target} does not keep the batch")
    rank = max(len(tensor.shape) for tensor in thawing.graph.inputs_of(takers[0]))
    return [1] * (rank - len(target)) + target


def concatenate(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """CONCATENATION."""
    if all(isinstance(value, np.ndarray) for value in inputs):
        return [np.concatenate(inputs, int(settings(op)["axis"]))]
    if any(isinstance(value, np.ndarray) for value in inputs):
        raise NotRebuilt("one of its parts is a constant")
    (axis,) = _axes(settings(op)["axis"], len(inputs[0].shape))
    if len(inputs) == 1:
        return [activated(thawing, op, inputs[0])]
    return [activated(thawing, op, keras.layers.Concatenate(axis, name=thawing.name(op))(inputs))]


def pad(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """PAD, PADV2 and MIRROR_PAD."""
    pairs = [list(map(int, pair)) for pair in constant(inputs[1], "paddings")]
    value = float(constant(inputs[2], "value")) if len(inputs) > 2 else 0.0
    if any(pairs[0]):
        raise NotRebuilt("it pads the batch")
    mode = str(settings(op).get("mode", "constant")).lower() if op.op == "MIRROR_PAD" else "constant"
    if len(pairs) == 4 and not any(pairs[3]) and value == 0 and mode == "constant":
        return [keras.layers.ZeroPadding2D([tuple(pair) for pair in pairs[1:3]], name=thawing.name(op))(inputs[0])]
    return [thawed_layers.Pad(pairs, value, mode, name=thawing.name(op))(inputs[0])]


def transpose(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """TRANSPOSE of all but the batch."""
    order = [int(n) for n in constant(inputs[1], "order")]
    if isinstance(inputs[0], np.ndarray):
        return [inputs[0].transpose(order)]
    if order[0] != 0:
        raise NotRebuilt("it moves the batch")
    return [keras.layers.Permute(order[1:], name=thawing.name(op))(inputs[0])]


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
    (axis,) = _axes(constant(where, "axis"), len(x.shape))
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
    (axis,) = _axes(settings(op)["axis"], len(x.shape))
    parts = []
    for number in range(len(op.outputs)):
        begin, end = [0] * len(x.shape), list[Any]([None] * len(x.shape))
        begin[axis], end[axis] = number, number + 1
        part = _sliced(thawing, f"{thawing.name(op)}_{number}_part", x, begin, end, [1] * len(begin))
        sides = [side for n, side in enumerate(part.shape) if n not in (0, axis)]
        parts.append(keras.layers.Reshape(sides, name=f"{thawing.name(op)}_{number}")(part))
    return parts


def pack(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """PACK: tensors beside each other along a new axis."""
    if all(isinstance(value, np.ndarray) for value in inputs):
        return [np.stack(inputs, int(settings(op)["axis"]))]
    if any(isinstance(value, np.ndarray) for value in inputs):
        raise NotRebuilt("one of its parts is a constant")
    (axis,) = _axes(settings(op)["axis"], len(inputs[0].shape) + 1)
    return [thawed_layers.Stack(axis, name=thawing.name(op))(inputs)]


def tile(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """TILE and BROADCAST_TO."""
    x, given = inputs[0], thawing.graph.inputs_of(op)[0].shape
    target = list(thawing.graph.outputs_of(op)[0].shape)
    if len(target) != len(given) or target[0] != given[0]:
        raise NotRebuilt(f"{list(given)} to {target} does not keep the batch")
    if len(target) == 4:
        target[1:3] = thawing.new_size(tuple(target[1:3]))
    multiples = [1, *(to // of for to, of in zip(target[1:], x.shape[1:], strict=True))]
    return [thawed_layers.Tile(multiples, name=thawing.name(op))(x)]


def shape(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """SHAPE: a constant, since the network's sizes are."""
    return [np.array([n or 1 for n in inputs[0].shape], np.int32)]


def arg(smallest: bool) -> Handler:
    """Makes the handler of ARG_MAX or ARG_MIN."""

    def handle(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
        (axis,) = _axes(constant(inputs[1], "axis"), len(inputs[0].shape))
        return [thawed_layers.ArgMax(axis, smallest, name=thawing.name(op))(inputs[0])]

    return handle


def shuffle(to_space: bool) -> Handler:
    """Makes the handler of DEPTH_TO_SPACE or SPACE_TO_DEPTH."""

    def handle(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
        block = int(settings(op)["block_size"])
        return [thawed_layers.Shuffle(block, to_space, name=thawing.name(op))(inputs[0])]

    return handle


HANDLERS: dict[str, Handler] = {
    "AVERAGE_POOL_2D": pool("Average"),
    "MAX_POOL_2D": pool("Max"),
    "MEAN": reduce("mean"),
    "SUM": reduce("sum"),
    "REDUCE_MAX": reduce("max"),
    "REDUCE_MIN": reduce("min"),
    "REDUCE_PROD": reduce("prod"),
    "RESIZE_BILINEAR": resize("bilinear"),
    "RESIZE_NEAREST_NEIGHBOR": resize("nearest"),
    "RESHAPE": reshape,
    "SQUEEZE": reshape,
    "EXPAND_DIMS": reshape,
    "CONCATENATION": concatenate,
    "PAD": pad,
    "PADV2": pad,
    "MIRROR_PAD": pad,
    "TRANSPOSE": transpose,
    "SLICE": slice_,
    "STRIDED_SLICE": strided_slice,
    "SPLIT": split,
    "SPLIT_V": split,
    "UNPACK": unpack,
    "PACK": pack,
    "TILE": tile,
    "BROADCAST_TO": tile,
    "SHAPE": shape,
    "ARG_MAX": arg(False),
    "ARG_MIN": arg(True),
    "DEPTH_TO_SPACE": shuffle(True),
    "SPACE_TO_DEPTH": shuffle(False),
}
