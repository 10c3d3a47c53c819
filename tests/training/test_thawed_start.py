"""`--arch thawed:F.tflite`: somebody's network is trained on as it stands, whatever it is built of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny_networks import colour_network

import edgeseg
from edgeseg.card import Recipe
from edgeseg.conversion.convert import convert
from edgeseg.conversion.converter import run_converter
from edgeseg.conversion.ptq import span_input_range
from edgeseg.conversion.surgery import for_converter
from edgeseg.data.dataset import Dataset
from edgeseg.foreign import foreign_card
from edgeseg.image import fit, read_image
from edgeseg.keras_model import load_model
from edgeseg.keras_segmenter import KerasSegmenter
from edgeseg.training.blueprint import start_of_file
from edgeseg.training.train import file_start

Meadow = tuple[Dataset, Dataset]
L = keras.layers


@pytest.fixture(scope="module")
def theirs(meadow: Meadow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An int8 file without a card: a strided convolution, its mirror image, five classes, a softmax."""
    image = keras.Input((64, 96, 3))
    keras.utils.set_random_seed(0)
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu")(image)
    x = L.UpSampling2D(2, interpolation="bilinear")(L.DepthwiseConv2D(3, padding="same", activation="relu")(x))
    network = keras.Model(image, L.Softmax()(L.Conv2D(5, 1)(x)))
    card, _ = foreign_card(network, "theirs")
    tensors = [fit(read_image(path), card.input) for path in meadow[0].images]
    span_input_range(tensors)
    int8 = Recipe(name="int8_ptq")
    path = tmp_path_factory.mktemp("theirs") / "theirs.tflite"
    path.write_bytes(run_converter(for_converter(network, card, card.input, int8), int8, card.input, tensors))
    return path


def test_it_starts_as_the_file_computes_and_takes_other_sizes(theirs: Path, meadow: Meadow) -> None:
    """Up to the fresh last layer: what stands before that gives what it gave."""
    start = file_start(str(theirs), meadow[0], None)
    assert (start.card.input.height, start.card.input.width) == (64, 96)
    assert start.card.input.means == pytest.approx((127.5,) * 3, abs=1)
    network = start.blueprint.build((48, 64))
    assert network.output_shape == (None, 48, 64, 3)
    assert not [layer for layer in network.layers if isinstance(layer, keras.layers.Softmax)]
    assert start.initialise is not None
    start.initialise(network)
    assert start.blueprint.slow(network) == {layer.name for layer in network.layers} - {"logits"}

    folded = edgeseg.thaw(theirs, rounding=False).model
    whole = start.blueprint.build((64, 96))
    start_of_file(theirs, start.card, [read_image(path) for path in meadow[0].images])(whole)
    image = np.random.default_rng(0).normal(0, 0.5, (1, 64, 96, 3)).astype(np.float32)
    features, wanted = (
        keras.Model(model.input, next(x.input for x in model.layers if x.name == name))
        for model, name in ((whole, "logits"), (folded, last_convolution(folded)))
    )
    np.testing.assert_allclose(features(image), wanted(image), atol=2e-3)
    norm = next(x for x in whole.layers if hasattr(x, "moving_mean"))
    assert not np.allclose(norm.moving_mean, 0)


def last_convolution(network: Any) -> str:
    return str([layer.name for layer in network.layers if isinstance(layer, L.Conv2D)][-1])


def test_its_own_classes_stay(meadow: Meadow, tmp_path: Path) -> None:
    path = tmp_path / "own.tflite"
    images = [read_image(file) for file in meadow[0].images]
    path.write_bytes(convert(colour_network(), "int8_ptq", calibration=images, labels=meadow[0].labels).content)
    start = file_start(str(path), meadow[0], None)
    network = start.blueprint.build((64, 96))
    assert start.initialise is not None
    start.initialise(network)
    assert "logits" not in {layer.name for layer in network.layers}
    segmenter = KerasSegmenter(network, start.card.input)
    image, truth = meadow[1].load(0)
    seen = truth != 255
    assert np.mean(segmenter.segment(image)[seen] == truth[seen]) > 0.97


def test_the_command_trains_converts_and_goes_on(theirs: Path, meadow_folder: Path, tmp_path: Path, cli: Any) -> None:
    run = tmp_path / "run"
    words = ("train", "--data", meadow_folder, "--out", run, "--arch", f"thawed:{theirs}", "--batch", 4)
    first = cli(*words, "--epochs", 2, "--lr", 0.02, "--transfer-rate", 0.5)
    assert first.exit_code == 0, first.stderr
    assert "weights from theirs.tflite" in first.stderr
    going_on = cli(*words, "--epochs", 3, "--lr", 0.02, "--transfer-rate", 0.5, "--resume")
    assert going_on.exit_code == 0, going_on.stderr
    network, card = load_model(run / "model.keras")
    assert card is not None
    assert card.name == "theirs_folder_64x96"
    assert card.training is not None
    assert card.training.init == "theirs.tflite"
    assert network.output_shape[-1] == 3
    done = cli("convert", run, "--int8", "--calibration", meadow_folder / "images/train", "-o", tmp_path / "a.tflite")
    assert done.exit_code == 0, done.stderr


def test_what_cannot_be_trained_is_told(
    theirs: Path, meadow: Meadow, meadow_folder: Path, tmp_path: Path, cli: Any
) -> None:
    words = ("train", "--data", meadow_folder, "--out", tmp_path / "run", "--epochs", 1, "--arch")
    assert "no such file" in cli(*words, "thawed:none.tflite").error.lower()
    whole = f"thawed:{theirs}"
    told = cli(*words, whole, "--backbone", "resnet18").error
    assert "is a whole network with its weights: leave out --backbone" in told
    assert "use --transfer-rate" in cli(*words, whole, "--freeze-start").error
    assert not (tmp_path / "run").exists()
