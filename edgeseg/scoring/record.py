"""Writing a score into the card of the file that was scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgeseg.card_file import read_model, write_model
from edgeseg.errors import UsageError
from edgeseg.scoring.evaluate import Evaluation


def record_score(path: Path, scores: Evaluation) -> None:
    """Writes a score into the card of a model's file, in place of an earlier one on the same split.

    Raises:
        UsageError: The file has no card.
        ModelFileError: It cannot be read.
        OutputError: It cannot be written.
    """
    content, card = read_model(path)
    if card is None:
        raise UsageError(f"--record: {path} has no card to write into; convert the network with edgeseg")
    others = tuple(s for s in card.scores if (s.dataset, s.split) != (scores.dataset, scores.split))
    write_model(path, content, replace(card, scores=(scores.score, *others)))
