"""Float training: it learns, it can be killed at any moment, and the same seed gives the same weights."""

from __future__ import annotations

import csv
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from edgeseg.card import ModelCard
from edgeseg.card_file import read_model
from edgeseg.data.dataset import Dataset
from edgeseg.data.oddities import class_weights
from edgeseg.errors import DataError, UsageError
from edgeseg.keras_model import load_model
from edgeseg.keras_segmenter import KerasSegmenter
from edgeseg.metrics import confusion_matrix, miou
from edgeseg.training.checkpoint import read_facts
from edgeseg.training.float_training import train_float
from edgeseg.training.folder import CHECKPOINT_FILE, HISTORY_FILE, MODEL_FILE, describe
from edgeseg.training.options import TrainingOptions, poly_learning_rate

Meadow = tuple[Dataset, Dataset]
OPTIONS = TrainingOptions(epochs=2, batch_size=4, learning_rate=2e-3, warmup_steps=1, val_every=2)


@pytest.fixture(scope="module")
def finished(
    meadow: Meadow, tiny_card: ModelCard, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ModelCard, TrainingOptions]:
    """The folder of a training that is done, its card and how it was trained."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, train_float(tiny_card, *meadow, folder, OPTIONS), OPTIONS


@pytest.fixture
def copied(finished: tuple[Path, ModelCard, TrainingOptions], tmp_path: Path) -> Path:
    """The finished training in a folder that may be changed."""
    return Path(shutil.copytree(finished[0], tmp_path / "copied"))


def weights_of(folder: Path) -> list[np.ndarray]:
    with np.load(folder / CHECKPOINT_FILE) as stored:
        return [stored[name] for name in sorted(stored.files) if name.startswith("v/")]


def test_training_lowers_the_loss_and_leaves_a_model_whose_card_tells_its_score(
    meadow: Meadow, tiny_card: ModelCard, tmp_path: Path
) -> None:
    losses = []
    options = replace(OPTIONS, epochs=12, val_every=6)
    card = train_float(tiny_card, *meadow, tmp_path, options, report=lambda p: losses.append(p.loss))

    assert losses[-1] < 0.7 * losses[0]
    network, stored = load_model(tmp_path / MODEL_FILE)
    assert stored is not None
    assert stored.training == card.training
    assert stored.training is not None
    assert stored.training.best_epoch in (6, 12)
    segmenter = KerasSegmenter(network, stored.input)
    counts = sum(confusion_matrix(truth, segmenter.segment(image, *truth.shape), 3) for image, truth in meadow[1])
    assert miou(counts) == pytest.approx(stored.scores[0].miou, abs=1e-9)
    assert len((tmp_path / HISTORY_FILE).read_text().splitlines()) == 13


def measured(folder: Path) -> list[dict[str, str]]:
    """Returns a training's history, but for how long its epochs took."""
    rows = list(csv.DictReader((folder / HISTORY_FILE).read_text().splitlines()))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_a_resumed_training_ends_exactly_where_an_uninterrupted_one_does(
    finished: tuple[Path, ModelCard, TrainingOptions], meadow: Meadow, tiny_card: ModelCard, tmp_path: Path
) -> None:
    whole, halves = finished[0], tmp_path / "halves"

    class Killed(BaseException):
        pass

    def kill_in_second_epoch(progress: object) -> None:
        if progress.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        train_float(tiny_card, *meadow, halves, OPTIONS, report=kill_in_second_epoch)
    train_float(tiny_card, *meadow, halves, OPTIONS, resume=True)

    for a, b in zip(weights_of(whole), weights_of(halves), strict=True):
        np.testing.assert_array_equal(a, b)
    assert measured(whole) == measured(halves)


def test_images_read_as_they_are_needed_give_the_same_weights(
    finished: tuple[Path, ModelCard, TrainingOptions], meadow: Meadow, tiny_card: ModelCard, tmp_path: Path
) -> None:
    train_float(tiny_card, *meadow, tmp_path, replace(OPTIONS, in_memory=False))
    for a, b in zip(weights_of(finished[0]), weights_of(tmp_path), strict=True):
        np.testing.assert_array_equal(a, b)


def test_resuming_a_finished_training_tells_its_best_again(
    finished: tuple[Path, ModelCard, TrainingOptions], copied: Path, meadow: Meadow
) -> None:
    _, card, options = finished
    again = train_float(card, *meadow, copied, options, resume=True)
    assert card.scores
    assert (again.scores, again.training) == (card.scores, card.training)


def test_a_kill_in_the_middle_of_an_epoch_leaves_whole_files(meadow_folder: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "edgeseg", "train", "--data", str(meadow_folder), "--out", str(tmp_path / "run"),
        "--arch", "fcn32s", "--backbone", "resnet18_0.1", "--size", "64x96", "--batch", "2", "--epochs", "200",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ)
    checkpoint = tmp_path / "run" / CHECKPOINT_FILE
    deadline = time.monotonic() + 240
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert checkpoint.exists()
    assert len(read_facts(checkpoint)["history"]) >= 1
    read_model(tmp_path / "run" / MODEL_FILE)


@pytest.mark.slow
def test_ctrl_c_leaves_a_training_that_can_go_on_and_says_how(
    cli: Any, meadow_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    words = (
        "train", "--data", meadow_folder, "--out", run, "--backbone", "mobilenetv2_0.2", "--size", "64x96",
        "--batch", "4", "--seed", "3",
    )  # fmt: skip
    train_on_batch, steps = keras.Model.train_on_batch, []

    def interrupted(network: Any, *batch: Any) -> Any:
        steps.append(train_on_batch(network, *batch))
        if len(steps) == 3:  # the second of two epochs' first step
            signal.raise_signal(signal.SIGINT)
        return steps[-1]

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(keras.Model, "train_on_batch", interrupted)
            stopped = cli(*words, "--epochs", "2", "--val-every", "1")
    finally:
        signal.signal(signal.SIGINT, before)

    assert stopped.exit_code == 130
    assert stopped.stderr.splitlines()[-2:] == [
        f"stopped; the same command with --resume (without --overwrite) goes on after {describe(run)}: {run}",
        "edgeseg: stopped",
    ]
    assert len(measured(run)) == 1
    assert cli(*words, "--epochs", "2", "--val-every", "1", "--resume").exit_code == 0
    assert len(measured(run)) == 2


def test_a_checkpoint_of_other_settings_is_refused(copied: Path, meadow: Meadow, tiny_card: ModelCard) -> None:
    with pytest.raises(UsageError, match=r"other settings \(learning_rate 0.002 then, 0.5 now\): --resume with"):
        train_float(tiny_card, *meadow, copied, replace(OPTIONS, learning_rate=0.5), resume=True)
    (copied / CHECKPOINT_FILE).write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DataError, match="no checkpoint of a training"):
        train_float(tiny_card, *meadow, copied, OPTIONS, resume=True)


def test_rare_classes_weigh_more() -> None:
    weights = class_weights(np.array([900, 90, 10]))
    assert weights == tuple(sorted(weights))
    assert np.mean(weights) == pytest.approx(1)
    assert weights[2] / weights[0] == pytest.approx(np.log(2.0) / np.log(1.11))


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    options = TrainingOptions(learning_rate=1.0, warmup_steps=10)
    rates = [poly_learning_rate(step, 1000, options) for step in range(1000)]
    assert np.argmax(rates) == 10
    assert rates[0] == pytest.approx(1 / 11, rel=0.01)
    assert rates[10] == pytest.approx((1 - 10 / 1001) ** 0.9)
    assert 0 < rates[-1] < 0.005
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"epochs": 0}, "epochs 0"), ({"batch_size": 0}, "batch size 0"), ({"learning_rate": 0.0}, "> 0")],
)
def test_senseless_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainingOptions(**options)
