"""Reading the plan of a sweep, from YAML, JSON, or what either holds; a wrong key or value is told by its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from edgeseg.data.yaml_file import read_yaml
from edgeseg.errors import DataError, UsageError, quoted, unknown_name
from edgeseg.losses import parse_loss
from edgeseg.recipes import recipe_row
from edgeseg.sweeping.plan import AXES, Asha, Changes, Plan, as_word
from edgeseg.sweeping.settings import BENCH, CONVERT, TRAIN, Setting, Value
from edgeseg.training.options import TrainingOptions

_DEFAULTS: dict[str, list[Value]] = {"sizes": ["240x320"], "losses": ["ce"], "seeds": [0]}
_KEYS = ("data", *AXES, "variants", "recipes", "train", "convert", "bench", "asha")
_SHARED = ("epochs", "val_split", "layout")
"""What must be the same for trainings that are compared."""


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
        variants=_variants(content.get("variants"), axes, where),
        data=cast(str, _read(Setting(read=TRAIN["arch"].read, place=""), content["data"], f"{where}: data")),
        axes=axes,
        recipes=tuple(map(str, recipes)),
        convert=_section(content.get("convert"), CONVERT, f"{where}: convert"),
        bench=_section(content.get("bench"), BENCH, f"{where}: bench"),
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


def _variants(given: Any, axes: Mapping[str, tuple[Value, ...]], where: str) -> dict[str, Changes]:
    """Reads the variants; what one sets has no other values in the plan, so that its name says all of it."""
    variants: dict[str, Changes] = {}
    for name, changes in _mapping(given, f"{where}: variants").items():
        place = f"{where}: variants: {name}"
        settings: dict[str, Value | None] = {}
        for key, value in _mapping(changes, place).items():
            settings |= {key: None} if value is None and key in TRAIN else _section({key: value}, TRAIN, place)
            if key == "seed" or key in _SHARED:
                raise UsageError(f"{place}: {key}: expected the same for all variants, under train or seeds")
            if len(axes.get(key, ())) > 1:
                raise UsageError(
                    f"{place}: {key}: expected one value of it beside the variants, the plan lists several"
                )
        variants[str(name)] = settings
    words = [as_word(str(name)) for name in variants]
    for name, word in zip(variants, words, strict=True):
        if not word or words.count(word) > 1:
            raise UsageError(f"{where}: variants: {quoted(name)}: expected names that make different folders")
    return variants


def _section(given: Any, table: Mapping[str, Setting], where: str) -> dict[str, Value]:
    settings = {}
    for name, value in _mapping(given, where).items():
        if name not in table:
            raise UsageError(f"{where}: {unknown_name('option', str(name), table)}")
        settings[name] = _read(table[name], value, f"{where}: {name}")
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
