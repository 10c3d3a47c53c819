"""What the tests of training and conversion share: a data set that a tiny network learns in seconds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeseg.card import InputSpec, LabelSet, ModelCard, Recipe
from edgeseg.data.dataset import Dataset
from edgeseg.data.layouts import open_dataset
from edgeseg.image import write_image

LABELS = LabelSet(names=("grass", "water", "roof"), colors=((0, 200, 0), (0, 0, 200), (200, 0, 0)))
SIZE = (64, 96)


@pytest.fixture(scope="session")
def meadow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset]:
    """Eight training and three validation images, 64x96: noisy green, a blue band, a red square; some ignored."""
    root = tmp_path_factory.mktemp("meadow")
    random = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 3)):
        for index in range(count):
            labels = np.zeros(SIZE, np.uint8)
            left, top = random.integers(8, 60), random.integers(8, 36)
            labels[:, left : left + 16] = 1
            labels[top : top + 20, 40:64] = 2
            image = np.array([(40, 160, 60), (190, 80, 30), (40, 40, 200)], np.uint8)[labels]
            image = np.clip(image + random.normal(0, 12, image.shape), 0, 255).astype(np.uint8)
            labels[:4] = 255
            write_image(root / f"images/{split}/{index}.png", image)
            write_image(root / f"labels/{split}/{index}.png", labels)
    colors = [list(color) for color in LABELS.colors]
    (root / "labels.json").write_text(json.dumps({"names": list(LABELS.names), "colors": colors, "ignore_index": 255}))
    return open_dataset(root, "train"), open_dataset(root, "val")


@pytest.fixture
def meadow_folder(meadow: tuple[Dataset, Dataset]) -> Path:
    """The folder of `meadow`."""
    return meadow[0].images[0].parents[2]


@pytest.fixture(scope="session")
def small_card() -> ModelCard:
    """The smallest DeepLab v3+ that can learn `meadow`."""
    return ModelCard(
        name="deeplabv3plus_mobilenetv2_0.2_meadow_64x96",
        architecture="deeplabv3plus",
        backbone="mobilenetv2_0.2",
        output_stride=16,
        input=InputSpec(height=SIZE[0], width=SIZE[1]),
        labels=LABELS,
        recipe=Recipe(name="float32"),
    )


@pytest.fixture(scope="session")
def tiny_card(small_card: ModelCard, tiny_backbone: str) -> ModelCard:
    """An FCN-8s of seven layers that can learn `meadow`, too: for what is the same whatever network is trained."""
    return replace(small_card, name="fcn8s_tiny_meadow_64x96", architecture="fcn8s", backbone=tiny_backbone)


@pytest.fixture(scope="session")
def pyramid_card(tiny_card: ModelCard) -> ModelCard:
    """A DeepLab v3+ on the tiny backbone: pyramid and decoder in full, a third of the layers of `small_card`'s."""
    return replace(tiny_card, name="deeplabv3plus_tiny_meadow_64x96", architecture="deeplabv3plus")
