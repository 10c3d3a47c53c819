"""Ray: starting it quietly, training on it under Tune, and converting on it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune

from edgeseg.cluster import ray_running
from edgeseg.errors import EdgesegError, printable
from edgeseg.sweeping.commands import Folder
from edgeseg.sweeping.plan import Plan, Run
from edgeseg.sweeping.progress import RunProgress, SweepProgress, Watch, history_of, progress_of
from edgeseg.sweeping.stopping import EPOCH, MIOU, Halving
from edgeseg.sweeping.trials import THREADS, alone, make_file, train_run
from edgeseg.training.history import Epoch

_FAILED = "failed"
_DEATHS = 3
"""So often a training's process may die before the sweep goes on without it."""
_TUNE = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is edgeseg's
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
_PASSED_ON = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "PYTHONPATH")


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a sweep may use.

    Attributes:
        parallel: Processes at a time; as many as fit into a cluster if None.
        threads: CPU threads of each.
        gpus: Share of a GPU for each training; 0 trains on CPUs.
        address: Of a Ray cluster; this machine alone if None.
    """

    parallel: int | None
    threads: int
    gpus: float = 0.0
    address: str | None = None


@contextlib.contextmanager
def ray_started(folder: Folder, resources: Resources) -> Iterator[None]:
    """Starts Ray, or connects to a cluster, for the duration of the block; one that runs already is used as it is.

    Raises:
        UsageError: The cluster does not answer.
    """
    threads = str(resources.threads)
    limits = {THREADS: threads, "TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    place = Path(tempfile.gettempdir()) / f"edgeseg-{hashlib.sha256(bytes(folder.path.resolve())).hexdigest()[:8]}"
    try:
        with ray_running(
            (resources.parallel or 1) * resources.threads, resources.address, settings=_TUNE,
            worker_settings={**passed, **limits}, folder=place,
        ):  # fmt: skip
            yield
    finally:
        shutil.rmtree(place, ignore_errors=True)


# === Training ===


class _Told(tune.Callback):  # type: ignore[misc]
    """Keeps what Tune tells of the trainings, and tells it on."""

    def __init__(self, folder: Folder, runs: Sequence[RunProgress], watch: Watch | None) -> None:
        self.runs = {one.run.name: one for one in runs}
        self._folder, self._watch = folder, watch

    def __getstate__(self) -> dict[str, Any]:  # Tune keeps a copy of its settings; who watches is none of them
        return vars(self) | {"_watch": None}

    def tell(self) -> None:
        if self._watch:
            self._watch(SweepProgress(phase="training", runs=tuple(self.runs.values())))

    def _note(self, trial: Any, **changes: Any) -> None:
        name = trial.config["run"]
        self.runs[name] = replace(self.runs[name], **changes)
        self.tell()

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._note(trial, state="training")

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        if _FAILED in result:
            self._note(trial, state="failed", reason=result[_FAILED])
        else:
            best = max(result[MIOU], self.runs[trial.config["run"]].best or 0.0)
            self._note(trial, epoch=result[EPOCH], best=best)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._end(trial)

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._end(trial)

    def _end(self, trial: Any) -> None:
        name = trial.config["run"]
        self.runs[name] = _outcome(self._folder, self.runs[name])
        self.tell()


def train_all(plan: Plan, folder: Folder, resources: Resources, watch: Watch | None = None) -> tuple[RunProgress, ...]:
    """Trains what is not trained yet; Ray runs already.

    Returns:
        How far each training came; none is "waiting" or "training" any more.
    """
    found = [progress_of(folder, run) for run in plan.runs]
    told = _Told(folder, found, watch)
    told.tell()
    waiting = [one.run for one in found if one.state == "waiting"]
    if waiting:
        _fit(plan, folder, resources, waiting, told)
    return tuple(told.runs.values())


def _fit(plan: Plan, folder: Folder, resources: Resources, waiting: Sequence[Run], told: _Told) -> None:
    runs, where = {run.name: run for run in waiting}, os.getcwd()

    def trial(config: dict[str, str]) -> None:
        run = runs[config["run"]]

        def validated(row: Epoch) -> None:
            tune.report({EPOCH: row.epoch, MIOU: row.val_miou})

        with alone(folder.log(run), where):
            try:
                train_run(plan, folder, run, validated)
            except EdgesegError as error:
                tune.report({_FAILED: str(error)})

    scheduler = None
    if plan.asha is not None:
        scheduler = Halving(plan.asha, folder, [(run, history_of(folder, run)) for run in plan.runs])
    store = folder.path / ".tune"
    shutil.rmtree(store, ignore_errors=True)  # what Tune remembers is not what a sweep goes on from
    try:
        tune.Tuner(
            tune.with_resources(trial, {"cpu": resources.threads, "gpu": resources.gpus}),
            param_space={"run": tune.grid_search(list(runs))},
            tune_config=tune.TuneConfig(scheduler=scheduler, max_concurrent_trials=resources.parallel),
            run_config=tune.RunConfig(
                name="trials", storage_path=str(store.resolve()), callbacks=[told], verbose=0,
                failure_config=tune.FailureConfig(max_failures=_DEATHS),
            ),
        ).fit()  # fmt: skip
    finally:
        shutil.rmtree(store, ignore_errors=True)


def _outcome(folder: Folder, told: RunProgress) -> RunProgress:
    if told.state == "failed":
        return told
    reached = progress_of(folder, told.run)
    if reached.state != "waiting":
        return reached
    return replace(reached, state="failed", reason=f"its process died, see {folder.log(told.run)}")


# === Converting ===


def convert_all(
    plan: Plan, folder: Folder, resources: Resources, missing: Sequence[tuple[Run, str]], advance: Callable[[int], None]
) -> dict[tuple[str, str], str]:
    """Converts and scores files; Ray runs already.

    Args:
        plan: The sweep.
        folder: Where it lies.
        resources: See there.
        missing: The trainings and recipes that are to be converted or scored.
        advance: Called with how many are left.

    Returns:
        Why those failed that did, by the names of training and recipe.
    """
    where = os.getcwd()

    def work(run: Run, recipe: str) -> str:
        with alone(folder.log(run, recipe), where):
            try:
                make_file(plan, folder, run, recipe)
            except EdgesegError as error:
                return str(error)
        return ""

    # A process for each, and so TensorFlow afresh; one that dies is started again.
    remote = ray.remote(num_cpus=resources.threads, max_calls=1, max_retries=_DEATHS)(work)
    waiting = list(missing)
    running: dict[Any, tuple[Run, str]] = {}
    failed: dict[tuple[str, str], str] = {}
    while waiting or running:
        advance(len(waiting) + len(running))
        while waiting and len(running) < (resources.parallel or len(missing)):
            job = waiting.pop(0)
            running[remote.remote(*job)] = job
        for ended in ray.wait(list(running))[0]:
            run, recipe = running.pop(ended)
            reason = _result_of(ended, folder.log(run, recipe))
            if reason:
                failed[run.name, recipe] = reason
    return failed


def _result_of(job: Any, log: Path) -> str:
    try:
        return str(ray.get(job))
    except ray.exceptions.RayError as error:
        return f"{printable(str(error).strip().splitlines()[-1], 200)}; see {log}"
