"""Asynchronous successive halving by Ray Tune, with a memory that is edgeseg's own.

Tune's scheduler knows only what it was told since the sweep was started. So it is told first what the trainings'
checkpoints remember; a decision to stop is kept in the training's folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from edgeseg.files import write_json
from edgeseg.sweeping.commands import Folder
from edgeseg.sweeping.plan import Asha, Run
from edgeseg.training.history import History

EPOCH, MIOU = "epoch", "val_miou"
"""What a trial reports at every validation."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    """All that the scheduler asks of a trial; Tune gives those of another day other names."""

    trial_id: str


class Halving(FIFOScheduler):  # type: ignore[misc]
    """Stops trainings that others of their kind have left behind.

    Args:
        asha: When.
        folder: Where the trainings lie.
        runs: All trainings of the sweep, with the epochs that are done.
    """

    def __init__(self, asha: Asha, folder: Folder, runs: Iterable[tuple[Run, History]]) -> None:
        super().__init__()
        self._folder, self._runs = folder, {run.name: run for run, _ in runs}
        self._groups: dict[str, Any] = {}
        self._asha = asha
        for run, history in runs:
            group = self._group(run)
            group.on_trial_add(None, _Known(trial_id=run.name))
            for row in history:
                if row.val_miou is not None:
                    group.on_trial_result(None, _Known(trial_id=run.name), {EPOCH: row.epoch, MIOU: row.val_miou})

    def _group(self, run: Run) -> Any:
        key = run.network if self._asha.among == "network" else ""
        if key not in self._groups:
            self._groups[key] = ASHAScheduler(
                time_attr=EPOCH, metric=MIOU, mode="max", max_t=max(run.epochs, self._asha.grace),
                grace_period=self._asha.grace, reduction_factor=self._asha.reduction,
            )  # fmt: skip
        return self._groups[key]

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        """Decides on a training at a validation; called by Tune."""
        run = self._runs[trial.config["run"]]
        if MIOU not in result or result[EPOCH] >= run.epochs:
            return str(TrialScheduler.CONTINUE)
        verdict = self._group(run).on_trial_result(None, _Known(trial_id=run.name), result)
        if verdict == TrialScheduler.STOP:
            write_json(self._folder.stopped(run), {EPOCH: result[EPOCH], MIOU: result[MIOU]})
        return str(verdict)
