"""The sweep's folder, and the commands of a shell that do what the sweep does there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeseg.data.dataset import Dataset
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import UsageError
from edgeseg.naming import artifact_name
from edgeseg.recipes import recipe_row
from edgeseg.sweeping.plan import Plan, Point, Run
from edgeseg.sweeping.settings import CONVERT, TRAIN, suits, train_arguments, words
from edgeseg.training.folder import MODEL_FILE
from edgeseg.training.train import THAWED, architecture_start


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Where a sweep lies.

    Attributes:
        path: The folder.
    """

    path: Path

    def training(self, run: Run) -> Path:
        """The folder of a training, as `edgeseg train` leaves it."""
        return self.path / "runs" / run.name

    def network(self, run: Run) -> Path:
        """The network of a training."""
        return self.training(run) / MODEL_FILE

    def log(self, run: Run, recipe: str | None = None) -> Path:
        """What the processes of a training, or of its conversion by a recipe, had to say."""
        return self.training(run) / ("train.log" if recipe is None else f"{recipe}.log")

    def stopped(self, run: Run) -> Path:
        """Is there once a training was stopped early."""
        return self.training(run) / "stopped.json"

    def file(self, run: Run, recipe: str) -> Path:
        """The file of a training under a recipe."""
        return self.path / "files" / artifact_name(run.name, recipe)

    def score(self, run: Run, recipe: str) -> Path:
        """The score of that file."""
        return self.file(run, recipe).with_suffix(".json")


def train_command(plan: Plan, folder: Folder, run: Run) -> str:
    """Returns the command of a training."""
    told = words(run.settings, TRAIN)
    return shlex.join(["edgeseg", "train", "--data", plan.data, "--out", str(folder.training(run)), *told])


def convert_command(plan: Plan, folder: Folder, run: Run, recipe: str) -> str:
    """Returns the command that makes a training's file under a recipe."""
    row = recipe_row(recipe)
    told = words({name: value for name, value in plan.convert.items() if suits(name, row)}, CONVERT)
    data = ["--data", plan.data] if row.trained else []
    file = str(folder.file(run, recipe))
    return shlex.join(["edgeseg", "convert", str(folder.network(run)), *row.words, *data, *told, "--out", file])


def commands_of(plan: Plan, folder: Folder, point: Point, runs: Sequence[Run]) -> tuple[str, ...]:
    """Returns the commands that make some of a point's files, in order."""
    return tuple(
        line
        for run in runs
        for line in (train_command(plan, folder, run), convert_command(plan, folder, run, point.recipe))
    )


def checked(plan: Plan) -> Plan:
    """Proves, before long work, that the data is there and that every training could begin.

    Returns:
        The plan, with the training images' folder to calibrate on if it names nothing else.

    Raises:
        DataError: The data set cannot be read.
        UsageError: A training's settings do not fit; the message names it.
    """
    sets: dict[Any, Dataset] = {}
    for run in plan.runs:
        try:
            arguments = train_arguments(run.settings)
            splits, layout = arguments["splits"], arguments.get("layout", "auto")
            for split in splits:
                sets[split, layout] = sets.get((split, layout)) or open_dataset(plan.data, split, layout)
            if not arguments["architecture"].startswith(THAWED):
                _check_network(arguments, sets[splits[0], layout])
        except UsageError as error:
            raise UsageError(f"{run.name}: {error}") from error
    calibrated = any(recipe_row(name).calibrated and not recipe_row(name).trained for name in plan.recipes)
    if "calibration" in plan.convert or not calibrated:
        return plan
    return replace(plan, convert={"calibration": images_folder(next(iter(sets.values()))), **plan.convert})


def _check_network(arguments: Mapping[str, Any], train_set: Dataset) -> None:
    """Proves that there is such a network, and that it takes the size."""
    architecture_start(
        arguments["architecture"], arguments.get("form", "edge"), arguments.get("backbone"),
        arguments.get("output_stride"), arguments.get("init", "random"), train_set, arguments["input"],
    )  # fmt: skip


def images_folder(train_set: Dataset) -> str:
    """Returns the folder that holds a data set's training images.

    Raises:
        UsageError: They lie in several.
    """
    folders = {image.parent for image in train_set.images}
    if len(folders) != 1:
        raise UsageError(
            f"the images of {train_set.name} {train_set.split} lie in {len(folders)} folders: name those to "
            "calibrate on in the plan, as convert: {calibration: FOLDER}"
        )
    return str(folders.pop())
