"""Recipes are data: one table, read everywhere, and another row is another recipe."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from foreign_packages import Install, forget
from tiny_networks import colour_network

import edgeseg
from edgeseg.card import Recipe
from edgeseg.card_file import detach
from edgeseg.data.dataset import Dataset
from edgeseg.errors import UsageError
from edgeseg.naming import artifact_name, recipe_in
from edgeseg.recipes import RECIPES, recipe_of_flags, recipe_row

PACKAGE = Path(edgeseg.__file__).parent


def test_no_other_module_knows_a_recipe_by_its_name() -> None:
    names = "|".join(name for name in RECIPES if name.startswith("int8"))
    knowing = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(rf"""(==|!=|\\bin\\b)[^#]*["']({names})["']""", line)
        or (re.search(r"\.name (==|!=|in) ", line) and re.search(r"recipe", line))
    ]
    assert knowing == []


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ([], "int8_ptq"), (["--int8"], "int8_ptq"), (["--int8", "--qat"], "int8_qat"), (["--qat"], "int8_qat"),
        (["--int8", "--per-tensor"], "int8_ptq_per_tensor"), (["--per-tensor", "--qat"], "int8_qat_per_tensor"),
        (["--int8", "--mixed"], "int8_mixed"),
        (["--float16"], "float16"), (["--int8-weights"], "int8_weights"), (["--float32"], "float32"),
    ],
)  # fmt: skip
def test_flags_choose_a_recipe(flags: list[str], name: str) -> None:
    assert recipe_of_flags(flags).name == name


def test_flags_of_two_recipes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"several recipes were given \(--float16, --int8\): choose one"):
        recipe_of_flags(["--int8", "--float16"])


PLAIN = """
from edgeseg.recipes import RecipeRow

ROW = RecipeRow(name="int8_plain", summary="not refined", weights="int8", activations="int8", calibrated=True)
"""


def test_another_package_adds_a_recipe_by_a_row(
    meadow: tuple[Dataset, Dataset], install: Install, cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """int8 as the converter alone makes it: no line of code but its row. The file runs where the package is not."""
    package = install("plainly", PLAIN, {"edgeseg.recipes": {"int8_plain": "plainly:ROW"}})
    lines: list[str] = []
    images = [image for image, _ in meadow[0]]
    done = edgeseg.convert(colour_network(), "int8_plain", calibration=images, notify=lines.append)
    assert not any("tun" in line for line in lines)
    assert done.agreement > 0.95
    card = detach(done.content)
    assert card == done.card
    assert card is not None
    assert card.recipe == Recipe(name="int8_plain")
    assert card.recipe.is_integer
    assert recipe_in(Path(done.file_name).stem) == "int8_plain"

    network, file = tmp_path / "network.keras", tmp_path / "made.tflite"
    colour_network().save(network)
    words = ("convert", network, "--calibration", meadow[0].images[0].parent, "--out", file, "--recipe")
    assert "each names a recipe" in cli(*words, "int8_plain", "--int8").error
    assert "did you mean int8_plain" in cli(*words, "int8_plane").error
    assert cli(*words, "int8_plain").exit_code == 0
    assert recipe_row("int8_plain").words == ("--recipe", "int8_plain")

    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder != str(package)])
    forget()
    assert "int8_plain" not in RECIPES
    there = cli("inspect", file, "--json")
    assert there.exit_code == 0, there.stderr
    assert there.json["card"]["recipe"]["name"] == "int8_plain"
    assert edgeseg.Segmenter(file)(images[0]).size == images[0].shape[:2]


def test_a_recipe_that_needs_training_is_not_replaced_by_another(tmp_path: Path) -> None:
    """It fell through to int8 weights with float computation."""
    with pytest.raises(UsageError, match="int8_qat trains the weights: name the data set"):
        edgeseg.convert(colour_network(), "int8_qat", calibration="synthetic:1")
    with pytest.raises(UsageError, match="unknown recipe 'int8_qta': did you mean int8_qat"):
        edgeseg.convert(colour_network(), "int8_qta")


def test_the_card_tells_what_made_the_file(meadow: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    images = [image for image, _ in meadow[0]]
    done = edgeseg.convert(colour_network(), "float16", calibration=images, out=tmp_path)
    assert dict(done.card.tools).keys() >= {"tensorflow", "keras", "tf_keras"}
    assert done.card.recipe.name == "float16"
    assert done.file == tmp_path / artifact_name("colours_64x96", "float16")
    assert done.file.read_bytes() == done.content
    assert done.card.agreement_on is not None
    assert (done.card.agreement_on.source, done.card.agreement_on.count) == ("images given", 1)


@pytest.mark.parametrize("kind", ["folder", "file", "network"])
def test_a_model_may_be_named_in_any_way(kind: str, tiny_keras_model: Path, photo: Any) -> None:
    from edgeseg.keras_model import load_model

    model = {
        "folder": tiny_keras_model.parent, "file": str(tiny_keras_model), "network": load_model(tiny_keras_model)[0],
    }[kind]  # fmt: skip
    done = edgeseg.convert(model, "float32", calibration=[photo])
    assert done.agreement == 1
