"""Calibration images out of a network's own weights, for weights without data.

Cai, Yao, Dong, Gholami, Mahoney, Keutzer, "ZeroQ: A Novel Zero Shot Quantization Framework", CVPR 2020, section 3.1:
noise is changed until every batch normalisation sees the mean and the deviation that it has stored of the training
images (equation 3). Here deviations from them are told in units of the stored deviation, so that every layer counts
alike, and the noise has all scales of size to start with, as images have.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import cv2
import keras
import numpy as np

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec
from edgeseg.errors import UsageError

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
import tensorflow as tf
import tf_keras

NAME = "distilled"
"""What `--calibration` calls them; ":COUNT" behind it says how many."""
COUNT = 8
_BATCH = 2
_STEPS = 80
_RATE = 8.0
"""Adam's at the start, in pixel values; it falls to a tenth."""


def count_of(source: str) -> int | None:
    """Returns how many images a `--calibration` asks for; None if it is of another kind.

    Raises:
        UsageError: It is no number.
    """
    kind, colon, number = source.partition(":")
    if kind != NAME:
        return None
    if colon and (not number.isdecimal() or int(number) < 1):
        raise UsageError(f"calibration {source}: expected a number of images, such as {NAME}:{COUNT}")
    return int(number) if colon else COUNT


def distilled_images(
    network: Any, spec: InputSpec, count: int = COUNT, advance: Callable[[int, int], None] | None = None, seed: int = 0
) -> list[Uint8]:
    """Makes images on which a network's batch normalisations see what they have stored.

    Args:
        network: A Keras network of either kind, whose input is of the size of `spec`.
        spec: Its input.
        count: How many.
        advance: Called with (done, total) steps.
        seed: Of the noise.

    Returns:
        (height, width, channels) uint8; blue-green-red where the input is of three channels.

    Raises:
        UsageError: The network has no batch normalisation.
    """
    watched, statistics = _normalisations(network)
    rng = np.random.default_rng(seed)
    mean, std = (np.broadcast_to(np.asarray(value, np.float32), spec.channels) for value in (spec.mean, spec.std))
    batches, made = -(-count // _BATCH), []
    pixels = tf.Variable(tf.zeros((_BATCH, spec.height, spec.width, spec.channels)))
    rate = tf.Variable(_RATE)

    @tf.function  # type: ignore[untyped-decorator]
    def step(first: Any, second: Any, number: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            alone = tf.split((pixels - mean) / std, _BATCH)  # networks for the converter take one image
            outputs = [tf.concat(parts, 0) for parts in zip(*map(watched, alone), strict=True)]
            cost = sum(_distance(seen, *stored) for seen, stored in zip(outputs, statistics, strict=True))
        gradient = tape.gradient(cost, pixels)
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * tf.square(gradient)
        scaled = first / (1 - 0.9**number) / (tf.sqrt(second / (1 - 0.99**number)) + 1e-12)
        pixels.assign(tf.clip_by_value(pixels - rate * scaled, 0.0, 255.0))
        return first, second

    for batch in range(batches):
        pixels.assign(np.stack([_noise(rng, spec) for _ in range(_BATCH)]))
        first = second = tf.zeros_like(pixels)
        for number in range(1, _STEPS + 1):
            rate.assign(_RATE * (1 - 0.9 * (number - 1) / _STEPS))
            first, second = step(first, second, tf.constant(float(number)))
            if advance:
                advance(batch * _STEPS + number, batches * _STEPS)
        made += list(np.rint(pixels.numpy()).astype(np.uint8))
    backwards = spec.order == "rgb"
    return [np.ascontiguousarray(image[..., ::-1] if backwards else image) for image in made[:count]]


def _normalisations(network: Any) -> tuple[Callable[[Any], list[Any]], list[tuple[Float32, Float32]]]:
    """The inputs of all batch normalisations as a function, and their stored means and deviations."""
    layers = [layer for layer in network.layers if type(layer).__name__ == "BatchNormalization"]
    if not layers:
        raise UsageError(
            "--calibration distilled needs the statistics of batch normalisation, and this network has none: name "
            "images like those that it was trained on"
        )
    namespace = tf_keras if isinstance(network, tf_keras.Model) else keras
    inner = namespace.Model(network.inputs[0], [layer.input for layer in layers])
    stored = [
        (np.asarray(layer.moving_mean), np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)) for layer in layers
    ]

    def watched(images: Any) -> list[Any]:
        found = inner(images, training=False)
        return list(found) if isinstance(found, list | tuple) else [found]

    return watched, stored


def _distance(seen: Any, mean: Float32, std: Float32) -> Any:
    """How far the channels' mean and deviation are from the stored ones, in units of the stored deviation."""
    found, variance = tf.nn.moments(seen, list(range(seen.shape.rank - 1)))
    return tf.reduce_mean(tf.square((found - mean) / std) + tf.square(tf.sqrt(variance + 1e-6 * std**2) / std - 1))


def _noise(rng: np.random.Generator, spec: InputSpec) -> Float32:
    """Noise of every octave, around the middle grey, (height, width, channels) in 0..255."""
    size = max(spec.height, spec.width)
    total = np.zeros((spec.height, spec.width, spec.channels), np.float32)
    while size >= 2:
        rows, columns = (max(2, side * size // max(spec.height, spec.width)) for side in (spec.height, spec.width))
        coarse = rng.normal(0, 1, (rows, columns, spec.channels)).astype(np.float32)
        total += cv2.resize(coarse, (spec.width, spec.height), interpolation=cv2.INTER_CUBIC).reshape(total.shape)
        size //= 4
    return np.asarray(np.clip(127.5 + 50 * total / total.std(), 0, 255), np.float32)
