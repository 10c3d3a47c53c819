"""The plan of a sweep: what is tried, read from YAML, and the trainings and points that it spells out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from edgeseg.errors import UsageError, unknown_name
from edgeseg.naming import artifact_name
from edgeseg.sweeping.settings import Settings, Value

Changes = Mapping[str, Value | None]
"""Options of `edgeseg train` by name; one that is None is taken away."""

AXES = {"architectures": "arch", "backbones": "backbone", "sizes": "size", "losses": "loss", "seeds": "seed"}
"""What a plan lists, and the option of `edgeseg train` that each is."""
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
        settings: Options of `edgeseg train`, by name; those of its variant included.
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
        variants: What is changed together, by the name of the variant: every training is made once with each.
        recipes: How each training's network is converted.
        convert: Options of `edgeseg convert`.
        bench: Options of `edgeseg bench`.
        asha: Early stopping; none if None.
    """

    data: str
    axes: Mapping[str, tuple[Value, ...]]
    variants: Mapping[str, Changes] = field(default_factory=dict)
    recipes: tuple[str, ...] = ("int8_ptq",)
    convert: Settings = field(default_factory=dict)
    bench: Settings = field(default_factory=dict)
    asha: Asha | None = None

    @property
    def runs(self) -> tuple[Run, ...]:
        """The trainings, the first axis slowest, then the variants, the seeds fastest."""
        return tuple(run for _, run in self._spelt_out())

    @property
    def points(self) -> tuple[Point, ...]:
        """What the report will hold."""
        groups: dict[str, list[Run]] = {}
        for name, run in self._spelt_out():
            groups.setdefault(name, []).append(run)
        return tuple(
            Point(name=artifact_name(name, recipe).removesuffix(".tflite"), recipe=recipe, runs=tuple(runs))
            for name, runs in groups.items()
            for recipe in self.recipes
        )

    def _spelt_out(self) -> Iterator[tuple[str, Run]]:
        """Yields each training, and what it and those of other seeds are called."""
        listed = [(key, values) for key, values in self.axes.items() if key != "seed"]
        seeds = self.axes.get("seed", ())
        for values in itertools.product(*(values for _, values in listed)):
            settings = dict(zip((key for key, _ in listed), values, strict=True))
            for variant, changed in (self.variants or {"": {}}).items():
                name = self._name(settings, variant)
                for seed in seeds:
                    own = f"{name}_seed{seed}" if len(seeds) > 1 else name
                    told = {**settings, **changed, "seed": seed}
                    yield name, Run(name=own, settings={k: v for k, v in told.items() if v is not None})

    def _name(self, settings: Settings, variant: str) -> str:
        """Returns a name of what is always told, of what differs within the sweep, and of the variant."""
        network = {**settings, **self.variants.get(variant, {})}
        told = [str(network[key]) for key in _ALWAYS_NAMED if network.get(key) is not None]
        for key, value in settings.items():
            if key not in _ALWAYS_NAMED and len(self.axes[key]) > 1:
                told.append(str(value) if key == "loss" else f"{key.replace('_', '-')}{value}")
        return "_".join(map(as_word, (*told, variant) if variant else told))


def as_word(text: str) -> str:
    """Makes a text fit to be a part of a file's name."""
    return re.sub(r"[^\w.+-]+", "-", text)


def content_of(plan: Plan) -> dict[str, Any]:
    """Returns what a file of a plan holds, with the data's place in full; `make_plan` reads it."""
    axes = dict(plan.axes)
    listed = {plural: list(axes.pop(option)) for plural, option in AXES.items() if option in axes}
    return {
        "data": str(Path(plan.data).resolve()),
        **listed,
        **({"variants": {name: dict(changes) for name, changes in plan.variants.items()}} if plan.variants else {}),
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
