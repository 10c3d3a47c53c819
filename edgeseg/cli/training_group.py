"""`edgeseg train` by several processes: those that Ray starts, or those of a batch job."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from edgeseg.cli.output import console
from edgeseg.cli.quiet import quiet_keras
from edgeseg.errors import LostProcessError, UsageError

if TYPE_CHECKING:
    from edgeseg.card import ModelCard
    from edgeseg.cli.training_text import Shown
    from edgeseg.training.options import Report


def ready(workers: int, address: str | None) -> bool:
    """Loads Keras, on JAX where several processes train, and joins those that `srun` has started.

    Returns:
        Whether this process is the one that tells how it goes; the others of a batch job say nothing.

    Raises:
        MissingExtraError: Something is not installed.
        UsageError: The backend is another, or both ways were asked for.
    """
    if address and workers == 1:
        raise UsageError("--address without --workers: say how many processes the cluster is to train with")
    if workers > 1:
        os.environ["KERAS_BACKEND"] = "jax"
    quiet_keras()
    from edgeseg.training.group import in_batch_job, join_batch_job, this_group

    if not in_batch_job():
        return True
    if workers > 1:
        raise UsageError("--workers under srun, which has started the processes already: leave it out")
    keep_stdout_for_results()
    join_batch_job()
    console.quiet = not this_group().leads
    return this_group().leads


def keep_stdout_for_results() -> None:
    """Silences what C++ libraries print on stdout, as Gloo does of its connections; Python's prints still go there."""
    own = os.dup(sys.stdout.fileno())
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    sys.stdout = os.fdopen(own, "w", encoding="utf-8")


def run_training(
    call: dict[str, Any], workers: int, address: str | None, shown: Shown, reports: tuple[Report, ...]
) -> ModelCard:
    """Trains, in this process or in several.

    Args:
        call: The arguments of `edgeseg.train`.
        workers: How many processes.
        address: Of a Ray cluster.
        shown: What shows how it goes.
        reports: What else is told.
    """
    from edgeseg.training.options import each
    from edgeseg.training.train import train

    report = each(shown.report, *reports)
    if workers == 1:
        try:
            return train(**call, report=report, reading=shown.reading)
        except LostProcessError as error:
            print("edgeseg:", error, file=sys.stderr, flush=True)
            os._exit(1)  # an orderly end would wait for the one that is gone, a minute, and abort
    from edgeseg.training.on_ray import train_on_ray

    return train_on_ray(call, workers, address, report, shown.reading)
