"""The parts of a training, each on its own: no test here trains for longer than a blink."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from painting import make_photo, make_photo_labels

from edgeseg.card import InputSpec
from edgeseg.errors import DataError, UsageError
from edgeseg.keras_segmenter import KerasSegmenter
from edgeseg.metrics import confusion_matrix, miou
from edgeseg.scoring.evaluate import Evaluation
from edgeseg.training.augmentation import OUTSIDE, Augmentation, augment
from edgeseg.training.batch_norm import measure_statistics
from edgeseg.training.batches import Batches
from edgeseg.training.checkpoint import Checkpoint, differences
from edgeseg.training.fit import fit
from edgeseg.training.folder import CHECKPOINT_FILE, HISTORY_FILE, MODEL_FILE, claim
from edgeseg.training.history import best_epoch
from edgeseg.training.options import Progress, TrainingOptions
from edgeseg.training.precision import precision, seeded

OPTIONS = TrainingOptions(epochs=3, batch_size=2, learning_rate=0.1, warmup_steps=0, val_every=2)


def some_images(count: int, height: int = 8, width: int = 8) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [
        (rng.integers(0, 256, (height, width, 3)).astype(np.uint8), np.full((height, width), n, np.uint8))
        for n in range(count)
    ]


def small_network() -> keras.Model:
    """A convolution, its normalisation, a dropout and two classes, compiled; numbered anew by Keras every time."""
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv", kernel_initializer="ones")(image)
    x = keras.layers.BatchNormalization(momentum=0.97, name="conv_BN")(x)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    network = keras.Model(image, keras.layers.Conv2D(2, 1, name="logits")(x))
    network.compile(keras.optimizers.AdamW(), loss=lambda truth, logits: keras.ops.mean(keras.ops.square(logits - 1)))
    network.optimizer.build(network.trainable_variables)
    return network


# === Batch normalisation ===


def test_measured_statistics_are_those_of_the_images_and_nothing_else_changes() -> None:
    network = small_network()
    images = np.random.default_rng(1).normal(3, 2, (5, 8, 8, 3)).astype(np.float32)
    others = [v.numpy() for v in network.trainable_variables]

    assert measure_statistics(network, [images[:2], images[2:4], images[4:]]) == 5

    before_norm = keras.Model(network.input, network.get_layer("conv").output)(images).numpy()
    norm = network.get_layer("conv_BN")
    np.testing.assert_allclose(norm.moving_mean.numpy(), before_norm.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance.numpy(), before_norm.var((0, 1, 2)), rtol=1e-4)
    assert (norm.momentum, network.get_layer("drop").rate) == (0.97, 0.5)
    for now, then in zip(network.trainable_variables, others, strict=True):
        np.testing.assert_array_equal(now.numpy(), then)


def test_measured_statistics_score_better_than_what_a_short_training_left() -> None:
    """Few steps leave running averages that still hold their first values: the weights are better than they look."""
    with seeded(0):
        image = keras.Input((48, 64, 3))
        x = image
        for _ in range(2):
            x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
            x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.99)(x))
        network = keras.Model(image, keras.layers.Conv2D(3, 1)(x))
    spec, truth = InputSpec(height=48, width=64), make_photo_labels(48, 64)
    photos = [np.roll(make_photo(48, 64), 8 * shift, 1) for shift in range(8)]
    labels = np.stack([np.roll(truth, 8 * shift, 1) for shift in range(8)])
    inputs = (np.stack(photos)[..., ::-1].astype(np.float32) - spec.mean) / spec.std
    network.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for _ in range(20):
        network.train_on_batch(inputs, labels)

    def score() -> float:
        segment = KerasSegmenter(network, spec).segment
        return miou(sum(confusion_matrix(t, segment(p, 48, 64), 3) for t, p in zip(labels, photos, strict=True)))

    stale = score()
    measure_statistics(network, [inputs[:4], inputs[4:]])
    print(f"mIoU {stale:.3f} with what training left, {score():.3f} measured")
    assert score() > stale + 0.1


def test_a_network_without_normalisation_is_left_alone() -> None:
    image = keras.Input((8, 8, 3))
    assert measure_statistics(keras.Model(image, keras.layers.Conv2D(2, 1)(image)), [np.zeros((1, 8, 8, 3))]) == 0


# === Precision and seed ===


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_mixed_precision_leaves_no_trace_however_it_ends(failure: type[BaseException]) -> None:
    outside = keras.mixed_precision.dtype_policy().name

    def build_and_fail() -> None:
        with precision("mixed_bfloat16"):
            assert keras.layers.Dense(1).dtype_policy.name == "mixed_bfloat16"
            raise failure

    with pytest.raises(failure):
        build_and_fail()
    assert keras.mixed_precision.dtype_policy().name == outside
    assert keras.layers.Dense(1).dtype_policy.name == outside


def test_a_seed_gives_the_same_weights_and_leaves_the_users_generators_as_they_were() -> None:
    def weights() -> np.ndarray:
        with seeded(4):
            layer = keras.layers.Conv2D(3, 3)
            layer.build((1, 8, 8, 3))
            return layer.kernel.numpy()

    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    wanted = (random.random(), np.random.rand())  # noqa: NPY002
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    np.testing.assert_array_equal(weights(), weights())
    assert (random.random(), np.random.rand()) == wanted  # noqa: NPY002


# === Batches and augmentation ===


def test_batches_are_a_function_of_seed_and_epoch() -> None:
    spec, samples = InputSpec(height=8, width=8), some_images(5)
    one, other = (Batches(samples, spec, (8, 8), OPTIONS) for _ in range(2))
    list(one.epoch(0))
    for (a, labels), (b, _) in zip(one.epoch(1), other.epoch(1), strict=True):
        np.testing.assert_array_equal(a, b)
        assert labels.dtype == np.int32
    assert one.steps == 2
    first, second = (np.concatenate([images for images, _ in one.epoch(epoch)]) for epoch in (0, 1))
    assert not np.array_equal(first, second)


def test_fewer_images_than_a_batch_are_repeated() -> None:
    batches = Batches(some_images(1), InputSpec(height=8, width=8), (8, 8), replace(OPTIONS, batch_size=3))
    assert [images.shape for images, _ in batches.epoch(0)] == [(3, 8, 8, 3)]


def test_plain_images_are_what_the_network_sees_in_use() -> None:
    batches = Batches(some_images(5), InputSpec(height=4, width=6), (8, 8), OPTIONS)
    assert [images.shape for images in batches.plain(3)] == [(2, 4, 6, 3), (1, 4, 6, 3)]


def test_letterboxed_training_keeps_the_shape_and_ignores_the_padding() -> None:
    """A square of ones in a 20x40 image stays a square in a 40x40 input, with ignored rows around the image."""
    image, labels = np.zeros((20, 40, 3), np.uint8), np.zeros((20, 40), np.uint8)
    labels[5:15, 10:20] = 1
    still = Augmentation(scale=(1, 1), mirror=False, contrast=0, brightness=0, saturation=0, gamma=1)
    for resize, height, outside in (("letterbox", 10, 20 * 40), ("stretch", 20, 0)):
        spec = InputSpec(height=40, width=40, resize=resize)
        pixels, moved = augment(image, labels, spec, (40, 40), still, np.random.default_rng(0))
        rows, columns = np.nonzero(moved == 1)
        assert np.ptp(rows) + 1 == pytest.approx(height, abs=1)
        assert np.ptp(columns) + 1 == pytest.approx(10, abs=1)
        assert (moved == OUTSIDE).sum() == pytest.approx(outside, abs=40)
        assert not outside or np.mean(pixels[moved == OUTSIDE] == 128) > 0.9  # grey, but for an interpolated edge


# === Loop, checkpoint, folder ===


class FakeJudge:
    """Scores as it is told, and notes which epochs it was asked to keep."""

    def __init__(self, *scores: float) -> None:
        self.scores, self.kept = list(scores), []

    def score(self) -> Evaluation:
        miou = self.scores.pop(0)
        return Evaluation(
            dataset="d", split="val", images=1, miou=miou, pixel_accuracy=0.5,
            class_iou={"sky": 2 * miou, "pole": 0.0, "absent": float("nan")},
        )  # fmt: skip

    def keep(self, score: Evaluation, epoch: int, wall_s: float) -> None:
        self.kept.append((epoch, score.miou))


def run(folder: Path, options: TrainingOptions, judge: FakeJudge, network: keras.Model, **settings: object):
    told: list[Progress] = []
    checkpoint = Checkpoint(folder / CHECKPOINT_FILE, settings)
    if checkpoint.path.exists():
        checkpoint.load(network)
    batches = Batches(some_images(4), InputSpec(height=8, width=8), (8, 8), options)
    return fit(network, batches, judge, checkpoint, options, told.append), told


def test_the_progress_of_an_epoch_ends_with_its_own_validation(tmp_path: Path) -> None:
    judge = FakeJudge(0.4, 0.3)
    history, told = run(tmp_path, OPTIONS, judge, small_network())
    ended = [(p.ended.epoch, p.ended.val_miou, p.best_miou) for p in told if p.ended]
    assert ended == [(1, None, None), (2, 0.4, 0.4), (3, 0.3, 0.4)]
    assert judge.kept == [(2, 0.4)]
    assert [p.ended for p in told if p.ended] == list(history)
    assert len((tmp_path / HISTORY_FILE).read_text().splitlines()) == 4


def test_a_finished_training_goes_on_to_more_epochs_in_another_network_of_the_process(tmp_path: Path) -> None:
    """Names, not numbers: Keras counts its optimizers and random generators through the process."""
    run(tmp_path, replace(OPTIONS, epochs=2), FakeJudge(0.4), small_network())
    history, _ = run(tmp_path, replace(OPTIONS, epochs=4), FakeJudge(0.5), small_network())
    assert [row.epoch for row in history] == [1, 2, 3, 4]
    best = best_epoch(history)
    assert best is not None
    assert (best.epoch, best.val_miou, best.class_iou) == (4, 0.5, {"sky": 1.0, "pole": 0.0})


def test_a_checkpoint_names_each_setting_that_differs(tmp_path: Path) -> None:
    network = small_network()
    run(tmp_path, replace(OPTIONS, epochs=1), FakeJudge(0.4), network, seed=0, crop=[8, 8], loss="ce")
    with pytest.raises(UsageError, match=r"\(seed 0 then, 1 now; crop 8x8 then, 16x8 now\)"):
        Checkpoint(tmp_path / CHECKPOINT_FILE, {"seed": 1, "crop": [16, 8], "loss": "ce"}).load(network)
    assert differences({"a": 1}, {"a": 1, "b": 2}) == ["b none then, 2 now"]


def test_a_checkpoint_of_another_network_or_an_earlier_edgeseg_is_refused(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT_FILE
    run(tmp_path, replace(OPTIONS, epochs=1), FakeJudge(0.4), small_network())
    image = keras.Input((8, 8, 3))
    other = keras.Model(image, keras.layers.Conv2D(2, 1, name="logits")(image))
    other.compile(keras.optimizers.AdamW())
    other.optimizer.build(other.trainable_variables)
    with pytest.raises(DataError, match="does not fit the network: the network has no conv/bias"):
        Checkpoint(path, {}).load(other)
    np.savez(path, key=np.array("x"), facts=np.array([1.0, 2.0, 0.5]), v0=np.zeros(3))
    with pytest.raises(DataError, match="written by an earlier edgeseg"):
        Checkpoint(path, {}).load(other)


def test_a_folder_that_holds_a_training_is_used_only_as_asked(tmp_path: Path) -> None:
    assert claim(tmp_path, resume=False, overwrite=False) is False
    assert claim(tmp_path, resume=True, overwrite=False) is False  # nothing there yet: it begins
    run(tmp_path, OPTIONS, FakeJudge(0.4, 0.3), small_network())
    with pytest.raises(UsageError, match=r"holds a training \(3 epochs, best val mIoU 0.4000 in epoch 2\): --resume"):
        claim(tmp_path, resume=False, overwrite=False)
    assert claim(tmp_path, resume=True, overwrite=False) is True
    assert claim(tmp_path, resume=False, overwrite=True) is False
    with pytest.raises(UsageError, match="both given"):
        claim(tmp_path, resume=True, overwrite=True)
    (tmp_path / CHECKPOINT_FILE).unlink()
    (tmp_path / MODEL_FILE).write_bytes(b"weights of weeks")
    with pytest.raises(UsageError, match=r"no checkpoint\.npz to go on from"):
        claim(tmp_path, resume=True, overwrite=False)
