"""The fitting loop: epochs of batches, validation, the best kept, a checkpoint after every epoch.

It knows nothing of what is learnt: float training, quantization-aware training and teacher-student training give it
their own network, batches and judge.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from edgeseg.errors import TrainingError
from edgeseg.files import write_text
from edgeseg.scoring.evaluate import Evaluation
from edgeseg.training.batches import BatchSource
from edgeseg.training.checkpoint import Checkpoint
from edgeseg.training.folder import HISTORY_FILE
from edgeseg.training.group import this_group
from edgeseg.training.guidance import advice
from edgeseg.training.history import Epoch, History, best_epoch, best_miou, last_miou, to_csv
from edgeseg.training.options import Progress, Report, TrainingOptions, poly_learning_rate

SHOWN_STEPS = 50
"""Over so many steps the loss is averaged that is shown while an epoch runs."""


class Judge(Protocol):
    """What decides the best, and keeps it."""

    def score(self) -> Evaluation:
        """Measures the network as it is now."""

    def keep(self, score: Evaluation, epoch: int, wall_s: float) -> None:
        """Stores the network as `score` measured it: the best so far."""


def fit(
    network: Any,
    batches: BatchSource,
    judge: Judge,
    checkpoint: Checkpoint,
    options: TrainingOptions,
    report: Report | None = None,
    replan: Callable[[History, TrainingOptions], int] | None = None,
) -> History:
    """Trains until `options.epochs` are done or patience ends, from where the checkpoint stands.

    Args:
        network: Compiled, of `keras` or `tf_keras`; holds the checkpoint's state.
        batches: What it learns from.
        judge: Called at every validation, and to keep the best.
        checkpoint: Saved after every epoch, with `history.csv` beside it, by the process that leads.
        options: How long, how fast, and when to validate.
        report: Called after every step and every epoch.
        replan: Called after every epoch; returns how many there will be in all. `options.epochs` if None.

    Raises:
        TrainingError: The loss is no number any more; what was kept before stays.
    """
    history, began, leads = checkpoint.history, time.monotonic() - checkpoint.wall_s, this_group().leads
    while len(history) < options.epochs and not out_of_patience(history, options):
        epoch_began = time.monotonic()
        loss = run_epoch(network, batches, history, options, report)
        number, score = len(history) + 1, None
        if number % options.val_every == 0 or number == options.epochs:
            score, best = judge.score(), best_miou(history)
            if best is None or score.miou > best:
                judge.keep(score, number, time.monotonic() - began)
        row = Epoch(
            epoch=number, loss=loss, learning_rate=float(network.optimizer.learning_rate),
            seconds=round(time.monotonic() - epoch_began, 2), **_validation(score),
        )  # fmt: skip
        history = (*history, row)
        if replan:
            options = replace(options, epochs=replan(history, options))
        if leads:
            write_text(checkpoint.path.with_name(HISTORY_FILE), to_csv(history))
            checkpoint.save(network, history, time.monotonic() - began)
        if report:
            report(_progress(history, options, batches.steps, batches.steps, loss, ended=row))
    return history


def out_of_patience(history: History, options: TrainingOptions) -> bool:
    """Whether as many validations as `options.patience` in a row have brought nothing better."""
    best = best_epoch(history)
    if options.patience is None or best is None:
        return False
    return sum(row.val_miou is not None for row in history[best.epoch :]) >= options.patience


def _validation(score: Evaluation | None) -> dict[str, Any]:
    if score is None:
        return {}
    by_name = {name: round(iou, 6) for name, iou in score.class_iou.items() if not math.isnan(iou)}
    return {"val_miou": score.miou, "val_accuracy": score.pixel_accuracy, "class_iou": by_name}


def run_epoch(
    network: Any, batches: BatchSource, history: History, options: TrainingOptions, report: Report | None = None
) -> float:
    """Takes the steps of the epoch that follows `history`, and returns their mean loss.

    Raises:
        TrainingError: A loss is no number.
    """
    epoch, steps = len(history), batches.steps
    losses: list[float] = []
    for step, (inputs, targets) in enumerate(batches.epoch(epoch)):
        network.optimizer.learning_rate = poly_learning_rate(epoch * steps + step, options.epochs * steps, options)
        losses.append(float(network.train_on_batch(inputs, targets)))
        if not math.isfinite(losses[-1]):
            raise TrainingError(
                f"the loss became {losses[-1]} in step {step + 1} of epoch {epoch + 1}: the learning rate "
                f"{options.learning_rate:g} is too high for this network, try --lr {options.learning_rate / 3:.1g}"
            )
        if report:
            report(_progress(history, options, step + 1, steps, float(np.mean(losses[-SHOWN_STEPS:]))))
    return float(np.mean(losses))


def _progress(
    history: History, options: TrainingOptions, step: int, steps: int, loss: float, ended: Epoch | None = None
) -> Progress:
    return Progress(
        epoch=len(history) - (ended is not None), epochs=options.epochs, step=step, steps=steps, loss=loss,
        val_miou=last_miou(history), best_miou=best_miou(history), ended=ended,
        advice=() if ended is None else advice(history, options.epochs),
        stopped=ended is not None and out_of_patience(history, options),
    )  # fmt: skip
