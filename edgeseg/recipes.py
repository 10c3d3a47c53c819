"""The recipes: how a network becomes a file, one row each. All that depends on a recipe is read here.

A row says what the recipe needs, what the converter is asked for, what refines the file afterwards, and what must hold
of it in the end. `conversion/` carries it out, knowing none of the names; so another recipe is another row, and a new
kind of refinement a function in `conversion/refinements.py`. Another package adds a row by an entry point of the group
`edgeseg.recipes`; a device needs neither row nor package to run its files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from edgeseg.errors import UsageError, unknown_name
from edgeseg.plugins import Registry

Number = Literal["int8", "float16", "float32"]


@dataclass(frozen=True, kw_only=True)
class RecipeRow:
    """One recipe.

    Attributes:
        name: `<weights>[_<how>]`, as cards and file names have it.
        flags: What asks for it on the command line; if empty, `--recipe` and its name.
        summary: What it is, in a few words.
        weights: How weights are stored.
        activations: What the network computes in; "int8" leaves no float operator.
        per_tensor: Whether a kernel has one scale; else each of its output channels has its own.
        calibrated: Whether calibration images set the ranges of its activations.
        base: The recipe by which the file is made at first, before its noisiest layers are turned back to float.
        trained: Whether it needs training with a data set.
        refinements: What happens to the file behind the converter, in order; each is kept only if it brings the file
            nearer to the network, on images that neither calibration nor tuning saw.
        lowest_agreement: Fraction of pixels on which the file must choose as the network that it came from.
    """

    name: str
    flags: tuple[str, ...] = ()
    summary: str
    weights: Number
    activations: Number = "float32"
    per_tensor: bool = False
    calibrated: bool = False
    base: str = ""
    trained: bool = False
    refinements: tuple[str, ...] = ()
    lowest_agreement: float = 0.98

    @property
    def words(self) -> tuple[str, ...]:
        """What asks for it on the command line."""
        return self.flags or ("--recipe", self.name)

    @property
    def is_integer(self) -> bool:
        """Whether all computation is in integers."""
        return self.activations == "int8"


REFINEMENTS = ("equalization", "ranges", "rounding", "biases", "logits")
"""What can refine an integer file behind the converter, in order; `conversion/refinements.py` does it."""
TUNED = ("equalization", "ranges", "biases", "logits")
_ROWS = (
    RecipeRow(
        name="int8_ptq", flags=("--int8",), summary="all integer, ranges from calibration images",
        weights="int8", activations="int8", calibrated=True, refinements=TUNED,
    ),
    RecipeRow(
        name="int8_qat", flags=("--int8", "--qat"), summary="all integer, weights trained to it",
        weights="int8", activations="int8", calibrated=True, trained=True, refinements=TUNED,
    ),
    RecipeRow(
        name="int8_ptq_per_tensor", flags=("--int8", "--per-tensor"), summary="one scale a kernel (old accelerators)",
        weights="int8", activations="int8", per_tensor=True, calibrated=True, refinements=TUNED,
    ),
    RecipeRow(
        name="int8_qat_per_tensor", flags=("--int8", "--qat", "--per-tensor"), summary="the same, weights trained",
        weights="int8", activations="int8", per_tensor=True, calibrated=True, trained=True, refinements=TUNED,
    ),
    RecipeRow(
        name="int8_weights", flags=("--int8-weights",), summary="integer weights, float computation", weights="int8",
    ),
    RecipeRow(
        name="float16", flags=("--float16",), summary="half-precision weights, float computation", weights="float16",
    ),
    RecipeRow(name="float32", flags=("--float32",), summary="no quantization", weights="float32"),
    RecipeRow(
        name="int8_mixed", flags=("--int8", "--mixed"), summary="integer, but for the noisiest layers", base="int8_ptq",
        weights="int8", calibrated=True, refinements=TUNED,
    ),
)  # fmt: skip
RECIPES: Registry[RecipeRow] = Registry("recipe", "edgeseg.recipes", {row.name: row for row in _ROWS}, RecipeRow)
"""The table, its default first."""


def recipe_row(name: str) -> RecipeRow:
    """Returns a recipe's row.

    Raises:
        UsageError: There is no such recipe.
        PluginError: It is another package's, which cannot be loaded.
    """
    return RECIPES.find(name)


def refinements_of(names: Iterable[str]) -> tuple[str, ...]:
    """Returns refinements in their order; "all" stands for all, "none" for none.

    Raises:
        UsageError: There is no such refinement.
    """
    wanted = set(names)
    known = (*REFINEMENTS, "all", "none")
    for name in wanted:
        if name not in known:
            raise unknown_name("refinement", name, known)
    return tuple(name for name in REFINEMENTS if name in wanted or "all" in wanted)


def recipe_of_flags(flags: Iterable[str]) -> RecipeRow:
    """Returns the simplest of edgeseg's recipes that some flags ask for; the default if there are none.

    Raises:
        UsageError: They belong to several recipes.
    """
    given = set(flags)
    fitting = [row for row in _ROWS if given <= set(row.flags)]
    if not fitting:
        raise UsageError(f"several recipes were given ({', '.join(sorted(given))}): choose one")
    return min(fitting, key=lambda row: len(row.flags))
