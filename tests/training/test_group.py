"""Several processes and devices train one network: the same curve as one, and a lost process costs an epoch at most."""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from commands import ROOT
from meadow import SIZE

from edgeseg.card import InputSpec
from edgeseg.card_file import read_model
from edgeseg.data.dataset import Dataset
from edgeseg.errors import UsageError
from edgeseg.keras_model import load_model
from edgeseg.keras_segmenter import KerasSegmenter
from edgeseg.scoring.evaluate import evaluate
from edgeseg.training.batches import Batches
from edgeseg.training.checkpoint import read_facts
from edgeseg.training.folder import CHECKPOINT_FILE, HISTORY_FILE, MODEL_FILE
from edgeseg.training.group import Group, in_batch_job, join_batch_job, spread
from edgeseg.training.options import TrainingOptions
from edgeseg.training.validation import evaluate_together

Meadow = tuple[Dataset, Dataset]
SPEC = InputSpec(height=SIZE[0], width=SIZE[1])
EPOCHS = 4
TOLERANCE = 1e-3

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason='needs JAX: pip install "edgeseg[jax]"')
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason='needs Ray: pip install "edgeseg[ray]"')


def test_the_shares_of_a_group_are_the_whole_batch(meadow: Meadow) -> None:
    options = TrainingOptions(batch_size=4, seed=5)
    whole = Batches(list(meadow[0]), SPEC, SIZE, options)
    shares = [Batches(meadow[0], SPEC, SIZE, options, Group(rank=rank, count=2)) for rank in range(2)]
    for epoch in (0, 2):
        for (images, labels), *parts in zip(*(source.epoch(epoch) for source in (whole, *shares)), strict=True):
            np.testing.assert_array_equal(images, np.concatenate([part[0] for part in parts]))
            np.testing.assert_array_equal(labels, np.concatenate([part[1] for part in parts]))


def test_a_batch_that_cannot_be_shared_is_refused(meadow: Meadow) -> None:
    with pytest.raises(UsageError, match="--batch 3 for 2 processes: expected a multiple"):
        Batches(meadow[0], SPEC, SIZE, replace(TrainingOptions(), batch_size=3), Group(rank=0, count=2))


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("limit", [None, 2])
def test_what_the_processes_count_at_a_validation_sums_to_the_whole(
    meadow: Meadow, monkeypatch: pytest.MonkeyPatch, count: int, limit: int | None
) -> None:
    """Of three images; each process alone gets the score of its own share here, with five processes of none."""
    val_set, shares = meadow[1], list[np.ndarray]()
    with monkeypatch.context() as alone:
        alone.setattr(Group, "total", lambda self, counts: shares.append(counts) or counts)
        for rank in range(count):
            evaluate_together(stripes, val_set, Group(rank=rank, count=count), limit)
    monkeypatch.setattr(Group, "total", lambda self, counts: sum(shares))
    whole = evaluate(stripes, val_set, limit=limit)
    assert evaluate_together(stripes, val_set, Group(rank=count - 1, count=count), limit) == whole
    assert 0 < whole.miou < 1


def stripes(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.broadcast_to(np.arange(width) // 32, (height, width)).astype(np.uint8)


def test_a_process_on_its_own_agrees_with_itself() -> None:
    assert Group().agree(0.1) == 0.1
    assert Group().total(np.array([3])) == 3
    with spread(5):
        pass


def test_a_batch_job_is_recognised_and_needs_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sbatch` alone starts one process, `srun` in it as many as there are tasks."""
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert not in_batch_job()
    monkeypatch.setenv("SLURM_STEP_NODELIST", "node[01-02]")
    assert in_batch_job()
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert not in_batch_job()
    with pytest.raises(UsageError, match=r"Keras runs on tensorflow: .* set KERAS_BACKEND=jax"):
        join_batch_job()


def test_senseless_ways_to_train_together_are_refused(
    cli: Any, meadow_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train", "--data", meadow_folder, "--out", tmp_path / "run")
    assert "--address without --workers" in cli(*words, "--address", "auto").error
    assert not (tmp_path / "run").exists()


# === In earnest, on JAX ===


def command(data: Path, out: Path, *more: object) -> list[str]:
    words = (
        "train", "--data", data, "--out", out, "--arch", "fcn8s", "--backbone", "resnet18_0.1", "--size", "64x96",
        "--batch", 4, "--epochs", EPOCHS, *more,
    )  # fmt: skip
    return [sys.executable, "-m", "edgeseg", *map(str, words)]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT), **more}


@pytest.fixture(scope="module")
def alone(meadow: Meadow, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The losses of one process."""
    out = tmp_path_factory.mktemp("alone")
    done = subprocess.run(
        command(meadow[0].images[0].parents[2], out), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return losses(out)


def losses(out: Path) -> list[float]:
    return [float(row["loss"]) for row in csv.DictReader((out / HISTORY_FILE).read_text().splitlines())]


@pytest.mark.slow
@needs_jax
def test_two_devices_of_one_process_learn_what_one_does(
    alone: list[float], meadow_folder: Path, tmp_path: Path
) -> None:
    two = environment(XLA_FLAGS="--xla_force_host_platform_device_count=2")
    done = subprocess.run(
        command(meadow_folder, tmp_path / "run"), env=two, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(losses(tmp_path / "run"), alone, atol=TOLERANCE)


@pytest.mark.slow
@needs_jax
def test_two_processes_of_a_batch_job_learn_what_one_does(
    alone: list[float], meadow: Meadow, meadow_folder: Path, tmp_path: Path
) -> None:
    job = {
        "SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_TASKS": "2",
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            command(meadow_folder, tmp_path / "run", "--json"),
            env=environment(**job, SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank)),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    first, second = (process.communicate(timeout=900) for process in processes)
    assert [process.returncode for process in processes] == [0, 0], first[1] + second[1]
    assert "best val mIoU" in first[1]
    assert second[0] == ""
    assert "epoch" not in second[1]
    np.testing.assert_allclose(losses(tmp_path / "run"), alone, atol=TOLERANCE)
    assert (tmp_path / "run/training.html").exists()
    network, card = load_model(tmp_path / "run" / MODEL_FILE)  # what two have scored together is what one finds
    assert card is not None
    score = evaluate(KerasSegmenter(network, card.input).segment, meadow[1]).score
    assert score.images == card.scores[0].images == 3
    assert score.miou == pytest.approx(card.scores[0].miou, abs=TOLERANCE)


@pytest.mark.slow
@needs_jax
def test_a_lost_process_of_a_batch_job_ends_the_others_in_one_line(meadow_folder: Path, tmp_path: Path) -> None:
    job = {
        "SLURM_JOB_ID": str(os.getpid() + 1), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_TASKS": "2",
    }  # fmt: skip
    out = tmp_path / "run"
    processes = [
        subprocess.Popen(
            command(meadow_folder, out, "--epochs", 500),
            env=environment(**job, SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank)),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    deadline = time.monotonic() + 600
    while not (out / CHECKPOINT_FILE).exists() and processes[0].poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    processes[1].kill()
    _, errors = processes[0].communicate(timeout=300)
    processes[1].communicate()
    assert processes[0].returncode == 1, errors
    assert errors.splitlines()[-1] == (
        "edgeseg: another process of this training has ended: start all of them again with --resume"
    )
    assert "Traceback" not in errors
    assert read_facts(out / CHECKPOINT_FILE)["history"]


@pytest.mark.slow
@needs_jax
@needs_ray
def test_workers_of_ray_learn_what_one_process_does_although_one_is_killed(
    alone: list[float], meadow_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        command(meadow_folder, out, "--workers", 2, "--json"), env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 600
        while not (out / CHECKPOINT_FILE).exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        workers = [
            p for p in psutil.Process(process.pid).children(recursive=True) if "ray::Worker" in p.name() + title(p)
        ]
        assert len(workers) == 2
        workers[-1].kill()
        told, errors = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "a process of the training was lost" in errors
    assert [row.epoch for row in read_facts(out / CHECKPOINT_FILE)["history"]] == list(range(1, EPOCHS + 1))
    np.testing.assert_allclose(losses(out), alone, atol=TOLERANCE)
    card = read_model(out / MODEL_FILE)[1]
    assert card is not None
    assert f'"miou": {card.scores[0].miou}' in told


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.slow
@needs_jax
@needs_ray
def test_what_is_wrong_with_a_training_is_told_in_one_line(meadow_folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        command(meadow_folder, tmp_path / "run", "--workers", 2, "--batch", 3), env=environment(), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("edgeseg: --batch 3 for 2 processes: expected a multiple of their number")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
