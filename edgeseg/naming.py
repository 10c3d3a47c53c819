"""Names of models and their files: `<arch>_<backbone>_<dataset>_<H>x<W>_<recipe>[_edgetpu].tflite`."""

from __future__ import annotations

from pathlib import Path

from edgeseg.recipes import RECIPES

COMPILED = "_edgetpu"
"""Ends the name of a file that the Edge TPU compiler wrote."""


def resized_name(name: str, before: tuple[int, int], after: tuple[int, int]) -> str:
    """Returns a model's name for another input size, (height, width) each."""
    return name.replace("{}x{}".format(*before), "{}x{}".format(*after))


def artifact_name(model: str, recipe: str) -> str:
    """Returns the file name of a model under a recipe."""
    return f"{model}_{recipe}.tflite"


def recipe_in(stem: str) -> str:
    """Returns the recipe that a file's name ends with, "" if none."""
    fitting = (name for name in RECIPES if stem.removesuffix(COMPILED).endswith(f"_{name}"))
    return max(fitting, key=len, default="")


def is_compiled(path: Path) -> bool:
    """Whether a file's name says that the Edge TPU compiler wrote it."""
    return path.stem.endswith(COMPILED)
