"""Measuring batch normalisation's statistics on training images.

The running averages that training leaves behind lag: after a short training they still hold what the first steps saw.
Wu and Johnson, 'Rethinking "Batch" in BatchNorm', 2021, section 3 ("precise BatchNorm"): run training images through
the network as it is, normalised batch by batch as in training, and take the statistics of all of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from edgeseg.arrays import Float32
from edgeseg.keras_passes import training_pass


def measure_statistics(network: Any, batches: Iterable[Float32]) -> int:
    """Sets the moving means and variances of a network to those of images.

    Args:
        network: Of `keras`, with float32 batch normalisations; one without any stays as it is, and so do those that do
            not train.
        batches: (batch, H, W, 3) normalised images.

    Returns:
        How many images were measured; 0 if the network has no batch normalisation.
    """
    layers = [layer for layer in _flat(network) if hasattr(layer, "moving_mean") and layer.trainable]
    if not layers:
        return 0
    means = [np.zeros(layer.moving_mean.shape) for layer in layers]
    squares = [np.zeros(layer.moving_mean.shape) for layer in layers]
    seen = 0
    with _batch_statistics(network):
        step = training_pass(network)
        for images in batches:
            step(images)
            seen += len(images)
            for mean, square, layer in zip(means, squares, layers, strict=True):
                of_batch = keras.ops.convert_to_numpy(layer.moving_mean).astype(np.float64)
                mean += len(images) * of_batch
                square += len(images) * (keras.ops.convert_to_numpy(layer.moving_variance) + of_batch**2)
    for mean, square, layer in zip(means, squares, layers, strict=True):
        layer.moving_mean.assign(mean / seen)
        layer.moving_variance.assign(np.maximum(square / seen - (mean / seen) ** 2, 0))
    return seen


@contextlib.contextmanager
def _batch_statistics(network: Any) -> Iterator[None]:
    """Makes a forward pass in training mode leave its own statistics behind, and drop nothing out."""
    changed = []
    for layer in _flat(network):
        for name in ("momentum", "rate"):
            if hasattr(layer, name) and (name == "rate" or hasattr(layer, "moving_mean")):
                changed.append((layer, name, getattr(layer, name)))
                setattr(layer, name, 0.0)
    try:
        yield
    finally:
        for layer, name, value in changed:
            setattr(layer, name, value)


def _flat(network: Any) -> Iterator[Any]:
    for layer in network.layers:
        if getattr(layer, "layers", None):
            yield from _flat(layer)
        else:
            yield layer
