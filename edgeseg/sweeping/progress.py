"""How far a sweep is: read from its folder, and told while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edgeseg.sweeping.commands import Folder
from edgeseg.sweeping.plan import Run
from edgeseg.sweeping.settings import train_arguments
from edgeseg.training.checkpoint import read_facts
from edgeseg.training.fit import out_of_patience
from edgeseg.training.folder import CHECKPOINT_FILE
from edgeseg.training.history import History, best_miou

State = Literal["waiting", "training", "done", "stopped", "failed"]


@dataclass(frozen=True, kw_only=True)
class RunProgress:
    """How far a training is.

    Attributes:
        run: The training.
        state: "done" when all its epochs are, or its patience ended; "stopped" when others were better.
        epoch: Epochs that are done, as far as is known.
        best: Highest val mIoU so far, 0-1; None before the first validation.
        reason: Why it failed.
    """

    run: Run
    state: State
    epoch: int = 0
    best: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class SweepProgress:
    """How far a sweep is.

    Attributes:
        phase: What is being done.
        runs: All trainings.
        done: Files that are converted and scored, or, when measuring, milliseconds measured.
        total: How many there will be.
    """

    phase: Literal["training", "converting", "measuring"]
    runs: tuple[RunProgress, ...]
    done: int = 0
    total: int = 0


Watch = Callable[[SweepProgress], None]
"""Called whenever a sweep got further."""


def history_of(folder: Folder, run: Run) -> History:
    """Returns the epochs of a training that are in its checkpoint."""
    path = folder.training(run) / CHECKPOINT_FILE
    history: History = read_facts(path)["history"] if path.exists() else ()
    return history


def progress_of(folder: Folder, run: Run) -> RunProgress:
    """Tells from a sweep's folder how far a training is; "waiting" if it is to begin or to go on.

    Raises:
        DataError: Its checkpoint is damaged.
    """
    history = history_of(folder, run)
    ended = len(history) >= run.epochs or out_of_patience(history, train_arguments(run.settings)["options"])
    state: State = "done" if ended else "stopped" if folder.stopped(run).exists() else "waiting"
    return RunProgress(run=run, state=state, epoch=len(history), best=best_miou(history))
