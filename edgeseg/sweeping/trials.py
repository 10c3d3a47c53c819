"""What one process of a sweep does: a training, or a file of it. It knows nothing of Ray.

Whatever is half done when the process dies is taken up by the next: a training from its checkpoint, a file from the
last step that left one.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2

from edgeseg.conversion.convert import convert
from edgeseg.data.dataset import Dataset
from edgeseg.data.layouts import open_dataset
from edgeseg.files import ensure_folder, read_json, write_json
from edgeseg.recipes import recipe_row
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.scoring.evaluate import Evaluation, evaluate
from edgeseg.sweeping.commands import Folder
from edgeseg.sweeping.plan import Plan, Run
from edgeseg.sweeping.settings import convert_arguments, train_arguments
from edgeseg.training.folder import CHECKPOINT_FILE
from edgeseg.training.history import Epoch
from edgeseg.training.options import Progress
from edgeseg.training.train import train

THREADS = "OMP_NUM_THREADS"
"""The environment's word on how many threads a process may use."""


def train_run(plan: Plan, folder: Folder, run: Run, validated: Callable[[Epoch], None]) -> None:
    """Trains, or goes on with a training, to its end.

    Args:
        plan: The sweep.
        folder: Where it lies.
        run: The training.
        validated: Called with every epoch that was validated, once its checkpoint is on disk.

    Raises:
        EdgesegError: As `edgeseg.train`.
    """
    out = folder.training(run)
    kept = (out / CHECKPOINT_FILE).exists()

    def report(progress: Progress) -> None:
        if progress.ended is not None and progress.ended.val_miou is not None:
            validated(progress.ended)

    train(plan.data, out, **train_arguments(run.settings), resume=kept, overwrite=not kept, report=report)


def make_file(plan: Plan, folder: Folder, run: Run, recipe: str) -> None:
    """Converts a training's network, scores the file, and leaves both; what is there already stays.

    Raises:
        EdgesegError: As `edgeseg.convert` and `edgeseg.evaluate`.
    """
    file = folder.file(run, recipe)
    if not file.exists():
        arguments = convert_arguments(plan.convert, recipe)
        if recipe_row(recipe).trained:
            arguments |= {"data": plan.data, "resume": Path(f"{file}.qat", CHECKPOINT_FILE).exists()}
        convert(str(folder.network(run)), recipe, out=file, notify=logging.getLogger("edgeseg").info, **arguments)
    if not folder.score(run, recipe).exists():
        found = evaluate(Segmenter(file, threads=int(os.environ.get(THREADS, "1"))), validation_set(plan, run))
        write_json(folder.score(run, recipe), score_record(found))


def validation_set(plan: Plan, run: Run) -> Dataset:
    """Opens what a training is validated on."""
    arguments = train_arguments(run.settings)
    return open_dataset(plan.data, arguments["splits"][1], arguments.get("layout", "auto"))


def score_record(found: Evaluation) -> dict[str, Any]:
    """Returns a score as a sweep keeps it."""
    return {
        "dataset": found.dataset, "split": found.split, "images": found.images, "miou": found.miou,
        "pixel_accuracy": found.pixel_accuracy, "class_iou": found.class_iou,
    }  # fmt: skip


def read_score(path: Path) -> Evaluation:
    """Reads what `score_record` gave."""
    record = read_json(path, "the score of a sweep")
    record["class_iou"] = {name: math.nan if iou is None else iou for name, iou in record["class_iou"].items()}
    return Evaluation(**record)


@contextlib.contextmanager
def alone(path: Path, where: str) -> Iterator[None]:
    """Lets one process at a time work on what the log at `path` tells of, in the folder `where`.

    What it prints goes into the log. A process of a sweep that was killed may still live for a moment: this one waits.
    """
    os.chdir(where)
    cv2.setNumThreads(int(os.environ.get(THREADS, "1")))
    ensure_folder(path.parent)
    with path.open("a") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        sys.stdout.flush()
        sys.stderr.flush()
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
        logging.basicConfig(stream=log, format="%(asctime)s %(message)s", level=logging.WARNING, force=True)
        logging.getLogger("edgeseg").setLevel(logging.INFO)
        yield
