"""Rebuilding TFLite's operators that move values: pooling, resizing, reshaping, joining."""

from __future__ import annotations

import math

import keras
import numpy as np

from edgeseg import thawed_layers
from edgeseg.tflite.graph import Operator
from edgeseg.thawing.graph import Handler, NotRebuilt, Thawing, Value, rebuilt_axes, settings
from edgeseg.thawing.weights import activated, constant

BROADCASTING = ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW")
"""Operators that align the last axes of two tensors."""


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
        axes = rebuilt_axes(constant(inputs[1], "axes"), len(x.shape))
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
    (axis,) = rebuilt_axes(settings(op)["axis"], len(inputs[0].shape))
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


def pack(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """PACK: tensors beside each other along a new axis."""
    if all(isinstance(value, np.ndarray) for value in inputs):
        return [np.stack(inputs, int(settings(op)["axis"]))]
    if any(isinstance(value, np.ndarray) for value in inputs):
        raise NotRebuilt("one of its parts is a constant")
    (axis,) = rebuilt_axes(settings(op)["axis"], len(inputs[0].shape) + 1)
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
        (axis,) = rebuilt_axes(constant(inputs[1], "axis"), len(inputs[0].shape))
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
    "PACK": pack,
    "TILE": tile,
    "BROADCAST_TO": tile,
    "SHAPE": shape,
    "ARG_MAX": arg(False),
    "ARG_MIN": arg(True),
    "DEPTH_TO_SPACE": shuffle(True),
    "SPACE_TO_DEPTH": shuffle(False),
}
