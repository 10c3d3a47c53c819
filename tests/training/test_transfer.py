"""Training what starts from elsewhere: some layers slower, some not at all; and averages of weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from edgeseg.architectures.registry import build_network
from edgeseg.card import InputSpec, ModelCard
from edgeseg.data.dataset import Dataset
from edgeseg.errors import UsageError
from edgeseg.keras_model import load_model, network_spec
from edgeseg.training.augmentation import Augmentation, augment, random_elastic_shift
from edgeseg.training.float_training import compiled_network, train_float
from edgeseg.training.options import TrainingOptions
from edgeseg.training.transfer import backbone_names, copy_averages

Meadow = tuple[Dataset, Dataset]
OPTIONS = TrainingOptions(epochs=2, batch_size=2, augmentation=Augmentation(scale=(0.8, 1.2)))


def stepped(card: ModelCard, options: TrainingOptions, steps: int) -> tuple[Any, list[dict[str, np.ndarray]]]:
    """Trains a network on one batch; returns it, and its weights before and after each step."""
    network = compiled_network(card, options, np.full(card.labels.num_classes, 100))
    images = np.random.default_rng(0).normal(0, 1, (2, *network.input_shape[1:])).astype(np.float32)
    labels = np.zeros((2, *images.shape[1:3]), np.int32)
    seen = []
    for step in range(steps + 1):
        seen.append({v.path: keras.ops.convert_to_numpy(v).copy() for v in network.variables})
        if step < steps:
            network.train_on_batch(images, labels)
    return network, seen


def test_layers_that_start_from_elsewhere_move_at_their_own_rate(pyramid_card: ModelCard) -> None:
    _, (before, plain) = stepped(pyramid_card, OPTIONS, 1)
    _, (_, slow) = stepped(pyramid_card, replace(OPTIONS, transfer_rate=0.25), 1)

    def moved(after: dict[str, np.ndarray], path: str) -> float:
        return float(np.abs(after[path] - before[path]).mean())

    for path in ("stem/kernel", "layer2/kernel", "aspp_1x1/kernel"):
        assert moved(slow, path) == pytest.approx(0.25 * moved(plain, path), rel=1e-2)
    for path in ("logits/kernel", "decoder_conv1_pointwise/kernel"):
        assert moved(slow, path) == pytest.approx(moved(plain, path), rel=1e-2)


def test_a_frozen_start_stays_as_it_is_and_the_rest_learns(pyramid_card: ModelCard) -> None:
    _, (before, after) = stepped(pyramid_card, replace(OPTIONS, freeze_start=True), 1)
    changed = {path for path in before if not np.array_equal(before[path], after[path])}
    backbone = backbone_names(pyramid_card)
    assert "layer0" in backbone_names(pyramid_card, 4)
    assert "layer1" not in backbone_names(pyramid_card, 4)
    assert "layer0/kernel" not in changed
    assert {"layer1/kernel", "logits/kernel", "decoder_low_BN/moving_mean"} <= changed
    assert not {path for path in changed if "_BN/" in path and path.split("_BN/")[0] in backbone}


def test_averages_are_those_of_the_steps(tiny_card: ModelCard) -> None:
    network, seen = stepped(tiny_card, replace(OPTIONS, ema=0.75), 3)
    copy = build_network(keras, network_spec(tiny_card))
    copy_averages(network, copy)
    path = "fc7/kernel"
    expected = seen[1][path]
    for weights in seen[2:]:
        expected = 0.75 * expected + 0.25 * weights[path]
    averaged = {v.path: keras.ops.convert_to_numpy(v).copy() for v in copy.trainable_variables}
    np.testing.assert_allclose(averaged[path], expected, rtol=1e-4, atol=1e-6)


def test_a_training_with_all_of_it_keeps_the_averages_and_goes_on(
    tiny_card: ModelCard, meadow: Meadow, tmp_path: Path
) -> None:
    options = replace(OPTIONS, ema=0.9, transfer_rate=0.5, freeze_start=True)
    train_float(tiny_card, *meadow, tmp_path, replace(options, epochs=1))
    card = train_float(tiny_card, *meadow, tmp_path, options, resume=True)
    assert card.training is not None
    model, stored = load_model(tmp_path / "model.keras")
    assert stored is not None
    assert (stored.training, stored.scores) == (card.training, card.scores)
    assert np.isfinite(model.get_layer("fc7").get_weights()[0]).all()


def test_senseless_rates_are_refused() -> None:
    with pytest.raises(UsageError, match="expected 0 <= ema < 1"):
        TrainingOptions(ema=1.0)
    with pytest.raises(UsageError, match="rate >= 0"):
        TrainingOptions(transfer_rate=-1)


def test_images_and_label_maps_turn_alike() -> None:
    labels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    image = np.repeat(labels[..., None], 3, axis=2)
    still = Augmentation(
        scale=(1, 1), mirror=False, contrast=0, brightness=0, saturation=0, gamma=1, quarter_turns=True
    )  # fmt: skip
    seen = set()
    for seed in range(30):
        pixels, moved = augment(image, labels, InputSpec(height=8, width=8), (8, 8), still, np.random.default_rng(seed))
        np.testing.assert_array_equal(pixels[..., 0], moved)
        turns = [turns for turns in range(4) if np.array_equal(np.rot90(labels, turns), moved)]
        seen.update(turns)
        assert turns
    assert seen == {0, 1, 2, 3}
    tilted = replace(still, quarter_turns=False, rotation=20)
    _, moved = augment(image, labels, InputSpec(height=8, width=8), (8, 8), tilted, np.random.default_rng(0))
    assert (moved == 255).any()  # corners from outside the image
    assert moved[4, 4] == labels[4, 4]


def test_bending_moves_images_and_label_maps_alike_and_smoothly() -> None:
    row, column = np.mgrid[0:64, 0:80]
    labels = (row // 8 * 10 + column // 8).astype(np.uint8)  # a chessboard of 80 squares
    image = np.repeat(2 * labels[..., None], 3, axis=2)
    still = Augmentation(scale=(1, 1), mirror=False, contrast=0, brightness=0, saturation=0, gamma=1, elastic=3)
    spec = InputSpec(height=64, width=80)
    pixels, moved = augment(image, labels, spec, (64, 80), still, np.random.default_rng(0))
    inside = moved != 255
    assert 0.8 < inside.mean() < 1
    assert 0.1 < (moved != labels)[inside].mean() < 0.7  # not far, but everywhere
    assert (pixels[..., 0] == 2 * moved)[inside].mean() > 0.6  # but where interpolation mixes squares
    shift = random_elastic_shift((64, 80), 3.0, np.random.default_rng(0))
    assert np.abs(np.diff(shift, axis=2)).max() < 0.5  # nothing tears
    again = augment(image, labels, spec, (64, 80), replace(still, elastic=0), np.random.default_rng(0))
    np.testing.assert_array_equal(again[1], labels)
