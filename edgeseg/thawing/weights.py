"""Rebuilding TFLite's operators with kernels: convolutions, transposed ones, fully connected layers."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from edgeseg.architectures.blocks import batch_norm
from edgeseg.tflite.graph import Operator
from edgeseg.thawing.graph import Handler, NotRebuilt, Thawing, Value, settings

ACTIVATIONS: dict[str, Any] = {
    "RELU": lambda name: keras.layers.ReLU(name=name),
    "RELU6": lambda name: keras.layers.ReLU(6.0, name=name),
    "RELU_N1_TO_1": lambda name: keras.layers.Activation("hard_tanh", name=name),
    "TANH": lambda name: keras.layers.Activation("tanh", name=name),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spaced:
    """What lies between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: a convolution, waiting for its dilation.

    Attributes:
        x: What went in.
        block: The dilation (rows, columns).
        paddings: ((top, bottom), (left, right)).
        convolution: The operator between, once it has come.
        inputs: Its inputs.
    """

    x: Value
    block: tuple[int, ...]
    paddings: tuple[tuple[int, ...], ...]
    convolution: Operator | None = None
    inputs: tuple[Value, ...] = ()


def activated(thawing: Thawing, op: Operator, x: Value) -> Value:
    """Applies an operator's fused activation."""
    kind = settings(op).get("activation", "NONE")
    if kind == "NONE":
        return x
    if kind not in ACTIVATIONS:
        raise NotRebuilt(f"its activation {kind} has no layer")
    return ACTIVATIONS[str(kind)](f"{thawing.name(op)}_{str(kind).lower()}")(x)


def constant(value: Value, what: str) -> Any:
    """Returns a constant input.

    Raises:
        NotRebuilt: It is computed, or it lies outside the file.
    """
    if not isinstance(value, np.ndarray):
        raise NotRebuilt(f"its {what} is no constant in the file")
    return value


def convolution(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """CONV_2D and DEPTHWISE_CONV_2D."""
    x = inputs[0]
    if isinstance(x, Spaced):
        if x.convolution is not None or settings(op)["stride_h"] != 1 or settings(op)["padding"] != "VALID":
            raise NotRebuilt("SPACE_TO_BATCH_ND around it is no dilation")
        return [dataclasses.replace(x, convolution=op, inputs=tuple(inputs))]
    dilation = (int(settings(op)["dilation_h"]), int(settings(op)["dilation_w"]))
    return [_convolved(thawing, op, x, inputs, str(settings(op)["padding"]).lower(), dilation)]


def _convolved(
    thawing: Thawing, op: Operator, x: Value, inputs: list[Value], padding: str, dilation: tuple[int, ...]
) -> Value:
    kernel = constant(inputs[1], "kernel")
    fresh = thawing.num_classes is not None and op.index == thawing.last_weighted
    name = thawing.name(op)
    options = {
        "strides": (int(settings(op)["stride_h"]), int(settings(op)["stride_w"])),
        "padding": padding, "dilation_rate": dilation, "name": name,
    }  # fmt: skip
    normed = thawing.batch_norm and not fresh
    if op.op == "DEPTHWISE_CONV_2D":
        channels = int(x.shape[-1])
        if fresh:
            raise NotRebuilt("it is depthwise and the last with weights: its channels are those of its input")
        kernel = kernel[0].reshape(*kernel.shape[1:3], channels, kernel.shape[3] // channels)
        layer = keras.layers.DepthwiseConv2D(
            kernel.shape[:2], depth_multiplier=kernel.shape[3], use_bias=not normed, **options
        )
        filters = channels * kernel.shape[3]
    else:
        kernel = kernel.transpose(1, 2, 3, 0)
        filters = thawing.num_classes if fresh and thawing.num_classes else kernel.shape[3]
        layer = keras.layers.Conv2D(
            filters, kernel.shape[:2], groups=int(x.shape[-1]) // kernel.shape[2], use_bias=not normed, **options
        )
    y = layer(x)
    bias = np.zeros(filters, np.float32)
    if len(inputs) > 2 and inputs[2] is not None and not fresh:
        bias = constant(inputs[2], "bias").astype(np.float32)
    if not fresh:
        layer.set_weights([kernel] if normed else [kernel, bias])
    if normed:
        y = batch_norm(keras, y, f"{name}_BN")
        thawing.biases[name] = bias
    return activated(thawing, op, y)


def space_to_batch(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """SPACE_TO_BATCH_ND, where a converter writes a dilated convolution with it."""
    block, paddings = constant(inputs[1], "block shape"), constant(inputs[2], "paddings")
    if block.size != 2:
        raise NotRebuilt(f"its block has {block.size} dimensions, expected rows and columns")
    return [
        Spaced(
            x=inputs[0], block=tuple(map(int, block)), paddings=tuple(tuple(map(int, pair)) for pair in paddings)
        )
    ]  # fmt: skip


def batch_to_space(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """BATCH_TO_SPACE_ND: the end of a dilated convolution."""
    spaced = inputs[0]
    if not isinstance(spaced, Spaced) or spaced.convolution is None:
        raise NotRebuilt("what comes before it is no dilated convolution")
    crops = constant(inputs[2], "crops")
    kernel = constant(spaced.inputs[1], "kernel")
    padding, pads = "same", []
    for (before, after), (_, cropped), side, dilation in zip(
        spaced.paddings, crops, kernel.shape[1:3], spaced.block, strict=True
    ):
        pads.append((before, max(0, after - int(cropped))))
        if pads[-1][0] + pads[-1][1] != (side - 1) * dilation or abs(pads[-1][0] - pads[-1][1]) > 1:
            padding = "valid"
    x = spaced.x
    if padding == "valid" and any(map(any, pads)):
        x = keras.layers.ZeroPadding2D(pads, name=f"{thawing.name(spaced.convolution)}_pad")(x)
    return [_convolved(thawing, spaced.convolution, x, list(spaced.inputs), padding, spaced.block)]


def transposed(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """TRANSPOSE_CONV: of the size that the file gives, cut out of all that the kernels reach."""
    shape, kernel, x = constant(inputs[0], "output shape"), constant(inputs[1], "kernel"), inputs[2]
    fresh = thawing.num_classes is not None and op.index == thawing.last_weighted
    kernel = kernel.transpose(1, 2, 0, 3)
    filters = thawing.num_classes if fresh and thawing.num_classes else kernel.shape[2]
    strides = (int(settings(op)["stride_h"]), int(settings(op)["stride_w"]))
    wanted, given, name = thawing.new_size(tuple(map(int, shape[1:3]))), x.shape[1:3], thawing.name(op)
    padding = str(settings(op)["padding"]).lower()
    cut = padding == "same" and wanted != tuple(n * s for n, s in zip(given, strides, strict=True))
    layer = keras.layers.Conv2DTranspose(
        filters, kernel.shape[:2], strides=strides, padding="valid" if cut else padding, name=name
    )
    y = layer(x)
    if cut:
        crops = []
        for n, stride, side, target in zip(given, strides, kernel.shape[:2], wanted, strict=True):
            before = max((n - 1) * stride + side - target, 0) // 2
            crops.append((before, (n - 1) * stride + max(side, stride) - before - target))
        y = keras.layers.Cropping2D(crops, name=f"{name}_crop")(y)
    if not fresh:
        bias = constant(inputs[3], "bias") if len(inputs) > 3 and inputs[3] is not None else np.zeros(filters)
        layer.set_weights([kernel, bias.astype(np.float32)])
    return [activated(thawing, op, y)]


def fully_connected(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """FULLY_CONNECTED: of the last axis if the file says so or there is no other, else of everything flattened."""
    x, kernel, name = inputs[0], constant(inputs[1], "kernel").T, thawing.name(op)
    if settings(op).get("weights_format", "DEFAULT") != "DEFAULT":
        raise NotRebuilt("its kernel is shuffled")
    if len(x.shape) > 2 and not settings(op).get("keep_num_dims"):
        x = keras.layers.Flatten(name=f"{name}_flat")(x)
    if x.shape[-1] != kernel.shape[0]:
        raise NotRebuilt(
            f"it takes {kernel.shape[0]} values and gets {x.shape[-1]}: only the file's input size fits it"
        )
    fresh = thawing.num_classes is not None and op.index == thawing.last_weighted
    filters = thawing.num_classes if fresh and thawing.num_classes else kernel.shape[1]
    layer = keras.layers.Dense(filters, name=name)
    y = layer(x)
    if not fresh:
        bias = constant(inputs[2], "bias") if len(inputs) > 2 and inputs[2] is not None else np.zeros(filters)
        layer.set_weights([kernel, bias.astype(np.float32)])
    return [activated(thawing, op, y)]


HANDLERS: dict[str, Handler] = {
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": convolution,
    "SPACE_TO_BATCH_ND": space_to_batch,
    "BATCH_TO_SPACE_ND": batch_to_space,
    "TRANSPOSE_CONV": transposed,
    "FULLY_CONNECTED": fully_connected,
}
