"""Scores that an earlier report measured: one that was stopped, or that gets one model more, scores only the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgeseg.data.dataset import Dataset
from edgeseg.errors import DataError
from edgeseg.files import digest, file_digest, json_text, read_json, write_json
from edgeseg.scoring.evaluate import Evaluation
from edgeseg.version import __version__

SCORES_FILE = "scores.json"


class KeptScores:
    """Scores by what they depend on, in a file that is written after each.

    Args:
        path: The file; one that cannot be read counts as empty, and is written anew.
        dataset: What is scored on.
        settings: What else decides a score: how many images, the delegate, the input's size, class names.
    """

    def __init__(self, path: Path, dataset: Dataset, settings: Sequence[object]) -> None:
        self._path = path
        self._common = [__version__, fingerprint(dataset), list(map(str, settings))]
        self._scores: dict[str, Any] = {}
        try:
            found = read_json(path, "scores") if path.exists() else {}
        except DataError:
            found = {}
        if isinstance(found, dict):
            self._scores = found

    def find(self, model: Path) -> Evaluation | None:
        """Returns the score of a model's very bytes, if it was measured before in the same way."""
        kept = self._scores.get(self._key(model))
        if not isinstance(kept, dict):
            return None
        try:
            for name in ("class_iou", "class_dice"):
                kept = kept | {name: {k: math.nan if v is None else float(v) for k, v in kept[name].items()}}
            return Evaluation(**kept)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def keep(self, model: Path, score: Evaluation) -> None:
        """Writes the score of a model; what was counted in each image is left out."""
        self._scores[self._key(model)] = asdict(replace(score, confusion=None, per_image=None))
        write_json(self._path, self._scores)

    def _key(self, model: Path) -> str:
        return digest(json_text([file_digest(model), *self._common]).encode())


def fingerprint(dataset: Dataset) -> str:
    """Returns what changes when a data set does: names, sizes and dates of its files, and its classes."""
    files = [
        (path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in (*dataset.images, *dataset.label_maps)
    ]
    told = [dataset.name, dataset.split, files, dataset.labels.names, dataset.id_table, dataset.colours]
    return digest(json_text(told).encode())
