"""The zoo that ships: whole files, true cards, and finding a model by what a user calls it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ROOT

from edgeseg import zoo
from edgeseg.cli.models import learnt_from
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import ModelFileError, UsageError
from edgeseg.metrics import confusion_matrix, miou
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.scoring.evaluate import evaluate
from edgeseg.synth import aerial
from edgeseg.tflite.cost import float_operators
from edgeseg.tflite.graph import read_graph

ON_CAMVID = [name for name in zoo.list_models() if zoo.load(name).files[-1][1].scores[0].dataset == "camvid"]


@pytest.mark.parametrize("name", zoo.list_models())
def test_a_model_has_float_weights_and_an_integer_file_whose_cards_agree(name: str) -> None:
    model = zoo.load(name)
    cards = {card.recipe.name: card for _, card in model.files}
    assert {"float32", "int8_ptq"} <= set(cards)
    assert len({(card.architecture, card.backbone, card.labels) for card in cards.values()}) == 1
    for path, card in model.files:
        assert card.licence
        assert card.training is not None
        assert card.scores, f"{path} has no measured score"
        if card.recipe.is_integer:
            assert float_operators(read_graph(path)) == []


def told_in_readme(name: str) -> list[str]:
    """Returns the cells of a model's row in the README's table, from the input's size on."""
    (row,) = re.findall(rf"^\| `{name}`[^|]*\|(.*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return [cell.strip() for cell in row.split("|")][2:]


@pytest.mark.parametrize("name", zoo.list_models())
def test_the_readme_tells_of_a_model_what_its_card_does(name: str) -> None:
    path = zoo.resolve(name)
    card = zoo.load(name).files[-1][1]
    score = card.scores[0]
    on = f"{score.dataset} {score.split}" + ", learnt from" * learnt_from(card, score)
    assert told_in_readme(name) == [
        f"{card.input.height}x{card.input.width}", f"{path.stat().st_size / 1e6:.2f}", f"{score.miou:.3f}", on,
        card.licence.partition(":")[0],
    ]  # fmt: skip


def test_the_readmes_chart_shows_the_zoos_camvid_models_as_their_cards_do() -> None:
    """docs/zoo.svg, which `edgeseg report` wrote: every integer file on CamVid, with the score of its card."""
    shown = dict(re.findall(r"<title>([^:<]+): mIoU ([\d.]+) %", (ROOT / "docs/zoo.svg").read_text(encoding="utf-8")))
    cards = {zoo.resolve(name).stem: zoo.load(name).files[-1][1] for name in ON_CAMVID}
    assert shown == {stem: f"{100 * card.scores[0].miou:.1f}" for stem, card in cards.items()}


def test_only_models_that_may_be_used_freely_travel_in_the_wheel() -> None:
    _, _, included = (ROOT / "pyproject.toml").read_text().partition("[tool.hatch.build.targets.wheel.force-include]")
    travelling = set(re.findall(r'^"(models[^"]*)" =', included, re.MULTILINE))
    licences = {f"models/{name}": {card.licence for _, card in zoo.load(name).files} for name in zoo.list_models()}
    assert travelling == {path for path, terms in licences.items() if all(t.startswith("Apache-2.0") for t in terms)}
    assert f"models/{zoo.DEFAULT}" in travelling


@pytest.mark.parametrize("name", zoo.list_models())
def test_terms_that_restrict_the_use_of_a_model_are_shown_before_it_runs(name: str) -> None:
    segmenter = Segmenter(zoo.resolve(name))
    assert segmenter.card is not None
    told = [notice for notice in segmenter.notices if segmenter.card.licence in notice]
    assert bool(told) == (not segmenter.card.licence.startswith("Apache-2.0"))


def test_the_zoo_is_small_enough_to_ship() -> None:
    assert sum(p.stat().st_size for p in zoo.zoo_folder().rglob("*") if p.is_file()) < 60e6


def test_the_default_model_segments_new_worlds_about_as_well_as_its_card_says() -> None:
    path = zoo.resolve(None)
    segmenter = Segmenter(path)
    assert segmenter.card is not None
    total = np.zeros((segmenter.labels.num_classes,) * 2, np.int64)
    for index in range(24):
        image, truth = aerial.render(index, seed=12345, height=256, width=320)
        predicted = segmenter.segment(image, 256, 320, sharp=True)
        total += confusion_matrix(truth, predicted, segmenter.labels.num_classes)
    assert miou(total) > segmenter.card.scores[0].miou - 0.1


@pytest.mark.parametrize("name", ON_CAMVID)
def test_the_camvid_models_score_what_their_cards_say(name: str, test_data: Path) -> None:
    """On some images of the validation split, within what so few images allow."""
    segmenter = Segmenter(zoo.resolve(name))
    assert segmenter.card is not None
    dataset = open_dataset(test_data / "camvid", "val")

    def segment(image: Any, height: int, width: int) -> Any:
        return segmenter.segment(image, height, width, sharp=True)

    assert evaluate(segment, dataset, limit=12).miou > segmenter.card.scores[0].miou - 0.08


def test_the_cells_model_scores_what_its_card_says(test_data: Path) -> None:
    segmenter = Segmenter(zoo.resolve("cells"))
    assert segmenter.card is not None
    found = evaluate(segmenter, open_dataset(test_data / "membrane", "val"))
    assert found.miou == pytest.approx(segmenter.card.scores[0].miou, abs=0.002)


def test_a_model_is_found_by_name_folder_and_file(tmp_path: Path, tiny_model: Path) -> None:
    assert zoo.resolve("aerial") == zoo.resolve(None)
    assert zoo.resolve(tiny_model) == tiny_model
    (tmp_path / "b_float32.tflite").write_bytes(b"")
    (tmp_path / "a_int8_ptq_edgetpu.tflite").write_bytes(b"")
    (tmp_path / "c_int8_ptq.tflite").write_bytes(b"")
    assert zoo.resolve(tmp_path).name == "c_int8_ptq.tflite"


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        ("arial", UsageError, "did you mean aerial"),
        ("nowhere/model.tflite", ModelFileError, "no such file"),
        ("nowhere.tflite", ModelFileError, "no such file"),
    ],
)
def test_what_is_not_there_is_said(model: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        zoo.resolve(model)


def test_a_keras_model_is_no_tflite_file_and_the_message_says_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    path.write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"edgeseg convert .*net\.keras --int8"):
        zoo.resolve(path)
    assert zoo.resolve(path, kind="any") == path
    with pytest.raises(ModelFileError, match=r"holds no \.tflite file"):
        zoo.resolve(tmp_path)
