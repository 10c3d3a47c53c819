"""Counts a network's parameters and multiply-accumulates from its layers."""

from __future__ import annotations

import math
from typing import Any


def parameters(model: Any) -> int:
    """Returns the number of trainable parameters, as papers count them: without running means and variances."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def multiply_accumulates(model: Any) -> int:
    """Returns the multiply-accumulates of one image in convolutions of all kinds.

    Args:
        model: A network of a fixed input size, in which every layer is used once.
    """
    return sum(_of_layer(layer) for layer in model.layers)


def _of_layer(layer: Any) -> int:
    """A convolution uses its whole kernel at each output pixel; a transposed one, at each input pixel."""
    kind = type(layer).__name__
    if kind not in ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose"):
        return 0
    applied_on = layer.input if kind == "Conv2DTranspose" else layer.output
    return int(math.prod(layer.weights[0].shape) * math.prod(applied_on.shape[1:3]))
