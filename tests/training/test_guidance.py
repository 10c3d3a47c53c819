"""What a training says while it runs, when it stops by itself, how long it takes: nothing here trains in earnest."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from edgeseg.cli.train import parse_duration
from edgeseg.cli.training_text import duration, epoch_lines
from edgeseg.errors import TrainingError, UsageError
from edgeseg.scoring.evaluate import Evaluation
from edgeseg.training.budget import KEPT, Budget, step_seconds, within
from edgeseg.training.checkpoint import Checkpoint, named_variables
from edgeseg.training.fit import fit
from edgeseg.training.folder import CHECKPOINT_FILE, HISTORY_FILE
from edgeseg.training.guidance import advice
from edgeseg.training.history import Epoch, History, from_json, to_json
from edgeseg.training.options import Progress, TrainingOptions


def epochs(losses: list[float], mious: list[float | None], **iou: list[float]) -> History:
    return tuple(
        Epoch(
            epoch=n + 1, loss=loss, val_miou=miou,
            class_iou={} if miou is None else {name: scores[n] for name, scores in iou.items()},
        )
        for n, (loss, miou) in enumerate(zip(losses, mious, strict=True))
    )  # fmt: skip


def said(history: History) -> list[tuple[str, ...]]:
    """What is said at the end of each epoch."""
    return [advice(history[: n + 1]) for n in range(len(history))]


def test_a_class_that_is_never_right_is_told_once() -> None:
    history = epochs([5, 4, 3, 2, 1], [0.1, 0.2, None, 0.3, 0.4], pole=[0, 0, 0, 0, 0], road=[0.0, 0.5, 0, 0.6, 0.7])
    told = said(history)
    assert [len(lines) for lines in told] == [0, 0, 0, 1, 0]
    assert "class 'pole' has had no pixel right in 3 validations" in told[3][0]


def test_a_class_that_is_not_right_yet_is_told_once_a_third_of_the_epochs_is_done() -> None:
    history = epochs([5, 4, 3, 2, 1], [0.1, 0.2, 0.3, 0.3, 0.4], pole=[0, 0, 0, 0, 0])
    assert [len(advice(history[: n + 1], 15)) for n in range(5)] == [0, 0, 0, 0, 1]
    assert [len(advice(history[: n + 1], 9)) for n in range(5)] == [0, 0, 1, 0, 0]


def test_over_fitting_is_told_when_the_loss_falls_on_and_the_score_does_not_rise() -> None:
    losses = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
    over = said(epochs(losses, [0.3, 0.5, 0.49, 0.47, 0.46, 0.45, 0.45, 0.44]))
    assert [bool(lines) for lines in over] == [False] * 5 + [True, False, False]
    assert "not been better since epoch 2" in over[5][0]
    assert not any(said(epochs(losses, [0.3, 0.5, 0.49, 0.5, 0.49, 0.5, 0.49, 0.5])))  # only noise
    assert not any(said(epochs([1.0] * 8, [0.3, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4])))  # the loss stands


def test_a_loss_that_runs_away_is_told() -> None:
    told = said(epochs([1.0, 0.8, 1.1, 1.3, 1.5], [None] * 5))
    assert [bool(lines) for lines in told] == [False, False, False, True, False]
    assert "--lr is too high" in told[3][0]


class Constant:
    """Batches of noise, a fixed number of them."""

    steps = 3

    def epoch(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for _ in range(self.steps):
            yield np.full((2, 4, 4, 3), 0.5, np.float32), np.zeros((2, 4, 4), np.int32)


class Told:
    """A judge that scores as it is told."""

    def __init__(self, *mious: float) -> None:
        self.mious, self.kept = list(mious), []

    def score(self) -> Evaluation:
        miou = self.mious.pop(0)
        return Evaluation(
            dataset="d", split="val", images=1, miou=miou, pixel_accuracy=0.9,
            class_iou={"sky": miou, "absent": math.nan},
        )  # fmt: skip

    def keep(self, score: Evaluation, epoch: int, wall_s: float) -> None:
        self.kept.append(epoch)


def network(factor: float = 1.0) -> keras.Model:
    image = keras.Input((4, 4, 3))
    made = keras.Model(image, keras.layers.Conv2D(2, 1, kernel_initializer="ones", name="logits")(image))
    made.compile(
        keras.optimizers.AdamW(), loss=lambda truth, logits: factor * keras.ops.mean(keras.ops.square(logits - 1))
    )
    made.optimizer.build(made.trainable_variables)
    return made


def test_patience_ends_a_training_and_a_resumed_one_at_once(tmp_path: Path) -> None:
    options = TrainingOptions(epochs=20, patience=2, warmup_steps=0)
    told: list[Progress] = []
    checkpoint = Checkpoint(tmp_path / CHECKPOINT_FILE, {})
    history = fit(network(), Constant(), Told(0.2, 0.4, 0.3, 0.4, 0.9), checkpoint, options, told.append)
    assert [row.val_miou for row in history] == [0.2, 0.4, 0.3, 0.4]
    assert [p.stopped for p in told if p.ended] == [False, False, False, True]
    again = Checkpoint(tmp_path / CHECKPOINT_FILE, {})
    resumed = network()
    again.load(resumed)
    assert fit(resumed, Constant(), Told(), again, options) == history


def test_the_history_has_a_column_for_everything_that_was_measured(tmp_path: Path) -> None:
    fit(network(), Constant(), Told(0.5), Checkpoint(tmp_path / CHECKPOINT_FILE, {}), TrainingOptions(epochs=1))
    (row,) = csv.DictReader((tmp_path / HISTORY_FILE).read_text().splitlines())
    assert (row["epoch"], row["val_miou"], row["val_accuracy"], row["iou sky"]) == ("1", "0.5", "0.9", "0.5")
    assert float(row["loss"]) > 0
    assert 0 < float(row["learning_rate"]) <= 1e-3
    assert float(row["seconds"]) >= 0
    assert "iou absent" not in row


def test_an_epoch_survives_a_checkpoint_also_one_of_an_earlier_edgeseg() -> None:
    row = Epoch(
        epoch=3, loss=0.5, val_miou=0.4, val_accuracy=0.8, learning_rate=1e-3, seconds=2.0, class_iou={"a": 1.0}
    )
    assert from_json(to_json(row)) == row
    assert from_json([3, 0.5, None]) == Epoch(epoch=3, loss=0.5)


def test_a_loss_that_is_no_number_ends_the_training_in_words(tmp_path: Path) -> None:
    options = TrainingOptions(epochs=2, learning_rate=0.03)
    with pytest.raises(TrainingError, match=r"became inf in step 1 of epoch 1: .* try --lr 0\.01"):
        fit(network(math.inf), Constant(), Told(), Checkpoint(tmp_path / CHECKPOINT_FILE, {}), options)
    assert not (tmp_path / CHECKPOINT_FILE).exists()


def test_timing_steps_leaves_the_network_as_it_was() -> None:
    made = network()
    before = {name: variable.numpy() for name, variable in named_variables(made).items()}
    assert step_seconds(made, Constant()) > 0
    for name, variable in named_variables(made).items():
        np.testing.assert_array_equal(variable.numpy(), before[name], err_msg=name)


def test_a_time_budget_chooses_epochs_and_rarer_validations(monkeypatch) -> None:
    monkeypatch.setattr("edgeseg.training.budget.step_seconds", lambda network, batches: 2.0)  # an epoch: 6 s
    options = TrainingOptions(epochs=1)
    quick = within(600, network(), Constant(), lambda: 1.0, options)
    assert quick.val_every == 1
    assert quick.epochs == pytest.approx(570 / 7, abs=2)
    slow = within(600, network(), Constant(), lambda: 30.0, options)
    assert slow.val_every == 10
    assert slow.epochs == pytest.approx(540 / 9, abs=2)
    with pytest.raises(UsageError, match=r"one epoch of 3 steps takes about 6 s here, its validation 1 s"):
        within(6, network(), Constant(), lambda: 1.0, options)


def lasting(seconds: list[float], validated: set[int]) -> History:
    """A history of epochs that took so long."""
    return tuple(
        Epoch(epoch=n, loss=1.0, val_miou=0.5 if n in validated else None, seconds=took)
        for n, took in enumerate(seconds, start=1)
    )


def budget(seconds: float, gone: float) -> Budget:
    return Budget(seconds, time.monotonic() - gone)


def test_after_each_epoch_it_is_reckoned_anew_how_many_fit() -> None:
    """The first epoch is not counted: in it much is built that later ones use."""
    every = TrainingOptions()
    done = lasting([60, 10, 10], validated={1, 2, 3})
    assert budget(1000, gone=80).again(done, every) == 3 + int(KEPT * 920 / 10)
    slower = (*done, *lasting([40] * 5, validated=set(range(1, 6))))
    assert budget(1000, gone=280).again(slower, every) == 8 + int(KEPT * 720 / 40)


def test_the_time_of_a_validation_at_the_end_is_kept() -> None:
    rare = TrainingOptions(val_every=4)
    done = lasting([10, 10, 10, 50], validated={4})  # a validation takes 40 s
    assert budget(1000, gone=80).again(done, rare) == 4 + int((KEPT * 920 - 40) / (10 + 40 / 4))


def test_when_the_time_is_over_the_last_epoch_is_a_validated_one() -> None:
    rare = TrainingOptions(val_every=2)
    assert budget(30, gone=31).again(lasting([10, 10], validated={2}), rare) == 2
    assert budget(30, gone=31).again(lasting([10, 10, 10], validated={2}), rare) == 4


def test_training_goes_by_the_plan_as_it_changes(tmp_path: Path) -> None:
    """Three epochs were planned; after the first there are to be five, after the fourth no more."""
    plans = iter([5, 5, 5, 4])
    options = TrainingOptions(epochs=3, val_every=10)
    checkpoint = Checkpoint(tmp_path / CHECKPOINT_FILE, {})
    made = fit(network(), Constant(), Told(0.5), checkpoint, options, None, lambda history, options: next(plans))
    assert len(made) == 4


def test_an_epoch_is_told_with_its_classes_and_the_time_left() -> None:
    row = Epoch(epoch=2, loss=0.5, val_miou=0.25, class_iou={"sky": 0.5, "pole": 0.0})
    progress = Progress(
        epoch=1, epochs=4, step=3, steps=3, loss=0.5, val_miou=0.25, best_miou=0.3, ended=row, advice=("be kind",)
    )
    assert epoch_lines(progress, "3 min") == [
        "epoch 2/4 loss 0.5000 val mIoU 0.2500 (best 0.3000), 3 min left",
        "  sky 0.50, pole 0.00",
        "  be kind",
    ]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400)])
def test_times_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "-5m", "0s", "5d", "infh", "nanm"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a time such as 90s, 30m or 2h"):
        parse_duration(text)


def test_times_are_told() -> None:
    assert [duration(s) for s in (3.4, 119, 121, 3600, 11100)] == ["3 s", "119 s", "2 min", "60 min", "3 h 05 min"]


def test_tensorboard_gets_every_figure(tmp_path: Path) -> None:
    import tensorflow as tf
    from tensorflow.core.util.event_pb2 import Event

    from edgeseg.training.tensorboard import tensorboard

    with tensorboard(tmp_path / "board") as report:
        checkpoint = Checkpoint(tmp_path / CHECKPOINT_FILE, {})
        fit(network(), Constant(), Told(0.25, 0.5), checkpoint, TrainingOptions(epochs=2), report)
    (file,) = (tmp_path / "board").iterdir()
    figures = {}
    for record in tf.data.TFRecordDataset(str(file)):
        event = Event.FromString(record.numpy())
        for value in event.summary.value:
            figures[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    assert figures["val/miou", 3] == 0.25
    assert figures["val/miou", 6] == 0.5
    assert figures["iou/sky", 6] == 0.5
    assert figures["epoch/learning_rate", 6] > 0
    assert {tag for tag, _ in figures} == {
        "epoch/loss", "epoch/learning_rate", "val/miou", "val/pixel_accuracy", "iou/sky",
    }  # fmt: skip
