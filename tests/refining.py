"""A small network of all that refinements have to know, its files and images, and how much noise is in a file."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_keras

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec, Recipe
from edgeseg.conversion.converter import run_converter, run_file
from edgeseg.conversion.integer_file import IntegerFile
from edgeseg.conversion.ptq import span_input_range
from edgeseg.conversion.twins import Ranges, channel_ranges
from edgeseg.image import normalise

SPEC = InputSpec(height=32, width=48)


def mixed_network() -> Any:
    """Inverted residuals with ReLU6 (one of whose channels never reaches 6), pooling that is added, a concatenation."""
    layers = tf_keras.layers
    image = layers.Input((32, 48, 3), batch_size=1)

    def conv(x: Any, filters: int, activation: float | None = -1, size: int = 1, stride: int = 1) -> Any:
        x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        return x if activation == -1 else layers.ReLU(activation)(x)

    stem = conv(image, 8, 6.0, 3, 2)
    down = conv(stem, 6)
    wide = conv(down, 16, 6.0)
    wide = layers.DepthwiseConv2D(3, padding="same", dilation_rate=2, use_bias=False)(wide)
    wide = layers.ReLU(6.0)(layers.BatchNormalization()(wide))
    body = layers.Add()([down, conv(wide, 6)])
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(body)
    left, right = conv(body, 5, None), conv(body, 7, None, 3)
    joined = conv(layers.Concatenate()([left, right]), 8)
    head = layers.ReLU()(layers.Add()([joined, conv(pooled, 8)]))
    return tf_keras.Model(image, layers.Conv2D(4, 1)(layers.UpSampling2D(2, interpolation="bilinear")(head)))


@dataclass(frozen=True, kw_only=True)
class Made:
    """Files of `mixed_network`, and images."""

    integer: bytes
    per_tensor: bytes
    floating: bytes
    tensors: list[Uint8]
    images: list[Float32]
    ranges: Ranges


def outputs_of(content: bytes) -> list[int]:
    """Every operator's outputs."""
    return [tensor for op in IntegerFile(content).operators for tensor in op.outputs]


@functools.cache
def made_files() -> Made:
    """Converts it."""
    tf_keras.utils.set_random_seed(3)
    rng = np.random.default_rng(3)
    network = mixed_network()
    for layer in network.layers:
        if type(layer).__name__ == "BatchNormalization":
            gamma, beta, mean, variance = layer.get_weights()
            gamma = gamma * rng.lognormal(0.7, 1, gamma.shape)
            layer.set_weights([gamma, rng.normal(0.3, 0.4, beta.shape), mean, variance])
    tensors = list(rng.integers(0, 256, (6, 32, 48, 3), np.uint8))
    span_input_range(tensors)
    integer, per_tensor = (
        run_converter(network, Recipe(name=name), SPEC, tensors) for name in ("int8_ptq", "int8_ptq_per_tensor")
    )
    floating = run_converter(network, Recipe(name="float32"), SPEC, [])
    images = [normalise(tensor, SPEC) for tensor in tensors]
    ranges = channel_ranges(IntegerFile(floating), outputs_of(floating), run_file, images)
    return Made(
        integer=integer, per_tensor=per_tensor, floating=floating, tensors=tensors, images=images, ranges=ranges
    )


def real_logits(content: bytes, inputs: Any) -> Float32:
    """Logits of inputs, (images, h, w, classes)."""
    scale = IntegerFile(content).scale(IntegerFile(content).logits)
    return np.stack([out[0] if scale is None else scale.real(out[0]) for out in run_file(content, inputs)])


def noise(content: bytes, made: Made) -> float:
    """Root of the mean squared error of an integer file's logits, over their standard deviation."""
    wanted = real_logits(made.floating, made.images)
    return float(np.sqrt(np.square(real_logits(content, made.tensors) - wanted).mean()) / wanted.std())
