"""A training's figures as TensorBoard shows them: a report that writes its event files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import tensorboard as _needed  # noqa: F401  (tf.summary finds it only when the first figure is written)
import tensorflow as tf

from edgeseg.training.options import Progress, Report

EVERY = 20
"""Steps between two figures of the loss within an epoch."""


@contextmanager
def tensorboard(folder: str | os.PathLike[str]) -> Iterator[Report]:
    """Yields a report that writes to `folder`, for `edgeseg.train(report=...)`.

        with tensorboard("runs/camvid/board") as report:
            edgeseg.train("camvid", "runs/camvid", report=report)

    Per step: "loss". Per epoch: "epoch/loss", "epoch/learning_rate", and where it was validated "val/miou",
    "val/pixel_accuracy" and "iou/<class>". Steps count through the whole training, so a resumed one goes on.
    """
    writer = tf.summary.create_file_writer(os.fspath(folder))

    def report(progress: Progress) -> None:
        step = progress.epoch * progress.steps + progress.step
        with writer.as_default(step=step):
            if progress.ended is None:
                if progress.step % EVERY == 0:
                    tf.summary.scalar("loss", progress.loss)
                return
            row = progress.ended
            figures = {
                "epoch/loss": row.loss, "epoch/learning_rate": row.learning_rate, "val/miou": row.val_miou,
                "val/pixel_accuracy": row.val_accuracy, **{f"iou/{name}": iou for name, iou in row.class_iou.items()},
            }  # fmt: skip
            for name, value in figures.items():
                if value is not None:
                    tf.summary.scalar(name, value)
        writer.flush()

    try:
        yield report
    finally:
        writer.close()
