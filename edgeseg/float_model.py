"""Opening what a user calls a float MODEL: a zoo name, a folder, a file, or a network that is loaded already."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeseg import zoo
from edgeseg.card import LabelSet, ModelCard, PerChannel
from edgeseg.errors import UsageError
from edgeseg.foreign import foreign_card, normalisation_text
from edgeseg.keras_model import load_model
from edgeseg.runtime.labels import load_labels


def open_float_model(
    model: Any,
    *,
    labels: LabelSet | str | None = None,
    mean: PerChannel | None = None,
    std: PerChannel | None = None,
    order: str | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[Any, ModelCard, list[str]]:
    """Opens a Keras network with its card; makes a card for one that has none.

    Args:
        model: Zoo name, folder, file, or a Keras network.
        labels: Classes of a network without a card: a label set, a file of names, or a layout's name.
        mean: Its normalisation; the card's, what the network itself tells, or 127.5, if not given.
        std: Likewise.
        order: Order of its channels; the card's, or by their number, if not given.
        size: Height and width for such a network that takes any.

    Returns:
        The network, its card, and lines for people: what was assumed.

    Raises:
        ModelFileError: The file is missing, damaged, or of another format.
        UsageError: It is no segmentation network, or something is given that its card says already.
    """
    if isinstance(model, str | os.PathLike):
        path = zoo.resolve(Path(model) if isinstance(model, os.PathLike) else model, kind="float")
        name = path.stem
        network, card = load_model(path)
    elif hasattr(model, "layers") and hasattr(model, "get_weights"):
        name, network, card = str(model.name), model, None
    else:
        raise UsageError(f"model {type(model).__name__}: expected a zoo name, a path or a Keras network")
    names = load_labels(labels) if isinstance(labels, str) else labels
    if card is None:
        card, notices = foreign_card(network, name, labels=names, size=size, mean=mean, std=std, order=order)
        return network, card, notices
    if names is not None and names != card.labels:
        raise UsageError(f"{name} has a card that names its classes: leave the label set out")
    told: dict[str, Any] = {"mean": mean, "std": std, "order": order}
    spec = replace(card.input, **{key: value for key, value in told.items() if value is not None})
    if spec == card.input:
        return network, card, []
    line = f"{normalisation_text(spec)}, {spec.order}, as asked; {name}'s card says {normalisation_text(card.input)}"
    return network, replace(card, input=spec), [f"{line}, {card.input.order}"]
