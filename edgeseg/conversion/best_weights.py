"""Which weights of a quantization-aware training are the best: those whose integer file loses least."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.data.dataset import Dataset
from edgeseg.errors import DataError
from edgeseg.files import replacing
from edgeseg.host import usable_cores
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.scoring.evaluate import Evaluation, evaluate

CLASS_LOSS = 1.5
"""Points of IoU that a class may lose to the float network before the loss counts against what training gained."""


class BestWeights:
    """Judges a training by what its integer file loses to the float network, and keeps the best weights in a file.

    The best has the highest mIoU on the validation images, less what any class loses beyond `CLASS_LOSS`: a mean may
    rise while a rare class is given up.

    Args:
        network: The network in training.
        file: Makes the integer file, card included, of its weights as they are.
        reference: What the float network scores on the validation images.
        val_set: The validation images.
        path: Where the best is kept.

    Attributes:
        best: What the best file so far scores, the start included; None before the first.
        trained: Whether that is better than the start.
    """

    def __init__(
        self, network: Any, file: Callable[[], bytes], reference: Evaluation, val_set: Dataset, path: Path
    ) -> None:
        self._network, self._file, self._reference = network, file, reference
        self._val_set, self._path = val_set, path
        self.best: Evaluation | None = None
        self.trained = False

    def begin(self, content: bytes) -> None:
        """Scores the file that training starts from, card included: the best so far."""
        self._compare(scored(content, self._val_set), trained=False)

    def score(self) -> Evaluation:
        """Measures the file as it would be now, and stores the weights if none was better."""
        found = scored(self._file(), self._val_set)
        self._compare(found, trained=True)
        return found

    def keep(self, score: Evaluation, epoch: int, wall_s: float) -> None:
        """Does nothing: `score` has kept it, if it is the best in this judge's eyes."""

    @property
    def miou(self) -> float:
        """The best's mIoU."""
        return self.best.miou if self.best else -1.0

    def told(self) -> str:
        """Says in words what the best loses."""
        return loss_told(self._reference, self.best) if self.best else ""

    def recall(self) -> None:
        """Takes up the best of the training that is gone on with.

        Raises:
            DataError: The file is missing or damaged.
        """
        self._read()

    def restore(self) -> None:
        """Gives the network its best weights."""
        self._network.set_weights(self._read())

    def _compare(self, found: Evaluation, *, trained: bool) -> None:
        if self.best is not None and worth(self._reference, found) <= worth(self._reference, self.best):
            return
        self.best, self.trained = found, trained
        arrays = {str(n): value for n, value in enumerate(self._network.get_weights())}
        facts = json.dumps({**asdict(found.score), "class_iou": found.class_iou, "trained": trained})
        with replacing(self._path) as temporary:
            np.savez(temporary, facts=facts, **arrays)

    def _read(self) -> list[Any]:
        try:
            with np.load(io.BytesIO(self._path.read_bytes()), allow_pickle=False) as stored:
                facts = json.loads(str(stored["facts"]))
                self.trained = bool(facts.pop("trained"))
                self.best = Evaluation(**facts)
                return [stored[str(n)] for n in range(len(stored.files) - 1)]
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{self._path} cannot be read ({error}): delete {self._path.parent}, begin anew") from error


def scored(content: bytes, val_set: Dataset) -> Evaluation:
    """Scores a file, card included."""
    return evaluate(Segmenter(content, threads=usable_cores()), val_set)


def class_losses(reference: Evaluation, found: Evaluation) -> dict[str, float]:
    """Returns the points of IoU that each class loses, by name, without those that a score does not know."""
    lost = {name: 100 * (iou - found.class_iou[name]) for name, iou in reference.class_iou.items()}
    return {name: points for name, points in lost.items() if not math.isnan(points)}


def worth(reference: Evaluation, found: Evaluation) -> float:
    """Returns points of mIoU, less those that the class that loses most loses beyond `CLASS_LOSS`."""
    return 100 * found.miou - max(0.0, max(class_losses(reference, found).values(), default=0.0) - CLASS_LOSS)


def loss_told(reference: Evaluation, found: Evaluation) -> str:
    """Says in words what a file loses to the float network: in all, and the class that loses most."""
    lost = class_losses(reference, found)
    worst = max(lost, key=lambda name: lost[name], default="")
    told = f"; most by {worst}, {lost[worst]:.2f}" if worst else ""
    return f"{100 * (reference.miou - found.miou):.2f} points lost to the float network{told}"
