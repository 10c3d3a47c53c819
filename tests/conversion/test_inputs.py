"""Networks of other inputs than RGB with one mean are described, converted, and run as Keras runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from meadow import LABELS, SIZE

from edgeseg.architectures.backbones.registry import BACKBONES
from edgeseg.architectures.network import NetworkSpec
from edgeseg.architectures.registry import build_network
from edgeseg.card import InputSpec, ModelCard, Recipe
from edgeseg.card_file import read_model
from edgeseg.conversion.images import divide_arrays
from edgeseg.conversion.network import convert_network
from edgeseg.data.dataset import Dataset
from edgeseg.image import normalise, read_image, write_image
from edgeseg.keras_segmenter import KerasSegmenter
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.training.augmentation import Augmentation, augment
from edgeseg.training.initial_weights import for_order

Meadow = tuple[Dataset, Dataset]

CAFFE: dict[str, Any] = {"order": "bgr", "mean": (103.939, 116.779, 123.68), "std": 1.0}
TORCH: dict[str, Any] = {"order": "rgb", "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
GREY: dict[str, Any] = {"order": "grey", "channels": 1, "mean": 110.0, "std": 60.0}
FIVE: dict[str, Any] = {"order": "as_is", "channels": 5, "mean": (110.0, 120.0, 130.0, 140.0, 90.0), "std": 60.0}
KINDS = {"caffe": CAFFE, "torch": TORCH, "grey": GREY, "five": FIVE}


def seen_by(kind: str, image: np.ndarray) -> np.ndarray:
    """What the network was trained on, written out by hand: an array of the image's size, before normalisation."""
    if kind == "torch":
        return image[:, :, ::-1]
    if kind == "grey":
        return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[:, :, None]
    return image


def some_images(kind: str, images: Dataset) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns a data set's images and label maps; with two more channels for the network of five."""
    if kind != "five":
        return list(images)
    return [(np.dstack([image, 255 - image[:, :, :2]]), truth) for image, truth in images]


def plain_network(kind: str, meadow: Meadow) -> Any:
    """A little network made and trained with nothing but Keras; the file has no card."""
    keras.utils.set_random_seed(1)
    channels, mean, std = KINDS[kind].get("channels", 3), np.array(KINDS[kind]["mean"]), np.array(KINDS[kind]["std"])
    image = keras.Input((*SIZE, channels))
    x = keras.layers.Conv2D(12, 5, padding="same", use_bias=False)(image)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8)(x))
    network = keras.Model(image, keras.layers.Conv2D(3, 1)(x))
    network.compile(keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(True, ignore_class=255))
    images, truths = zip(*some_images(kind, meadow[0]), strict=True)
    inputs = np.stack([(seen_by(kind, i).astype(np.float32) - mean) / std for i in images]).astype(np.float32)
    network.fit(inputs, np.stack(truths).astype(np.int32), batch_size=4, epochs=25, verbose=0)
    return network


@pytest.fixture(scope="module", params=KINDS)
def plain(request, meadow: Meadow) -> tuple[str, Any]:
    return request.param, plain_network(request.param, meadow)


def card_for(kind: str) -> ModelCard:
    return ModelCard(
        name="theirs_64x96", architecture="", backbone="", output_stride=0,
        input=InputSpec(height=SIZE[0], width=SIZE[1], **KINDS[kind]), labels=LABELS, recipe=Recipe(name="float32"),
    )  # fmt: skip


def by_hand(kind: str, network: Any, image: np.ndarray) -> np.ndarray:
    pixels = (seen_by(kind, image).astype(np.float32) - np.array(KINDS[kind]["mean"])) / np.array(KINDS[kind]["std"])
    return np.asarray(network(pixels[None].astype(np.float32), training=False))[0].argmax(-1)


@pytest.mark.parametrize(("recipe", "least"), [("float32", 0.9995), ("int8_ptq", 0.99)])
def test_a_file_gives_what_keras_gives(plain, recipe: str, least: float, meadow: Meadow) -> None:
    kind, network = plain
    shown = [image for image, _ in some_images(kind, meadow[0])]
    done = convert_network(network, card_for(kind), Recipe(name=recipe), divide_arrays(shown, "meadow"))
    content, card = done.content, done.card

    assert card.agreement is not None
    assert card.agreement >= least
    segmenter, reference = Segmenter(content), KerasSegmenter(network, card.input)
    assert segmenter.card == card
    assert card.format == 2
    for image, truth in some_images(kind, meadow[1]):
        expected = by_hand(kind, network, image)
        assert (expected == truth)[4:].mean() > 0.9, "the network has learnt something"
        assert (reference.segment(image) == expected).mean() > 0.9995
        assert (segmenter.segment(image) == expected).mean() >= least


def test_a_network_without_a_card_is_described_by_options(meadow: Meadow, meadow_folder: Path, tmp_path, cli) -> None:
    network = plain_network("caffe", meadow)
    network.save(tmp_path / "theirs.keras")
    done = cli(
        "convert", tmp_path / "theirs.keras", "--int8", "-o", tmp_path / "theirs.tflite",
        "--calibration", meadow_folder / "images/train", "--order", "bgr",
        "--mean", "103.939,116.779,123.68", "--std", "1",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    card = read_model(tmp_path / "theirs.tflite")[1]
    assert card is not None
    assert card.input == InputSpec(height=64, width=96, **CAFFE)
    image = meadow[1].load(0)[0]
    assert (Segmenter(tmp_path / "theirs.tflite").segment(image) == by_hand("caffe", network, image)).mean() >= 0.99


def test_a_grey_network_trains_converts_and_runs_on_grey_and_coloured_images(
    meadow: Meadow, meadow_folder: Path, tiny_backbone: str, tmp_path: Path, cli
) -> None:
    trained = cli(
        "train", "--data", meadow_folder, "--out", tmp_path / "run", "--channels", "1", "--size", "64x96",
        "--arch", "fcn16s", "--backbone", tiny_backbone, "--epochs", "20", "--batch", "4", "--lr", "4e-3",
        "--val-every", "20",
    )  # fmt: skip
    assert trained.exit_code == 0, trained.stderr
    done = cli(
        "convert", tmp_path / "run/model.keras", "--int8", "-o", tmp_path / "grey.tflite",
        "--calibration", meadow_folder / "images/train", "--force",  # a few epochs decide little: not what is tested
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    coloured = meadow[1].load(0)[0]
    write_image(tmp_path / "in/grey.png", cv2.cvtColor(coloured, cv2.COLOR_BGR2GRAY))
    write_image(tmp_path / "in/coloured.png", coloured)
    run = cli(
        "run", tmp_path / "grey.tflite", "--source", tmp_path / "in", "--save-labels", tmp_path / "out", "--headless"
    )
    assert run.exit_code == 0, run.stderr
    first, second = (cv2.imread(str(path), -1) for path in sorted((tmp_path / "out").iterdir()))
    assert first.shape == SIZE
    assert len(np.unique(first)) > 1
    np.testing.assert_array_equal(first, second)
    segmenter = Segmenter(tmp_path / "grey.tflite")
    assert segmenter.input == InputSpec(height=64, width=96, order="grey", channels=1)
    grey = cv2.cvtColor(coloured, cv2.COLOR_BGR2GRAY)
    np.testing.assert_array_equal(segmenter.segment(grey), segmenter.segment(read_image(tmp_path / "in/grey.png")))


@pytest.mark.parametrize("backbone", [b for b in BACKBONES if b not in ("resnet50", "resnet101", "vgg16")])
def test_every_edge_backbone_takes_one_channel(backbone: str) -> None:
    spec = NetworkSpec(
        architecture="deeplabv3plus", backbone=f"{backbone}_0.25" if backbone != "efficientnetlite0" else backbone,
        num_classes=2, height=64, width=64, channels=1,
    )  # fmt: skip
    assert build_network(keras, spec).input_shape == (None, 64, 64, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_training_sees_the_channels_that_the_device_sees(kind: str, meadow: Meadow) -> None:
    """Without any variation, an augmented image is the fitted one, and what lies beside it normalises to zero."""
    spec = InputSpec(height=SIZE[0], width=SIZE[1], **KINDS[kind])
    still = Augmentation(scale=(1.0, 1.0), mirror=False, contrast=0.0, brightness=0.0, saturation=0.0, gamma=1.0)
    image, truth = some_images(kind, meadow[0])[0]
    pixels, _ = augment(image, truth, spec, SIZE, still, np.random.default_rng(0))
    assert np.abs(pixels.astype(int) - seen_by(kind, image)).max() <= 1
    wider, labels = augment(image, truth, spec, (80, 120), still, np.random.default_rng(0))
    beside = normalise(wider, spec)[labels == 255]
    assert np.abs(beside).min() < 0.6 / min(spec.stds)


def test_a_colour_stem_answers_grey_images_as_before() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)
    grey = np.random.default_rng(1).random((3, 3), np.float32)
    coloured = np.tensordot(grey[:, :, None].repeat(3, 2), kernel, 3)
    assert np.tensordot(grey[:, :, None], for_order(kernel, "grey"), 3) == pytest.approx(coloured, rel=1e-5)
    assert np.array_equal(for_order(kernel, "bgr")[:, :, 0], kernel[:, :, 2])
