"""Learning from a teacher: what it says is learnt beside the labels, or instead of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_networks import colour_network

from edgeseg.card import InputSpec, LabelSet, ModelCard
from edgeseg.data.dataset import Dataset
from edgeseg.errors import UsageError
from edgeseg.image import fit, normalise, read_image
from edgeseg.keras_model import load_model, save_model
from edgeseg.losses import make_loss
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.training.augmentation import Augmentation
from edgeseg.training.distillation import (
    Distillation,
    DistillationBatches,
    FileTeacher,
    distillation_loss,
    frames,
    joined,
)
from edgeseg.training.float_training import train_float
from edgeseg.training.options import TrainingOptions

Meadow = tuple[Dataset, Dataset]
OPTIONS = TrainingOptions(
    epochs=2, batch_size=4, learning_rate=0.02, warmup_steps=0, augmentation=Augmentation(scale=(0.9, 1.2))
)
SIZE = (16, 24)


@pytest.fixture(scope="module")
def teacher(meadow: Meadow, small_card: ModelCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that knows the meadow's colours."""
    path = tmp_path_factory.mktemp("teacher") / "colours.keras"
    spec = replace(small_card.input, mean=127.5, std=127.5)
    save_model(path, colour_network(), replace(small_card, name="colours", architecture="", backbone="", input=spec))
    return path


def entropies() -> tuple[Any, Any, Any]:
    """Labels (2, 4, 6), a teacher's probabilities and logits (2, 2, 3, 3)."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet((1, 1, 1), (2, 2, 3)).astype(np.float32)
    return rng.integers(0, 3, (2, 4, 6)), probabilities, rng.normal(0, 1, (2, 2, 3, 3)).astype(np.float32)


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_the_loss_is_a_mean_of_the_labels_and_the_teachers(weight: float) -> None:
    labels, probabilities, logits = entropies()
    plain = make_loss("ce", num_classes=3)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = (1 - weight) * float(plain(labels, logits)) - weight * float((probabilities * log_p).sum(-1).mean())
    found = distillation_loss(plain, weight, (4, 6))(joined(labels, probabilities), logits)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_a_teacher_alone_asks_no_labels() -> None:
    _, probabilities, logits = entropies()
    nonsense = np.full((2, 4, 6), 77)  # no class: the labels' loss would be no number
    found = distillation_loss(make_loss("ce", num_classes=3), 1.0, (4, 6))(joined(nonsense, probabilities), logits)
    assert np.isfinite(float(found))


@pytest.mark.parametrize("spec", [
    InputSpec(height=64, width=96),
    InputSpec(height=64, width=96, order="bgr", mean=(104.0, 117.0, 123.0), std=1.0),
])  # fmt: skip
def test_the_teacher_sees_what_the_student_sees(spec: InputSpec, teacher: Path, meadow: Meadow) -> None:
    image = read_image(meadow[0].images[0])
    seen = normalise(fit(image, spec), spec)[None]
    assert np.array_equal(frames(seen, spec)[0], image)
    segmenter = Segmenter(teacher)
    segmenter.prepare(image)
    segmenter.invoke()
    said = FileTeacher(teacher, spec, meadow[0].labels, SIZE)(seen)
    np.testing.assert_allclose(said[0], segmenter.probabilities(*SIZE), atol=1e-6)
    np.testing.assert_allclose(said.sum(-1), 1, atol=1e-5)


def test_a_student_learns_without_a_label(teacher: Path, meadow: Meadow, tiny_card: ModelCard, tmp_path: Path) -> None:
    """Of eight images one has labels, and they count for a hundredth."""
    one = replace(meadow[0], images=meadow[0].images[:1], label_maps=meadow[0].label_maps[:1])
    others = [read_image(path) for path in meadow[0].images[1:]]
    options = replace(OPTIONS, epochs=8, val_every=8, teacher_weight=0.99)
    losses = []
    card = train_float(
        tiny_card, one, meadow[1], tmp_path, options, distillation=Distillation(model=teacher, unlabelled=others),
        report=lambda progress: losses.append(progress.loss),
    )  # fmt: skip
    assert card.training is not None
    assert (card.training.teacher, card.training.images) == ("colours.keras", 8)
    assert losses[-1] < 0.8 * losses[0]
    assert card.scores[0].miou > 0.5
    stored = load_model(tmp_path / "model.keras")[1]
    assert stored is not None
    assert stored.training == card.training


def test_a_resumed_training_keeps_its_teacher(
    teacher: Path, meadow_folder: Path, tiny_card: ModelCard, tmp_path: Path, cli: Any
) -> None:
    words = (
        "train", "--data", meadow_folder, "--out", tmp_path / "run", "--arch", "fcn8s", "--backbone",
        tiny_card.backbone, "--size", "64x96", "--epochs", 1,
    )  # fmt: skip
    assert cli(*words, "--teacher", teacher, "--teacher-weight", 0.25).exit_code == 0
    without = cli(*words, "--resume").error
    assert "teacher_weight 0.25 then, none now" in without
    assert "teacher colours.keras then, none now" in without


def test_what_cannot_teach_is_told(
    teacher: Path, meadow: Meadow, meadow_folder: Path, tmp_path: Path, cli: Any
) -> None:
    spec = InputSpec(height=64, width=96)
    with pytest.raises(UsageError, match="tells grass, water, roof apart, the data set has a, b, c: expected the same"):
        FileTeacher(teacher, spec, LabelSet(names=("a", "b", "c"), colors=((0, 0, 0),) * 3), SIZE)
    grey = InputSpec(height=64, width=96, order="grey", channels=1)
    with pytest.raises(UsageError, match="takes 3 channels, the student 1"):
        FileTeacher(teacher, grey, meadow[0].labels, SIZE)
    words = ("train", "--data", meadow_folder, "--out", tmp_path / "run", "--size", "64x96")
    assert "name a --teacher" in cli(*words, "--unlabelled", meadow_folder).error
    assert "--teacher-weight: there is no teacher" in cli(*words, "--teacher-weight", 0.5).error
    assert (
        "teacher weight 2.0: expected above 0, at most 1"
        in cli(*words, "--teacher", teacher, "--teacher-weight", 2).error
    )
    assert "no such file or folder" in cli(*words, "--teacher", teacher, "--unlabelled", tmp_path / "none").error
    assert not (tmp_path / "run").exists()


def test_batches_keep_their_number_and_order(teacher: Path) -> None:
    class Two:
        steps = 2

        def epoch(self, epoch: int) -> Any:
            for n in range(2):
                yield np.full((1, 4, 4, 3), n, np.float32), np.full((1, 4, 4), n)

    source = DistillationBatches(Two(), lambda images: np.full((1, 2, 2, 3), images.max(), np.float32))
    assert source.steps == 2
    for n, (images, targets) in enumerate(source.epoch(0)):
        assert images.max() == n
        assert targets.shape == (1, 4 * 4 + 2 * 2 * 3)
        assert (targets == n).all()
