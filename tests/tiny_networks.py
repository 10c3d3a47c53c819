"""Keras networks of a few hundred weights that tell the meadow's three classes by colour, as others would make them."""

from __future__ import annotations

from typing import Any

import numpy as np

MEADOW_RGB = np.array([(60, 160, 40), (30, 80, 190), (200, 40, 40)], np.float32)
"""Grass, water, roof."""


def colour_network(*front: Any, mean: float = 127.5, std: float = 127.5, shape: Any = (64, 96, 3)) -> Any:
    """Builds a Keras 3 network that decides by the nearest of three colours.

    Args:
        front: Layers before the first convolution.
        mean: What the convolution gets is (pixel - mean) / std.
        std: See there.
        shape: Of the input.
    """
    import keras

    image = x = keras.Input(shape)
    for layer in front:
        x = layer(x)
    logits = keras.layers.Conv2D(3, 1, name="logits")
    network = keras.Model(image, logits(x), name="colours")
    logits.set_weights(nearest_colour_weights(mean, std))
    return network


def nearest_colour_weights(mean: float, std: float) -> list[Any]:
    """Kernel (1, 1, 3, 3) and bias of `2 c x - c c`, largest for the colour c that is nearest to x."""
    colours = (MEADOW_RGB - mean) / std
    return [(2 * colours.T)[None, None], -np.square(colours).sum(1)]
