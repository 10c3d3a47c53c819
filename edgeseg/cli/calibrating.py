"""Choosing the calibration pictures of a conversion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.errors import UsageError

if TYPE_CHECKING:
    from edgeseg.card import ModelCard, Recipe
    from edgeseg.data.calibration import CalibrationSet
    from edgeseg.image import Uint8


def open_calibration_for(card: ModelCard, recipe: Recipe, source: str | None, data: Path | None) -> CalibrationSet:
    """Opens the calibration set that was named, or the synthetic one for a network trained on that.

    Raises:
        UsageError: None was named, and pictures of another kind would set wrong ranges.
    """
    from edgeseg.data.calibration import open_calibration
    from edgeseg.synth import aerial

    trained_on = card.training.dataset.split("/")[0] if card.training else "unknown pictures"
    if source is None and recipe.name == "int8_ptq" and trained_on != aerial.NAME:
        raise UsageError(
            f"{card.name} was trained on {trained_on}: name pictures of that kind with --calibration (a folder, a glob "
            "or a manifest), 50 to 200 of them"
        )
    return open_calibration(source, data=data, size=(card.input.height, card.input.width))


def spread(pictures: CalibrationSet, count: int) -> Iterator[Uint8]:
    """Yields `count` pictures, evenly spread over the set."""
    chosen = {i * pictures.count // count for i in range(count)}
    for index, image in enumerate(pictures):
        if index in chosen:
            yield image
