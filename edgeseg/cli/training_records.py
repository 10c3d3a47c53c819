"""Where `edgeseg train` writes a training's figures beside its own folder: TensorBoard, MLflow."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg.cli.training_page import PAGE_FILE

if TYPE_CHECKING:
    from edgeseg.training.options import Report, TrainingOptions


@contextlib.contextmanager
def recording(
    out: Path, options: TrainingOptions, settings: dict[str, Any], tensorboard: Path | None, mlflow: str | None
) -> Iterator[tuple[Report, ...]]:
    """Yields what writes where it was asked for.

    Args:
        out: The training's folder.
        options: How it trains.
        settings: What else describes it.
        tensorboard: A folder for TensorBoard.
        mlflow: See `edgeseg.training.mlflow_run.mlflow_run`.
    """
    from edgeseg.files import ensure_folder
    from edgeseg.training.folder import HISTORY_FILE

    with contextlib.ExitStack() as opened:
        written: list[Report] = []
        if tensorboard is not None:
            from edgeseg.training.tensorboard import tensorboard as board

            written.append(opened.enter_context(board(ensure_folder(tensorboard))))
        if mlflow is not None:
            for chatty in ("mlflow", "alembic"):
                logging.getLogger(chatty).setLevel(logging.WARNING)
            from edgeseg.training.mlflow_run import mlflow_run

            told = settings | asdict(options)
            told |= told.pop("augmentation")
            kept = [out / PAGE_FILE, out / HISTORY_FILE]
            written.append(opened.enter_context(mlflow_run(mlflow, out.resolve().name, told, kept)))
        yield tuple(written)
