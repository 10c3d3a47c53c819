"""The page on a training: from a hand-made history and a network that tells the meadow's classes by colour."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from test_report_pages import Page
from tiny_networks import colour_network

from edgeseg.card import LabelSet, ModelCard
from edgeseg.data.dataset import Dataset
from edgeseg.keras_segmenter import KerasSegmenter
from edgeseg.provenance import TrainingRecord
from edgeseg.report.curves import Curve, curves_plot
from edgeseg.report.training_page import training_page
from edgeseg.scoring.detail import Detail, score_in_detail
from edgeseg.training.history import Epoch, History

Meadow = tuple[Dataset, Dataset]


@pytest.fixture(scope="module")
def scored(meadow: Meadow, tiny_card: ModelCard) -> Detail:
    network = colour_network(mean=tiny_card.input.mean, std=tiny_card.input.std)
    return score_in_detail(KerasSegmenter(network, tiny_card.input, tiny_card.labels), meadow[1])


def history(losses: list[float], mious: list[float | None], **iou: float) -> History:
    return tuple(
        Epoch(
            epoch=n, loss=loss, val_miou=miou, learning_rate=0.001 / n, class_iou={} if miou is None else iou,
        )
        for n, (loss, miou) in enumerate(zip(losses, mious, strict=True), 1)
    )  # fmt: skip


def test_it_tells_scores_advice_mistakes_the_worst_images_and_the_card(scored: Detail, tiny_card: ModelCard) -> None:
    record = TrainingRecord(
        dataset="meadow/train", images=8, epochs=5, batch_size=4, crop=(48, 64), loss="ce+dice", learning_rate=2e-3,
        weight_decay=0.01, seed=7, init="old.tflite", best_epoch=4, best_miou=0.5, wall_s=3.0,
    )  # fmt: skip
    epochs = history([2.0, 1.0, 0.5, 0.4, 0.9], [0.2, None, 0.3, 0.5, 0.4], grass=0.9, water=0.8, roof=0.0)
    page = training_page(replace(tiny_card, training=record), epochs, scored)

    read = Page(page)
    assert all(reference.startswith("data:") for reference in read.references)  # the page needs no other file
    for told in (
        "in epoch 4", "3 images of folder val", "Epoch 4: class 'roof' has had no pixel right",
        "Epoch 5: the loss has risen far above its lowest", "8 images of meadow/train", "old.tflite", "ce+dice",
        "learning rate 0.002", "4 of 48x64, seed 7",
    ):  # fmt: skip
        assert told in read.text
    assert "grass" in read.text
    assert page.count("<img ") == 3 * 3  # image, labels and prediction of each of three
    order = np.argsort(scored.scores.per_image.miou)
    names = [scored.scores.per_image.names[n] for n in order]
    assert [page.index(f"<h3>{name}: mIoU") for name in names] == sorted(page.index(f"<h3>{n}: mIoU") for n in names)


def test_the_matrix_tells_where_each_classs_pixels_went(scored: Detail, tiny_card: ModelCard) -> None:
    counts = np.array([[75, 25, 0], [0, 50, 0], [0, 0, 0]])
    scores = replace(scored.scores, confusion=counts, class_iou={"grass": 0.75, "water": 0.6667, "roof": float("nan")})
    page = Page(training_page(tiny_card, history([1.0], [0.5]), replace(scored, scores=scores)))
    assert page.tables["heat"] == [
        ["true class, % of its pixels", "grass", "water", "roof", "IoU"],
        ["grass", "75.0", "25.0", "0.0", "75.0"],
        ["water", "0.0", "100.0", "0.0", "66.7"],
        ["roof", "–", "–", "–", "–"],
    ]
    assert "25.0 % of grass is taken for water" in page.text


def test_names_are_escaped(scored: Detail, tiny_card: ModelCard) -> None:
    labels = LabelSet(names=("<b>a", "b", "c"), colors=((0, 0, 0), (1, 1, 1), (2, 2, 2)))
    page = training_page(replace(tiny_card, labels=labels), history([1.0], [0.5], **{"<b>a": 0.5}), scored)
    assert "<b>a" not in page
    assert "&lt;b&gt;a" in page


def test_curves_go_through_their_points_and_the_best_epoch_is_marked() -> None:
    """480 pixels wide with margins of 52 and 14, 240 high with 26 and 30: epoch 1 lies at 52, epoch 3 at 466."""
    plot: Any = ElementTree.fromstring(
        curves_plot("loss", [Curve(name="loss", points=((1, 4.0), (2, 2.0), (3, 0.0)), color="red")], 3, best=2)
    )
    (line,) = plot.findall("polyline")
    assert line.get("points") == "52.0,26.0 259.0,118.0 466.0,210.0"
    assert [path.get("d") for path in plot.findall("path") if path.get("class") == "front"] == ["M259.0 26V210"]


@pytest.mark.parametrize("values", [(0.0,), (0.0, 0.0), (-1.0, -1.0), (5.0,)])
def test_flat_curves_are_drawn_too(values: tuple[float, ...]) -> None:
    curve = Curve(name="loss", points=tuple(enumerate(values, 1)))
    assert "nan" not in curves_plot("loss", [curve], len(values))
