"""From what a user calls a model to a network that is open."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import TypeAlias

from edgeseg.card import ModelCard
from edgeseg.card_file import detach, read_model
from edgeseg.runtime.protocol import Network, OpenOptions
from edgeseg.runtime.registry import open_network
from edgeseg.zoo import resolve

Model: TypeAlias = str | os.PathLike[str] | bytes | Network
"""A zoo name, a model folder, a file, a file's content, or a network that is open already."""


def open_model(model: Model, options: OpenOptions) -> tuple[str, ModelCard | None, Network]:
    """Opens a model in the runtime of its kind.

    Args:
        model: See `Model`.
        options: How; name and path are filled in here, and the size by the card if it is left out.

    Returns:
        What messages call it, its card if it has one, and the network.

    Raises:
        ModelFileError: The file is missing, damaged or no model.
        DelegateError: The delegate cannot be loaded.
        UsageError: There is no such model, or an option does not fit it.
    """
    if isinstance(model, bytes):
        path, content, card = None, model, detach(model)
    elif isinstance(model, str | os.PathLike):
        path = str(resolve(Path(model), kind="any"))
        content, card = read_model(path)
    else:
        return str(getattr(model, "name", options.name)), None, model
    size = (card.input.height, card.input.width) if card is not None and options.size is None else options.size
    name = options.name if path is None else path
    return (
        name,
        card,
        open_network(content, dataclasses.replace(options, name=name, path=path, size=size, proven=card is not None)),
    )


def terms(card: ModelCard | None, name: str) -> tuple[str, ...]:
    """Returns a line for a network whose card restricts its use, as "research use only" or "non-commercial" do."""
    restricted = card is not None and re.search(r"\b(only|non-?commercial)\b", card.licence, re.IGNORECASE)
    return (f"{name}: {card.licence}",) if card and restricted else ()
