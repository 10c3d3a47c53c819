"""The plan of a sweep: what is tried, read from YAML, and the trainings and points that it spells out."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from edgeseg.data.yaml_file import read_yaml
from edgeseg.errors import DataError, UsageError, quoted, unknown_name
from edgeseg.losses import parse_loss
from edgeseg.naming import artifact_name
from edgeseg.recipes import recipe_row
from edgeseg.sweeping.settings import BENCH, CONVERT, TRAIN, Setting, Settings, Value
from edgeseg.training.options import TrainingOptions

AXES = {"architectures": "arch", "backbones": "backbone", "sizes": "size", "losses": "loss", "seeds": "seed"}
"""What a plan lists, and the option of `edgeseg train` that each is."""
_DEFAULTS: dict[str, list[Value]] = {"sizes": ["240x320"], "losses": ["ce"], "seeds": [0]}
_KEYS = ("data", *AXES, "recipes", "train", "convert", "bench", "asha")
_SHARED = ("epochs", "val_split", "layout")
"""What must be the same for trainings that are compared."""
_ALWAYS_NAMED = ("arch", "backbone", "size")

Among = Literal["network", "all"]


@dataclass(frozen=True, kw_only=True)
class Asha:
    """Early stopping by asynchronous successive halving.

    Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020.

    Attributes:
        grace: Epochs that every training gets.
        reduction: Of so many trainings one goes on past each rung; rungs are at grace, grace * reduction, ... epochs.
        among: Which trainings compete: those of one "network" (architecture, backbone and size), so that none is
            stopped for being faster than others, or "all".
    """

    grace: int = 1
    reduction: int = 3
    among: Among = "network"

    def __post_init__(self) -> None:
        if self.grace < 1 or self.reduction < 2:
            raise UsageError(f"grace {self.grace}, reduction {self.reduction}: expected at least 1 epoch, at least 2")
        if self.among not in get_args(Among):
            raise unknown_name("value of among", self.among, get_args(Among))


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training.

    Attributes:
        name: Of its folder.
        settings: Options of `edgeseg train`, by name.
    """

    name: str
    settings: Settings

    @property
    def network(self) -> str:
        """What decides its speed."""
        return " ".join(str(self.settings.get(key, "")) for key in (*_ALWAYS_NAMED, "form", "output_stride"))

    @property
    def epochs(self) -> int:
        """How many it is to have."""
        return int(self.settings["epochs"])


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of the report: the trainings that differ by their seeds alone, under a recipe."""

    name: str
    recipe: str
    runs: tuple[Run, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep.

    Attributes:
        data: Folder of the data set.
        axes: The values of each option of `edgeseg train` that is set; a training for each choice of one of each.
        recipes: How each training's network is converted.
        convert: Options of `edgeseg convert`.
        bench: Options of `edgeseg bench`.
        asha: Early stopping; none if None.
    """

    data: str
    axes: Mapping[str, tuple[Value, ...]]
    recipes: tuple[str, ...] = ("int8_ptq",)
    convert: Settings = field(default_factory=dict)
    bench: Settings = field(default_factory=dict)
    asha: Asha | None = None

    @property
    def runs(self) -> tuple[Run, ...]:
        """The trainings, the first axis slowest, the seeds fastest."""
        chosen = [dict(zip(self.axes, values, strict=True)) for values in itertools.product(*self.axes.values())]
        return tuple(Run(name=self._name(settings), settings=settings) for settings in chosen)

    @property
    def points(self) -> tuple[Point, ...]:
        """What the report will hold."""
        groups: dict[str, list[Run]] = {}
        for run in self.runs:
            groups.setdefault(self._name({k: v for k, v in run.settings.items() if k != "seed"}), []).append(run)
        return tuple(
            Point(name=artifact_name(name, recipe).removesuffix(".tflite"), recipe=recipe, runs=tuple(runs))
            for name, runs in groups.items()
            for recipe in self.recipes
        )

    def _name(self, settings: Settings) -> str:
        """Returns a name of what is always told and of what differs within the sweep."""
        told = [str(settings[key]) for key in _ALWAYS_NAMED if key in settings]
        for key, value in settings.items():
            if key not in _ALWAYS_NAMED and len(self.axes[key]) > 1:
                told.append(str(value) if key == "loss" else f"{key.replace('_', '-')}{value}")
        return "_".join(re.sub(r"[^\w.+-]+", "-", word) for word in told)


def read_plan(source: str | os.PathLike[str] | Mapping[str, Any]) -> Plan:
    """Reads a plan from YAML, JSON, or what either holds.

    Raises:
        DataError: The file cannot be read, or is neither.
        UsageError: A key is unknown, wanting or has a wrong value; the message names it.
    """
    if isinstance(source, Mapping):
        return make_plan(source, "the plan")
    if not Path(source).is_file():
        raise DataError(f"plan {source}: no such file; `edgeseg sweep --help` tells what one holds")
    return make_plan(read_yaml(source, "the plan of a sweep"), os.fspath(source))


def make_plan(content: Any, where: str) -> Plan:
    """Makes a plan of a mapping; `where` begins the messages.

    Raises:
        UsageError: As `read_plan`.
    """
    if not isinstance(content, Mapping) or not content:
        raise UsageError(f"{where} is no plan: expected keys such as data, architectures, backbones, recipes")
    for key in content:
        if key not in _KEYS:
            raise UsageError(f"{where}: {unknown_name('key', str(key), _KEYS)}")
    for key in ("data", "architectures"):
        if content.get(key) is None:
            raise UsageError(f"{where}: {key} is missing")
    axes: dict[str, tuple[Value, ...]] = {}
    for key, option in AXES.items():
        given = content.get(key, _DEFAULTS.get(key))
        if given is not None and option != "seed":
            axes[option] = _values(TRAIN[option], given, f"{where}: {key}")
    axes |= _train(content.get("train"), where)
    axes["seed"] = _values(TRAIN["seed"], content.get("seeds", _DEFAULTS["seeds"]), f"{where}: seeds")
    recipes = _values(Setting(read=str, place=""), content.get("recipes", ["int8_ptq"]), f"{where}: recipes")
    for key, check, values in (("recipes", recipe_row, recipes), ("losses", parse_loss, axes["loss"])):
        for value in values:
            try:
                check(str(value))
            except UsageError as error:
                raise UsageError(f"{where}: {key}: {error}") from error
    return Plan(
        data=cast(str, _read(Setting(read=TRAIN["arch"].read, place=""), content["data"], f"{where}: data")),
        axes=axes,
        recipes=tuple(map(str, recipes)),
        convert=_section(content, "convert", CONVERT, where),
        bench=_section(content, "bench", BENCH, where),
        asha=_asha(content.get("asha"), where),
    )


def _train(given: Any, where: str) -> dict[str, tuple[Value, ...]]:
    """Reads what the trainings share; a list makes one more axis."""
    axes: dict[str, tuple[Value, ...]] = {"epochs": (TrainingOptions().epochs,)}
    for key, value in _mapping(given, f"{where}: train").items():
        if key in AXES.values():
            plural = next(name for name, option in AXES.items() if option == key)
            raise UsageError(f"{where}: train: {key}: list them under {plural}, beside train")
        if key not in TRAIN:
            raise UsageError(f"{where}: train: {unknown_name('option', str(key), TRAIN)}")
        axes[key] = _values(TRAIN[key], value, f"{where}: train: {key}")
    for key in _SHARED:
        if len(axes.get(key, ())) > 1:
            raise UsageError(f"{where}: train: {key}: expected one value, the same for all trainings")
    return axes


def _section(content: Mapping[str, Any], key: str, table: Mapping[str, Setting], where: str) -> dict[str, Value]:
    settings = {}
    for name, value in _mapping(content.get(key), f"{where}: {key}").items():
        if name not in table:
            raise UsageError(f"{where}: {key}: {unknown_name('option', str(name), table)}")
        settings[name] = _read(table[name], value, f"{where}: {key}: {name}")
    return settings


def _asha(given: Any, where: str) -> Asha | None:
    if given is None or given is False:
        return None
    settings = {} if given is True else _mapping(given, f"{where}: asha")
    known = {"grace": TRAIN["epochs"], "reduction": TRAIN["epochs"], "among": TRAIN["arch"]}
    for name in settings:
        if name not in known:
            raise UsageError(f"{where}: asha: {unknown_name('key', str(name), known)}")
    read: dict[str, Any] = {n: _read(known[n], v, f"{where}: asha: {n}") for n, v in settings.items()}
    try:
        return Asha(**read)
    except UsageError as error:
        raise UsageError(f"{where}: asha: {error}") from error


def _values(setting: Setting, given: Any, where: str) -> tuple[Value, ...]:
    listed = given if isinstance(given, list | tuple) else [given]
    values = tuple(_read(setting, value, where) for value in listed)
    if not values:
        raise UsageError(f"{where}: expected at least one value")
    for value in values:
        if values.count(value) > 1:
            raise UsageError(f"{where}: {quoted(value)} is listed twice")
    return values


def _read(setting: Setting, value: Any, where: str) -> Value:
    try:
        return setting.read(value)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _mapping(given: Any, where: str) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UsageError(f"{where} is {quoted(given)}: expected options and their values")
    return given


def content_of(plan: Plan) -> dict[str, Any]:
    """Returns what a file of a plan holds, with the data's place in full; `make_plan` reads it."""
    axes = dict(plan.axes)
    listed = {plural: list(axes.pop(option)) for plural, option in AXES.items() if option in axes}
    return {
        "data": str(Path(plan.data).resolve()),
        **listed,
        "recipes": list(plan.recipes),
        "train": {name: values[0] if len(values) == 1 else list(values) for name, values in axes.items()},
        "convert": dict(plan.convert),
        "bench": dict(plan.bench),
        "asha": None if plan.asha is None else vars(plan.asha),
    }


def flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the same in one level, to compare: {"data": ..., "train epochs": ...}."""
    record: dict[str, Any] = {}
    for key, value in content.items():
        record |= {f"{key} {name}": v for name, v in value.items()} if isinstance(value, Mapping) else {key: value}
    return record
