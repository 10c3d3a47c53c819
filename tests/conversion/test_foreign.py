"""Networks made elsewhere: what they tell of their input is heeded, and what cannot be right is told in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny_networks import MEADOW_RGB, colour_network, nearest_colour_weights

import edgeseg
from edgeseg.data.dataset import Dataset
from edgeseg.errors import ConversionError, UsageError
from edgeseg.foreign import foreign_card, own_normalisation
from edgeseg.runtime.segmenter import Segmenter

Meadow = tuple[Dataset, Dataset]


@pytest.fixture
def images(meadow: Meadow) -> list[Any]:
    return [image for image, _ in meadow[0]]


def accuracy(content: bytes, dataset: Dataset) -> float:
    segmenter = Segmenter(content)
    pairs = [(segmenter.segment(image, *labels.shape), labels) for image, labels in dataset]
    return float(np.mean([np.mean((found == labels)[labels != 255]) for found, labels in pairs]))


# === What a network tells of its input ===

Rescaling, Normalization = keras.layers.Rescaling, keras.layers.Normalization


def nested() -> Any:
    inner = keras.Sequential([keras.Input((64, 96, 3)), Rescaling(1 / 255)])
    return keras.Sequential([keras.Input((64, 96, 3)), keras.layers.Dropout(0.1), inner, keras.layers.Conv2D(3, 1)])


def by_arithmetic() -> Any:
    image = keras.Input((64, 96, 3))
    return keras.Model(image, keras.layers.Conv2D(3, 1)(image / 255.0))


CASES = {
    "none": (lambda: colour_network(), None),
    "to [0, 1]": (lambda: colour_network(Rescaling(1 / 255)), (0, 1)),
    "to [-1, 1]": (lambda: colour_network(Rescaling(1 / 127.5, offset=-1)), (0, 1)),
    "from [0, 1] to [-1, 1]": (lambda: colour_network(Rescaling(2, offset=-1)), (0, 255)),
    "ImageNet's": (lambda: colour_network(Normalization(mean=[124, 116, 104], variance=[3400, 3300, 3400])), (0, 1)),
    "of a network within": (nested, (0, 1)),
    "by operators": (by_arithmetic, (0, 1)),
    "behind a convolution": (lambda: colour_network(keras.layers.Conv2D(3, 1), Rescaling(0.1)), None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_network_that_normalises_its_input_is_recognised(case: str) -> None:
    build, wanted = CASES[case]
    found = own_normalisation(build())
    assert (found and (found.mean, found.std)) == wanted


def test_a_network_with_rescaling_inside_gets_the_pixels_as_they_are(images: list[Any], meadow: Meadow) -> None:
    """Pixels that were normalised before left it blind: it agreed with itself on 0.2 % or, worse, on everything."""
    lines: list[str] = []
    network = colour_network(Rescaling(1 / 127.5, offset=-1))
    done = edgeseg.convert(network, calibration=images, notify=lines.append)
    assert (done.card.input.mean, done.card.input.std) == (0, 1)
    assert done.agreement > 0.98
    assert done.warnings == ()
    assert "it begins with Rescaling 'rescaling" in lines[0]
    assert "pixels as they are" in lines[0]
    assert accuracy(done.content, meadow[1]) > 0.97


def test_flags_against_what_the_network_tells_are_told(images: list[Any]) -> None:
    lines: list[str] = []
    network = colour_network(Rescaling(1 / 127.5, offset=-1))
    done = edgeseg.convert(network, "float32", calibration=images, mean=127.5, std=127.5, notify=lines.append)
    assert any("it is likely to want --mean 0 --std 1" in line for line in lines)
    assert done.card.input.mean == 127.5


# === What cannot be right ===


def normalised_by_batch(mean: float, std: float) -> Any:
    """A network that was trained on (pixel - mean) / std, with a batch normalisation that remembers it."""
    norm = keras.layers.BatchNormalization()
    network = colour_network(norm, mean=mean, std=std)
    colours = (MEADOW_RGB - mean) / std
    centre, spread = colours.mean(0), colours.var(0)
    norm.set_weights([np.sqrt(spread + norm.epsilon), centre, centre, spread])
    return network


def test_a_normalisation_that_the_batch_statistics_contradict_is_told(images: list[Any]) -> None:
    """The file agrees with its network, and both are wrong: nothing but the statistics shows it."""
    network = normalised_by_batch(0, 255)
    wrong = edgeseg.convert(network, "float32", calibration=images)
    assert wrong.agreement > 0.99
    assert "(pixel - 0) / 255 fits, give --mean 0 --std 255" in wrong.warnings[0]
    right = edgeseg.convert(network, "float32", calibration=images, mean=0, std=255)
    assert right.warnings == ()


def test_a_blind_network_is_told(images: list[Any]) -> None:
    done = edgeseg.convert(colour_network(mean=0, std=1), "float32", calibration=images)
    assert "the Keras network is blind on these images: it gives class 'class_" in done.warnings[0]
    assert "--mean" in done.warnings[0]


def test_values_that_are_no_numbers_are_refused(images: list[Any]) -> None:
    network = colour_network()
    network.get_layer("logits").set_weights([np.full((1, 1, 3, 3), np.nan), np.zeros(3)])
    with pytest.raises(ConversionError, match="values that are not finite"):
        edgeseg.convert(network, "float32", calibration=images)


def collapsing() -> Any:
    """A network whose classes differ by a thousandth of what they have in common: int8 cannot tell them apart."""
    network = colour_network()
    kernel, bias = nearest_colour_weights(127.5, 127.5)
    network.get_layer("logits").set_weights([kernel, bias + 3000])
    return network


def test_a_file_that_does_not_choose_as_its_network_is_not_written(
    meadow_folder: Path, tmp_path: Path, cli: Any
) -> None:
    collapsing().save(tmp_path / "net.keras")
    file = tmp_path / "net.tflite"
    words = ("convert", tmp_path / "net.keras", "--int8", "--calibration", meadow_folder / "images/train", "-o", file)
    refused = cli(*words)
    assert refused.exit_code == 1
    last = refused.stderr.splitlines()[-1]
    assert "the int8_ptq file chooses as the Keras network on only " in last
    assert "of 1 image that neither calibration nor tuning saw (folder train), expected 98% or more" in last
    assert not file.exists()

    forced = cli(*words, "--force", "--json")
    assert forced.exit_code == 0, forced.stderr
    assert forced.json["agreement"] < 0.9
    assert forced.json["agreement_on"] == {"source": "folder train", "count": 1, "unseen": True}
    assert file.exists()


def test_synthetic_images_for_another_network_are_told() -> None:
    done = edgeseg.convert(colour_network(), "float32", calibration="synthetic:1")
    assert "the images are synthetic, the network was trained on unknown images" in done.warnings[0]
    assert done.card.agreement_on is not None
    assert done.card.agreement_on.source == "synthetic:1"


# === Networks that take any size ===


def test_a_network_of_any_size_takes_the_size_that_is_given(images: list[Any], meadow: Meadow) -> None:
    network = colour_network(shape=(None, None, 3))
    with pytest.raises(UsageError, match="takes images of any size: choose one with --size"):
        edgeseg.convert(network, calibration=images)
    done = edgeseg.convert(network, calibration=images, size=(32, 48))
    assert Segmenter(done.content).output_size == (32, 48)
    assert done.card.name == "colours_32x48"
    assert accuracy(done.content, meadow[1]) > 0.9


def test_a_network_of_one_size_does_not_take_another(images: list[Any]) -> None:
    dense = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Reshape((8, 8, 3))])
    with pytest.raises(ConversionError, match="does not take a 1x16x16x3 image"):
        edgeseg.convert(dense, "float32", calibration=images, size=(16, 16))


def test_what_is_no_segmentation_network_is_refused() -> None:
    grey = keras.Sequential([keras.Input((8, 8)), keras.layers.Conv1D(2, 1)])
    with pytest.raises(UsageError, match=r"expected one input \(batch, height, width, channels\)"):
        foreign_card(grey, "grey")
    classifier = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()])
    with pytest.raises(UsageError, match=r"expected logits \(batch, height, width, classes\)"):
        foreign_card(classifier, "classifier")
    with pytest.raises(UsageError, match="model int: expected a zoo name, a path or a Keras network"):
        edgeseg.convert(7)
