"""What a plan may set: the options of `edgeseg train` and `edgeseg convert`, by their names on the command line.

One table for each command says how a value is read, and which argument of the library it becomes; so the commands in a
report are those of the sweep's own calls.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgeseg.card import InputSpec, input_channels
from edgeseg.errors import UsageError, quoted
from edgeseg.recipes import RecipeRow, recipe_row
from edgeseg.training.augmentation import Augmentation
from edgeseg.training.options import TrainingOptions

Value = bool | int | float | str
"""A setting as plans, commands and JSON hold it."""
Settings = Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One option.

    Attributes:
        read: Makes a plan's value the one that is kept; raises UsageError with what was expected.
        place: The argument it becomes, such as "options.batch_size".
        parse: Makes the value that is kept the argument.
        negative: Whether `--no-<name>` says the opposite of `--<name>`.
    """

    read: Callable[[Any], Value]
    place: str
    parse: Callable[[Any], Any] = lambda value: value
    negative: bool = False


# === Reading values ===


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{quoted(value)}: expected a whole number")
    return value


def _number(value: Any) -> float:
    """Takes "1e-3", too, which YAML reads as text."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{quoted(value)}: expected a number")
    return number


def _yes(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{quoted(value)}: expected true or false")
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{quoted(value)}: expected text")
    return value


def _size(value: Any) -> str:
    match = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", value.strip()) if isinstance(value, str) else None
    if match is None or not all(map(int, match.groups())):
        raise UsageError(f"{quoted(value)}: expected height x width, such as 240x320")
    return f"{int(match[1])}x{int(match[2])}"


def _pair(text: str) -> tuple[int, int]:
    height, width = map(int, text.split("x"))
    return height, width


def _numbers(value: Any) -> str:
    """Takes a number, or text such as "123.68,116.78,103.94"."""
    try:
        return ",".join(f"{_number(part):.10g}" for part in (value.split(",") if isinstance(value, str) else [value]))
    except UsageError as error:
        raise UsageError(f"{quoted(value)}: expected a number, or several such as 123.68,116.78,103.94") from error


def _channels(text: str) -> float | tuple[float, ...]:
    values = tuple(map(float, text.split(",")))
    return values if len(values) > 1 else values[0]


def _zoom(value: Any) -> str:
    parts = _numbers(value).split(",")
    if len(parts) != 2 or not 0 < float(parts[0]) <= float(parts[1]):
        raise UsageError(f"{quoted(value)}: expected the smallest and the largest zoom, such as 0.5,2")
    return ",".join(parts)


# === The tables ===

TRAIN: dict[str, Setting] = {
    "arch": Setting(read=_word, place="call.architecture"),
    "backbone": Setting(read=_word, place="call.backbone"),
    "form": Setting(read=_word, place="call.form"),
    "size": Setting(read=_size, place="input.size", parse=_pair),
    "loss": Setting(read=_word, place="options.loss"),
    "resize": Setting(read=_word, place="input.resize"),
    "crop": Setting(read=_size, place="options.crop", parse=_pair),
    "order": Setting(read=_word, place="input.order"),
    "channels": Setting(read=_whole, place="input.channels"),
    "mean": Setting(read=_numbers, place="input.mean", parse=_channels),
    "std": Setting(read=_numbers, place="input.std", parse=_channels),
    "output_stride": Setting(read=_whole, place="call.output_stride"),
    "split": Setting(read=_word, place="splits.train"),
    "val_split": Setting(read=_word, place="splits.val"),
    "layout": Setting(read=_word, place="call.layout"),
    "epochs": Setting(read=_whole, place="options.epochs"),
    "patience": Setting(read=_whole, place="options.patience"),
    "batch": Setting(read=_whole, place="options.batch_size"),
    "lr": Setting(read=_number, place="options.learning_rate"),
    "weight_decay": Setting(read=_number, place="options.weight_decay"),
    "class_weights": Setting(read=_yes, place="options.class_weighting", negative=True),
    "scale": Setting(read=_zoom, place="augmentation.scale", parse=_channels),
    "rotation": Setting(read=_number, place="augmentation.rotation"),
    "quarter_turns": Setting(read=_yes, place="augmentation.quarter_turns"),
    "elastic": Setting(read=_number, place="augmentation.elastic"),
    "balanced_crops": Setting(read=_number, place="augmentation.balanced_crops"),
    "copy_paste": Setting(read=_number, place="augmentation.copy_paste"),
    "weights": Setting(read=_word, place="call.init"),
    "init_from": Setting(read=_word, place="call.init"),
    "val_every": Setting(read=_whole, place="options.val_every"),
    "mixed_precision": Setting(read=_yes, place="options.mixed_precision", negative=True),
    "ema": Setting(read=_number, place="options.ema"),
    "transfer_rate": Setting(read=_number, place="options.transfer_rate"),
    "freeze_start": Setting(read=_yes, place="options.freeze_start"),
    "teacher": Setting(read=_word, place="call.teacher"),
    "teacher_weight": Setting(read=_number, place="options.teacher_weight"),
    "unlabelled": Setting(read=_word, place="call.unlabelled"),
    "licence": Setting(read=_word, place="call.licence"),
    "seed": Setting(read=_whole, place="options.seed"),
}
"""The options of `edgeseg train`, but for those that the sweep itself gives."""

CONVERT: dict[str, Setting] = {
    "calibration": Setting(read=_word, place="calibration"),
    "images": Setting(read=_whole, place="images"),
    "target": Setting(read=_word, place="target"),
    "output": Setting(read=_word, place="output"),
    "refine": Setting(read=_word, place="refinements", parse=lambda text: text.replace(" ", "").split(",")),
    "epochs": Setting(read=_whole, place="epochs"),
    "distill": Setting(read=_yes, place="distill", negative=True),
    "force": Setting(read=_yes, place="force"),
}
"""Those of `edgeseg convert`."""

BENCH: dict[str, Setting] = {
    "threads": Setting(read=_whole, place="threads"),
    "delegate": Setting(read=_word, place="delegate"),
}
"""Those of `edgeseg bench`."""

_TRAINED_ONLY = ("epochs", "distill")
_INTEGER_ONLY = ("refine", "target")


def suits(name: str, row: RecipeRow) -> bool:
    """Whether a setting of `convert` concerns a recipe."""
    return (row.trained or name not in _TRAINED_ONLY) and (row.is_integer or name not in _INTEGER_ONLY)


# === From settings to calls and commands ===


def train_arguments(settings: Settings) -> dict[str, Any]:
    """Returns what `edgeseg.train` is called with, besides the data and the folder.

    Args:
        settings: Options by name.

    Raises:
        UsageError: They do not fit each other, or a value is out of its range.
    """
    if {"weights", "init_from"} <= set(settings):
        raise UsageError("weights and init_from were both given: choose one")
    if "teacher_weight" in settings and "teacher" not in settings:
        raise UsageError("teacher_weight: there is no teacher; name one")
    if settings.get("weights", "imagenet") != "imagenet":
        raise UsageError(f"weights {quoted(settings['weights'])}: expected imagenet")
    parts: dict[str, dict[str, Any]] = {"call": {}, "input": {}, "options": {}, "augmentation": {}, "splits": {}}
    for name, value in settings.items():
        part, _, argument = TRAIN[name].place.partition(".")
        parts[part][argument] = TRAIN[name].parse(value)
    spec, splits = parts["input"], parts["splits"]
    height, width = spec.pop("size")
    channels = input_channels(spec.pop("order", None), spec.pop("channels", None))
    return {
        **parts["call"],
        "input": InputSpec(height=height, width=width, **channels, **spec),
        "splits": (splits.get("train", "train"), splits.get("val", "val")),
        "options": TrainingOptions(**parts["options"], augmentation=Augmentation(**parts["augmentation"])),
    }


def convert_arguments(settings: Settings, recipe: str) -> dict[str, Any]:
    """Returns what `edgeseg.convert` is called with for a recipe, besides the model, the recipe and the file."""
    row = recipe_row(recipe)
    return {CONVERT[name].place: CONVERT[name].parse(v) for name, v in settings.items() if suits(name, row)}


def words(settings: Settings, table: Mapping[str, Setting]) -> list[str]:
    """Returns settings as the command line takes them: ["--lr", "0.001", "--freeze-start"]."""
    given: list[str] = []
    for name, value in settings.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            given += [f"--{option}"] if value else [f"--no-{option}"] if table[name].negative else []
        else:
            given += [f"--{option}", f"{value:.10g}" if isinstance(value, float) else str(value)]
    return given
