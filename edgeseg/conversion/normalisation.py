"""Whether a network made elsewhere is fed what it was trained on, told by its first batch normalisation.

That layer keeps mean and variance of what reached it in training. With the right normalisation real images bring
about the same figures there; with a wrong one they do not, however healthy everything else looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tf_keras

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec, PerChannel, per_channel_text
from edgeseg.foreign import normalisation_text
from edgeseg.image import fit, normalise

_IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_CAFFE = (123.68, 116.779, 103.939)
_USUAL: tuple[tuple[PerChannel, PerChannel], ...] = ((127.5, 127.5), (0.0, 255.0), (0.0, 1.0))
"""Mean and std of [-1, 1], of [0, 1], and of pixels as they are."""
_DOUBTFUL = 0.5
_CLEARLY_BETTER = 4.0
_IMAGES = 8


def doubt_about(network: Any, spec: InputSpec, images: Sequence[Uint8]) -> str:
    """Says in words that another usual normalisation fits a network's statistics far better.

    Args:
        network: A Keras network.
        spec: How it is about to be fed.
        images: Blue-green-red images like those it was trained on.

    Returns:
        "" where nothing is wrong, or where the network has no batch normalisation to tell it by.
    """
    found = _first_statistics(network)
    if found is None:
        return ""
    stem, mean, variance = found
    tensors = [fit(image, spec) for image in images[:_IMAGES]]

    def distance(candidate: InputSpec) -> float:
        values = [np.asarray(stem(normalise(t, candidate)[None])).reshape(-1, mean.size) for t in tensors]
        return _divergence(np.concatenate(values), mean, variance)

    now = distance(spec)
    others = [replace(spec, mean=m, std=s) for m, s in usual(spec)]
    best_distance, best = min(((distance(other), other) for other in others), key=lambda pair: pair[0])
    if now < _DOUBTFUL or now < _CLEARLY_BETTER * best_distance:
        return ""
    return (
        f"its first batch normalisation has seen other values in training than {normalisation_text(spec)} "
        f"brings: {normalisation_text(best)} fits, give --mean {per_channel_text(best.mean)} "
        f"--std {per_channel_text(best.std)}"
    )


def usual(spec: InputSpec) -> list[tuple[PerChannel, PerChannel]]:
    """Returns (mean, std) of the usual normalisations; for three channels those of ImageNet and of Caffe, too."""
    if spec.channels != 3:
        return list(_USUAL)
    backwards = -1 if spec.order == "bgr" else 1
    means, stds = (numbers[::backwards] for numbers in _IMAGENET)
    return [*_USUAL, (means, stds), (_CAFFE[::backwards], 1.0)]


def _divergence(values: Float32, mean: Float32, variance: Float32) -> float:
    """Kullback-Leibler divergence of the measured Gaussian of each channel from the stored one, averaged."""
    measured = np.maximum(values.var(0), 1e-12)
    ratio = measured / variance
    return float(np.mean(0.5 * (ratio + np.square(values.mean(0) - mean) / variance - 1 - np.log(ratio))))


def _first_statistics(network: Any) -> tuple[Any, Float32, Float32] | None:
    """The part of a network before its first batch normalisation, and the mean and variance stored there."""
    layer = next((x for x in network.layers if type(x).__name__ == "BatchNormalization"), None)
    if layer is None:
        return None
    namespace = tf_keras if isinstance(network, tf_keras.Model) else keras
    try:
        stem = namespace.Model(network.inputs[0], layer.input)
    except (ValueError, AttributeError, TypeError):  # called several times, or in a network within the network
        return None
    mean, variance = (np.asarray(x, np.float32) for x in (layer.moving_mean, layer.moving_variance))
    return stem, mean, variance + np.float32(layer.epsilon)
