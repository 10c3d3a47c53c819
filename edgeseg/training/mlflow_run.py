"""A training's settings and figures as MLflow keeps them: a report that writes a run."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from edgeseg.errors import OutputError
from edgeseg.training.options import Progress, Report

EXPERIMENT = "edgeseg"

_LOG = logging.getLogger(__name__)


@contextmanager
def mlflow_run(store: str, name: str, settings: Mapping[str, Any], files: Iterable[Path] = ()) -> Iterator[Report]:
    """Yields a report that writes to a run of the experiment "edgeseg", for `edgeseg.train(report=...)`.

        with mlflow_run("runs.db", "camvid", {"backbone": "mobilenetv2_0.5"}) as report:
            edgeseg.train("camvid", "runs/camvid", report=report)

    Each epoch writes "loss", "learning_rate", and where it was validated "val_miou", "val_pixel_accuracy" and
    "iou/<class>"; the step is the epoch's number. What MLflow can no longer take, once the run has begun, is told in a
    warning; the training goes on.

    Args:
        store: The address of MLflow's server or store, or the name of an SQLite file.
        name: The run's name.
        settings: Its parameters.
        files: What the run keeps of the training when it has ended, as far as it is there.

    Raises:
        OutputError: MLflow cannot use the store.
    """
    try:
        mlflow.set_tracking_uri(store if "://" in store else f"sqlite:///{Path(store).resolve()}")
        mlflow.set_experiment(EXPERIMENT)
        run = mlflow.start_run(run_name=name)
    except Exception as error:  # of MLflow, SQLAlchemy or a driver
        told = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise OutputError(
            f"MLflow cannot use {store} ({told}): expected an SQLite file such as runs.db, or a server's http://"
        ) from error

    def report(progress: Progress) -> None:
        row = progress.ended
        if row is None:
            return
        figures = {
            "loss": row.loss, "learning_rate": row.learning_rate, "val_miou": row.val_miou,
            "val_pixel_accuracy": row.val_accuracy,
            **{f"iou/{_key(name)}": iou for name, iou in row.class_iou.items()},
        }  # fmt: skip
        known = {name: value for name, value in figures.items() if value is not None}
        _tell(mlflow.log_metrics, known, row.epoch)

    with run:
        _tell(mlflow.log_params, {key: str(value) for key, value in settings.items()})
        yield report
        for file in files:
            if file.is_file():
                _tell(mlflow.log_artifact, os.fspath(file))


def _tell(write: Callable[..., object], *told: object) -> None:
    try:
        write(*told)
    except (MlflowException, OSError) as error:
        _LOG.warning("MLflow does not take what it is told: %s", (str(error).splitlines() or ["no reason"])[0])


def _key(name: str) -> str:
    """Returns a class name as MLflow takes it: letters, digits and a few signs."""
    return "".join(sign if sign.isalnum() or sign in "_-. /" else "_" for sign in name)
