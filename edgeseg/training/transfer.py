"""Training a network that starts from another's weights: what was learnt long ago changes less, or not at all."""

from __future__ import annotations

from typing import Any

import keras

from edgeseg.architectures.backbones.registry import build_backbone
from edgeseg.card import ModelCard

KEPT_STRIDE = 4
"""Backbone layers up to this stride see edges and textures, which are the same in all images."""

PYRAMID = "aspp_"
"""How the layers of DeepLab's pyramid begin, which starts from elsewhere too."""


def backbone_names(card: ModelCard, stride: int | None = None) -> set[str]:
    """Returns the names of a backbone's layers; with `stride`, of those whose maps have that stride or less."""
    height, width = card.input.height, card.input.width
    image = keras.Input((height, width, card.input.channels))
    model = keras.Model(image, build_backbone(keras, image, card.backbone, card.output_stride).last)
    least = 0 if stride is None else -(-height // stride)
    return {layer.name for layer in model.layers if layer.output.shape[1] >= least}


def freeze_start(network: Any, card: ModelCard) -> None:
    """Keeps a network's backbone up to stride 4, and all of its backbone's batch normalisation, as they are.

    Frozen normalisations use their statistics in training too: what small batches show does not disturb them, and a
    step takes two thirds of the time on a CPU.
    """
    early, backbone = backbone_names(card, KEPT_STRIDE), backbone_names(card)
    for layer in network.layers:
        if layer.name in early or (layer.name in backbone and hasattr(layer, "moving_mean")):
            layer.trainable = False


class TwoSpeedAdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW with another learning rate for some layers.

    Args:
        learning_rate: Of all others.
        slow: Names of the layers.
        factor: Their learning rate over that of all others.
        others: As for `keras.optimizers.AdamW`.
    """

    def __init__(self, learning_rate: float, slow: set[str], factor: float, **others: Any) -> None:
        super().__init__(learning_rate, **others)
        self._slow, self._factor = slow, factor

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Takes one variable's step."""
        path = self._trainable_variables[self._get_variable_index(variable)].path
        slow = path.split("/")[0] in self._slow
        super().update_step(gradient, variable, learning_rate * self._factor if slow else learning_rate)


def slow_layers(network: Any, card: ModelCard) -> set[str]:
    """Returns the names of the layers that start from elsewhere: backbone and pyramid."""
    backbone = backbone_names(card)
    return {layer.name for layer in network.layers if layer.name in backbone or layer.name.startswith(PYRAMID)}


def copy_averages(network: Any, copy: Any) -> None:
    """Gives a copy of a network in training the running averages of its weights, where its optimizer keeps them."""
    if not network.optimizer.use_ema:
        return
    averages = network.optimizer._model_variables_moving_average
    by_path = {v.path: a for v, a in zip(network.trainable_variables, averages, strict=True)}
    for variable in copy.trainable_variables:
        variable.assign(keras.ops.convert_to_numpy(by_path[variable.path]))
