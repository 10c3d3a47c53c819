"""The fitting loop: epochs of batches, validation, the best kept, a checkpoint after every epoch.

It knows nothing of what is learnt: float training, quantization-aware training and teacher-student training give it
their own network, batches and judge.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np

from edgeseg.card import Score
from edgeseg.files import write_text
from edgeseg.training.batches import BatchSource
from edgeseg.training.checkpoint import Checkpoint
from edgeseg.training.folder import HISTORY_FILE
from edgeseg.training.history import Epoch, History, best_miou, last_miou, to_csv
from edgeseg.training.options import Progress, Report, TrainingOptions, poly_learning_rate

SHOWN_STEPS = 50
"""Over so many steps the loss is averaged that is shown while an epoch runs."""


class Judge(Protocol):
    """What decides the best, and keeps it."""

    def score(self) -> Score:
        """Measures the network as it is now."""

    def keep(self, score: Score, epoch: int, wall_s: float) -> None:
        """Stores the network as `score` measured it: the best so far."""


def fit(
    network: Any,
    batches: BatchSource,
    judge: Judge,
    checkpoint: Checkpoint,
    options: TrainingOptions,
    report: Report | None = None,
) -> History:
    """Trains until `options.epochs` are done, from where the checkpoint stands.

    Args:
        network: Compiled, of `keras` or `tf_keras`; holds the checkpoint's state.
        batches: What it learns from.
        judge: Called at every validation, and to keep the best.
        checkpoint: Saved after every epoch, with `history.csv` beside it.
        options: How long, how fast, and when to validate.
        report: Called after every step and every epoch.
    """
    history, began = checkpoint.history, time.monotonic() - checkpoint.wall_s
    while len(history) < options.epochs:
        loss = run_epoch(network, batches, history, options, report)
        number, miou = len(history) + 1, None
        if number % options.val_every == 0 or number == options.epochs:
            score = judge.score()
            miou, best = score.miou, best_miou(history)
            if best is None or miou > best:
                judge.keep(score, number, time.monotonic() - began)
        row = Epoch(epoch=number, loss=loss, val_miou=miou)
        history = (*history, row)
        write_text(checkpoint.path.with_name(HISTORY_FILE), to_csv(history))
        checkpoint.save(network, history, time.monotonic() - began)
        if report:
            report(_progress(history, options, batches.steps, batches.steps, loss, ended=row))
    return history


def run_epoch(
    network: Any, batches: BatchSource, history: History, options: TrainingOptions, report: Report | None = None
) -> float:
    """Takes the steps of the epoch that follows `history`, and returns their mean loss."""
    epoch, steps = len(history), batches.steps
    losses: list[float] = []
    for step, (inputs, targets) in enumerate(batches.epoch(epoch)):
        network.optimizer.learning_rate = poly_learning_rate(epoch * steps + step, options.epochs * steps, options)
        losses.append(float(network.train_on_batch(inputs, targets)))
        if report:
            report(_progress(history, options, step + 1, steps, float(np.mean(losses[-SHOWN_STEPS:]))))
    return float(np.mean(losses))


def _progress(
    history: History, options: TrainingOptions, step: int, steps: int, loss: float, ended: Epoch | None = None
) -> Progress:
    return Progress(
        epoch=len(history) - (ended is not None), epochs=options.epochs, step=step, steps=steps, loss=loss,
        val_miou=last_miou(history), best_miou=best_miou(history), ended=ended,
    )  # fmt: skip
