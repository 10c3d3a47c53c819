"""Rebuilding TFLite's operators that compute value by value: arithmetic and activations; quantization vanishes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from edgeseg import thawed_layers
from edgeseg.tflite.graph import Operator
from edgeseg.thawing.graph import Handler, NotRebuilt, Thawing, Value, settings
from edgeseg.thawing.weights import activated, constant

_KERAS_ARITHMETIC: dict[str, Any] = {
    "add": keras.layers.Add,
    "subtract": keras.layers.Subtract,
    "multiply": keras.layers.Multiply,
    "maximum": keras.layers.Maximum,
    "minimum": keras.layers.Minimum,
}


def arithmetic(function: str) -> Handler:
    """Makes the handler of an operator between two tensors, or of a tensor and a constant."""

    def handle(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
        name = thawing.name(op)
        constants = [isinstance(value, np.ndarray) for value in inputs]
        if all(constants):
            return [np.asarray(getattr(np, function)(*inputs))]
        if any(constants):
            known, x = inputs[constants.index(True)], inputs[constants.index(False)]
            if known.ndim == len(x.shape) and known.shape[0] == 1:
                known = known[0]
            if known.ndim > len(x.shape) - 1:
                raise NotRebuilt(f"its constant has shape {known.shape}, which reaches over the batch")
            layer = thawed_layers.WithConstant(function, known.shape, constants[0], name=name)
            y = layer(x)
            layer.set_weights([known.astype(np.float32)])
        elif function in _KERAS_ARITHMETIC:
            y = _KERAS_ARITHMETIC[function](name=name)(inputs)
        else:
            y = thawed_layers.Arithmetic(function, name=name)(inputs)
        return [activated(thawing, op, y)]

    return handle


def layer(make: Callable[..., Any]) -> Handler:
    """Makes the handler of an operator that one layer computes; `make` is called with the layer's name."""

    def handle(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
        return [activated(thawing, op, make(name=thawing.name(op))(inputs[0]))]

    return handle


def activation(kind: str) -> Handler:
    """Makes the handler of one of Keras' activations."""
    return layer(lambda name: keras.layers.Activation(kind, name=name))


def elementwise(function: str) -> Handler:
    """Makes the handler of one of `thawed_layers.FUNCTIONS`."""
    return layer(lambda name: thawed_layers.Elementwise(function, name=name))


def vanish(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """QUANTIZE, DEQUANTIZE and the like: real values stay what they are."""
    return [inputs[0]]


def softmax(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """SOFTMAX over the last axis, of the values times beta."""
    x, beta = inputs[0], float(settings(op)["beta"])
    if beta != 1:
        scale = thawed_layers.WithConstant("multiply", (), name=f"{thawing.name(op)}_beta")
        x = scale(x)
        scale.set_weights([np.float32(beta)])
    return [keras.layers.Softmax(name=thawing.name(op))(x)]


def leaky(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """LEAKY_RELU."""
    slope = float(settings(op)["alpha"])
    if slope < 0:
        raise NotRebuilt(f"its slope {slope:g} is negative")
    return [keras.layers.LeakyReLU(negative_slope=slope, name=thawing.name(op))(inputs[0])]


def prelu(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """PRELU, with slopes of its own for each channel or each value."""
    x, slopes = inputs[0], constant(inputs[1], "slopes")
    rank = len(x.shape)
    slopes = slopes.reshape((1,) * max(0, rank - 1 - slopes.ndim) + slopes.shape)
    if slopes.ndim == rank:
        slopes = slopes[0]
    shared = [n + 1 for n, side in enumerate(slopes.shape) if side == 1]
    made = keras.layers.PReLU(shared_axes=shared or None, name=thawing.name(op))
    y = made(x)
    made.set_weights([slopes.astype(np.float32)])
    return [y]


def cast(thawing: Thawing, op: Operator, inputs: list[Value]) -> list[Value]:
    """CAST between numbers that are real values here."""
    if not isinstance(inputs[0], np.ndarray) and "float" not in str(settings(op).get("out_dtype", "float32")):
        raise NotRebuilt(f"it makes {settings(op).get('out_dtype')} of real values")
    return [inputs[0]]


HANDLERS: dict[str, Handler] = {
    **{
        operator: arithmetic(function)
        for operator, function in (
            ("ADD", "add"), ("SUB", "subtract"), ("MUL", "multiply"), ("DIV", "divide"), ("MAXIMUM", "maximum"),
            ("MINIMUM", "minimum"), ("POW", "power"),
        )
    },
    **{
        operator: elementwise(function)
        for operator, function in (
            ("ABS", "abs"), ("NEG", "negative"), ("EXP", "exp"), ("LOG", "log"), ("SQRT", "sqrt"), ("RSQRT", "rsqrt"),
            ("SQUARE", "square"), ("FLOOR", "floor"), ("CEIL", "ceil"), ("ROUND", "round"), ("SIGN", "sign"),
            ("SIN", "sin"), ("COS", "cos"),
        )
    },
    **dict.fromkeys(("QUANTIZE", "DEQUANTIZE", "FAKE_QUANT"), vanish),
    "CAST": cast,
    "RELU": layer(keras.layers.ReLU),
    "RELU6": layer(lambda name: keras.layers.ReLU(6.0, name=name)),
    "RELU_0_TO_1": layer(lambda name: keras.layers.ReLU(1.0, name=name)),
    "RELU_N1_TO_1": activation("hard_tanh"),
    "ELU": activation("elu"),
    "LOGISTIC": activation("sigmoid"),
    "TANH": activation("tanh"),
    "HARD_SWISH": activation("hard_silu"),
    "GELU": lambda thawing, op, inputs: [
        thawed_layers.Gelu(bool(settings(op).get("approximate")), name=thawing.name(op))(inputs[0])
    ],
    "LEAKY_RELU": leaky,
    "PRELU": prelu,
    "SOFTMAX": softmax,
    "LOG_SOFTMAX": activation("log_softmax"),
    "L2_NORMALIZATION": layer(lambda name: keras.layers.UnitNormalization(axis=-1, name=name)),
}  # fmt: skip
