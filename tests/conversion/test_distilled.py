"""Images made of a network's own statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras

import edgeseg
from edgeseg.card import InputSpec
from edgeseg.conversion.distilled import count_of, distilled_images
from edgeseg.errors import UsageError
from edgeseg.image import normalise

SPEC = InputSpec(height=32, width=48)


def learnt_network() -> tuple[Any, Any]:
    """A network whose normalisations have seen blue images with bright and dark halves, and its first convolution."""
    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    image = layers.Input((32, 48, 3), batch_size=1)
    x = layers.Conv2D(6, 3, padding="same", name="first")(image)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.5)(x))
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.5)(layers.Conv2D(8, 3, padding="same")(x)))
    network = tf_keras.Model(image, layers.Conv2D(3, 1)(x))
    rng = np.random.default_rng(0)
    for _ in range(30):
        pixels = rng.normal((40, 60, 180), 10, (32, 48, 3))
        pixels[:, 24:] += 60
        network(normalise(np.clip(pixels, 0, 255).astype(np.uint8), SPEC)[None], training=True)
    return network, tf_keras.Model(image, network.get_layer("first").output)


def test_they_bring_the_statistics_about() -> None:
    network, first = learnt_network()
    norm = next(x for x in network.layers if type(x).__name__ == "BatchNormalization")
    steps: list[tuple[int, int]] = []
    made = distilled_images(network, SPEC, 2, lambda *step: steps.append(step))
    assert [(p.shape, p.dtype) for p in made] == [((32, 48, 3), np.uint8)] * 2
    assert steps[-1][0] == steps[-1][1] == len(steps)

    def distance(images: Any) -> float:
        seen = np.concatenate([np.asarray(first(normalise(p[..., ::-1], SPEC)[None])) for p in images]).reshape(-1, 6)
        std = np.sqrt(np.asarray(norm.moving_variance))
        mean = np.abs(seen.mean(0) - np.asarray(norm.moving_mean)) / std
        return float(mean.mean() + np.abs(seen.std(0) / std - 1).mean())

    noise = list(np.random.default_rng(1).integers(0, 256, (2, 32, 48, 3), np.uint8))
    assert distance(made) < 0.3 * distance(noise)
    blue, _, red = np.mean(made, (0, 1, 2))
    assert blue > red + 60  # the order of channels


def test_how_many() -> None:
    assert count_of("distilled") == 8
    assert count_of("distilled:4") == 4
    assert count_of("synthetic:4") is None
    with pytest.raises(UsageError, match="calibration distilled:x: expected a number of images, such as distilled:8"):
        count_of("distilled:x")


def test_a_network_without_statistics_is_told() -> None:
    image = tf_keras.layers.Input((32, 48, 3))
    plain = tf_keras.Model(image, tf_keras.layers.Conv2D(3, 1)(image))
    with pytest.raises(UsageError, match="this network has none: name images like those that it was trained on"):
        edgeseg.convert(plain, "int8_ptq", calibration="distilled:2")


def test_convert_says_what_they_are_worth() -> None:
    lines: list[str] = []
    network, _ = learnt_network()
    done = edgeseg.convert(network, "int8_ptq", calibration="distilled:4", notify=lines.append)
    assert done.card.calibration is not None
    assert (done.card.calibration.source, done.card.calibration.count) == ("distilled:4", 3)
    assert any("agreement on distilled images says little" in line for line in lines)
    assert not done.warnings
