"""What a training builds: an architecture of edgeseg, or a `.tflite` file's network as it stands.

Batches are of another size than the input, and validation works on a copy; so a network is described by how it is built
at any size, not by an instance.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import keras

from edgeseg.architectures.registry import build_network, find_form
from edgeseg.arrays import Uint8
from edgeseg.card import InputSpec, ModelCard, input_channels
from edgeseg.card_file import read_model
from edgeseg.errors import UsageError
from edgeseg.keras_model import copy_weights, network_spec
from edgeseg.thawing.thaw import Thawed, set_statistics, thaw
from edgeseg.training.transfer import freeze_start, slow_layers

Covers = tuple[slice, slice] | None
LOGITS = "logits"
"""The layer of a thawed network that is made anew for other classes."""


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """How a network is built, and which of it starts from elsewhere.

    Attributes:
        build: From (rows, columns) to a fresh Keras 3 network of logits.
        covers: From (rows, columns) to the rows and columns that the logits answer for; None for all.
        slow: Names of the layers of a network that start from elsewhere.
        freeze: Keeps a network's start as it is.
    """

    build: Callable[[tuple[int, int]], Any]
    covers: Callable[[tuple[int, int]], Covers]
    slow: Callable[[Any], set[str]]
    freeze: Callable[[Any], None]


def of_card(card: ModelCard) -> Blueprint:
    """Returns the blueprint of a card's architecture.

    Raises:
        UsageError: It names none, or the sizes do not fit.
    """
    spec = network_spec(card)
    return Blueprint(
        build=lambda size: build_network(keras, replace(spec, height=size[0], width=size[1])),
        covers=lambda size: find_form(spec.architecture, spec.form).covers(*size),
        slow=lambda network: slow_layers(network, card),
        freeze=lambda network: freeze_start(network, card),
    )


def of_file(path: str | os.PathLike[str], card: ModelCard) -> Blueprint:
    """Returns the blueprint of a `.tflite` file's network, with batch normalisations to train with.

    Its last layer stays where the file's card tells the very classes of `card`; else it is made anew.

    Args:
        path: The file.
        card: What is to be trained.
    """
    classes = _fresh_classes(path, card)

    def refuse(network: Any) -> None:
        raise UsageError("--freeze-start is for edgeseg's own backbones: with --arch thawed: use --transfer-rate")

    return Blueprint(
        build=lambda size: _logits_of(thaw(path, size=size, num_classes=classes, batch_norm=True, logits=True), path),
        covers=lambda size: None,
        slow=lambda network: {layer.name for layer in network.layers} - {LOGITS},
        freeze=refuse,
    )


def start_of_file(path: str | os.PathLike[str], card: ModelCard, images: Iterable[Uint8]) -> Callable[[Any], None]:
    """Returns what gives a network of `of_file` the file's weights, its normalisations measured on images.

    Args:
        path: The file.
        card: What is to be trained.
        images: (H, W, 3) uint8, blue-green-red; a few dozen.
    """

    def initialise(network: Any) -> None:
        size = (card.input.height, card.input.width)
        thawed = thaw(path, size=size, num_classes=_fresh_classes(path, card), batch_norm=True, logits=True)
        set_statistics(thawed, images)
        copy_weights(_logits_of(thawed, path), network)

    return initialise


def input_of_file(path: str | os.PathLike[str], size: tuple[int, int] | None = None) -> InputSpec:
    """Returns the input that a `.tflite` file's network has: its card's, or what its tensors tell.

    Args:
        path: The file.
        size: (rows, columns) instead of the file's.

    Raises:
        ModelFileError: The file is damaged or no `.tflite`.
        UsageError: It takes no image.
    """
    _, card = read_model(path)
    taken, *others = thaw(path, size=size, batch_norm=True, logits=True).inputs
    if others or len(taken.shape) != 3 or None in taken.shape:
        raise UsageError(f"{path} takes {[i.shape for i in (taken, *others)]}: expected one image")
    rows, columns, channels = (int(n or 0) for n in taken.shape)
    if card is not None:
        return replace(card.input, height=rows, width=columns)
    return InputSpec(height=rows, width=columns, **input_channels(None, channels), mean=taken.mean, std=taken.std)


def _fresh_classes(path: str | os.PathLike[str], card: ModelCard) -> int | None:
    _, own = read_model(path)
    return None if own is not None and own.labels.names == card.labels.names else card.labels.num_classes


def _logits_of(thawed: Thawed, path: str | os.PathLike[str]) -> Any:
    """Returns a thawed network up to its logits: a softmax at its end is the loss's business."""
    model = thawed.model
    last = model.layers[-1]
    cut = isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax
    output = last.input if cut else model.output
    if isinstance(output, list) or len(output.shape) != 4:
        raise UsageError(
            f"its output is {getattr(output, 'shape', 'several')}: expected logits (rows, columns, classes)"
        )
    return keras.Model(model.input, output) if cut else model
