"""A Keras network is scored as its files are: letterboxed, of any size, with the same options."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from painting import TINY_LABELS, make_photo, make_photo_labels

keras = pytest.importorskip("keras")

from edgeseg.card import InputSpec, Recipe  # noqa: E402
from edgeseg.conversion.images import divide_arrays  # noqa: E402
from edgeseg.conversion.network import convert_network  # noqa: E402
from edgeseg.data.layouts import open_dataset  # noqa: E402
from edgeseg.image import write_image  # noqa: E402
from edgeseg.keras_model import load_model  # noqa: E402
from edgeseg.keras_segmenter import KerasSegmenter  # noqa: E402
from edgeseg.runtime.segmenter import Segmenter  # noqa: E402
from edgeseg.scoring.evaluate import evaluate  # noqa: E402


def test_a_letterboxed_network_and_its_files_score_the_same(tiny_keras_model: Path, tmp_path: Path):
    network, card = load_model(tiny_keras_model)
    assert card is not None
    card = dataclasses.replace(card, input=dataclasses.replace(card.input, resize="letterbox"))
    for index, (height, width) in enumerate([(48, 64), (60, 140), (120, 70), (97, 101)]):
        write_image(tmp_path / f"images/val/{index}.png", make_photo(height, width))
        write_image(tmp_path / f"labels/val/{index}.png", make_photo_labels(height, width))
    colors = [list(color) for color in TINY_LABELS.colors]
    (tmp_path / "labels.json").write_text(json.dumps({"names": TINY_LABELS.names, "colors": colors}))
    dataset = open_dataset(tmp_path, "val")
    reference = evaluate(KerasSegmenter(network, card.input, card.labels), dataset)
    assert reference.miou > 0.8, "padding is not scored"
    images = [make_photo(48 + 4 * n, 64 + 9 * n) for n in range(8)]
    for recipe, points in (("float32", 0.001), ("int8_ptq", 0.003)):
        done = convert_network(network, card, Recipe(name=recipe), divide_arrays(images, "paint"))
        assert done.card.agreement is not None
        assert done.card.agreement > 0.99
        assert abs(evaluate(Segmenter(done.content), dataset).miou - reference.miou) <= points


def test_eval_heeds_or_refuses_every_flag(cli, tiny_keras_model: Path, tiny_dataset: Path):
    words = ("eval", tiny_keras_model, "--data", tiny_dataset)
    plain = cli(*words, "--json").json["miou"]
    assert cli(*words, "--std", "20000", "--json").json["miou"] < plain - 0.1
    assert cli(*words, "--resize", "letterbox", "--json").json["miou"] != pytest.approx(0)
    assert "--threads is for .tflite files" in cli(*words, "--threads", "2").error
    assert "--delegate is for .tflite files" in cli(*words, "--delegate", "none").error


def test_a_network_of_any_size_needs_one(tmp_path: Path, cli, tiny_dataset: Path):
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.layers.Conv2D(3, 1)(image))
    network.save(tmp_path / "any.keras")
    assert "takes images of any size" in cli("eval", tmp_path / "any.keras", "--data", tiny_dataset).error
    done = cli("eval", tmp_path / "any.keras", "--data", tiny_dataset, "--size", "32x32", "--json")
    assert done.exit_code == 0, done.stderr
    assert Segmenter(tmp_path / "any.keras", size=(20, 24)).output_size == (20, 24)


def test_logits_of_a_softmax_network_are_probabilities_already():
    image = keras.Input((4, 4, 3))
    network = keras.Model(image, keras.layers.Softmax()(keras.layers.Conv2D(3, 1)(image)))
    segmenter = KerasSegmenter(network, InputSpec(height=4, width=4))
    segmenter.prepare(np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8))
    segmenter.invoke()
    np.testing.assert_allclose(segmenter.probabilities(4, 4), segmenter.logits(), atol=1e-6)
