"""Whole sweeps, as a shell sees them: killed at any moment, they end in the report that an undisturbed one ends in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from edgeseg.card_file import read_model
from edgeseg.files import read_json
from edgeseg.sweeping.commands import Folder
from edgeseg.sweeping.plan import Plan
from edgeseg.sweeping.plan_file import read_plan
from edgeseg.sweeping.progress import history_of
from edgeseg.training.folder import CHECKPOINT_FILE

PATIENCE_S = 900


def write_plan(path: Path, data: Path, **changes: Any) -> Path:
    content = {
        "data": str(data), "architectures": ["fcn32s", "fcn8s"], "backbones": ["resnet18_0.1"], "sizes": ["64x96"],
        "recipes": ["int8_ptq", "float32"], "seeds": [0, 1], "train": {"epochs": 40, "batch": 2},
        "convert": {"force": True}, **changes,
    }  # fmt: skip
    path.write_text(json.dumps(content))
    return path


def test_without_ray_one_line_says_which_extra(
    cli: Any, meadow_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "ray" or n.startswith("edgeseg.sweeping.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    plan = write_plan(tmp_path / "plan.json", meadow_folder)
    error = cli("sweep", plan, "--out", tmp_path / "out").error
    assert error == 'this command needs ray, which is not installed: pip install "edgeseg[sweep]"'
    assert not (tmp_path / "out").exists()


# === Minutes ===


def started(plan: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgeseg", "sweep", str(plan), "--out", str(out), "--parallel", "2"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"COLUMNS": "200"}
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.1)


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def epochs(plan: Plan, folder: Folder) -> dict[str, int]:
    return {run.name: len(history_of(folder, run)) for run in plan.runs}


@pytest.mark.slow
def test_a_sweep_that_is_killed_while_it_trains_and_while_it_converts_ends_in_one_report(
    meadow_folder: Path, tmp_path: Path
) -> None:
    written = write_plan(tmp_path / "plan.json", meadow_folder)
    plan, folder = read_plan(written), Folder(path=tmp_path / "out")

    process = started(written, folder.path)
    wait_for(lambda: sum(epochs(plan, folder).values()) >= 10, process)
    (worker,) = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if child.name().startswith("ray::") and plan.runs[0].name in str(child.open_files())
    ]
    worker.kill()  # one training's process: the sweep goes on without anybody's help
    before = epochs(plan, folder)[plan.runs[0].name]
    wait_for(lambda: epochs(plan, folder)[plan.runs[0].name] > before, process)
    killed(process)
    reached = epochs(plan, folder)
    rows = {run.name: history_of(folder, run) for run in plan.runs}
    assert 0 < sum(reached.values()) < 4 * 40

    process = started(written, folder.path)
    wait_for(lambda: any((folder.path / "files").glob("*.json")), process)
    killed(process)
    scored = {path: path.stat().st_mtime_ns for path in (folder.path / "files").glob("*.json")}
    assert 0 < len(scored) < 8

    process = started(written, folder.path)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    assert "report.html" in output

    for run in plan.runs:  # no epoch was trained twice, and none is wanting
        history = history_of(folder, run)
        assert [row.epoch for row in history] == list(range(1, 41))
        assert history[: reached[run.name]] == rows[run.name]
    assert all(path.stat().st_mtime_ns == made for path, made in scored.items())
    report = read_json(folder.path / "report.json", "the report")
    assert [result["model"] for result in report["results"]] == [point.name for point in plan.points]
    assert all(len(result["seed_mious"]) == 2 and result["latency_ms"] > 0 for result in report["results"])
    assert not (folder.path / ".tune").exists()


@pytest.mark.slow
def test_a_training_that_falls_behind_is_stopped_and_one_that_fails_is_told(
    cli_process: Any, meadow_folder: Path, tmp_path: Path
) -> None:
    plan = write_plan(
        tmp_path / "plan.json", meadow_folder, architectures=["fcn32s"], recipes=["float32"], seeds=[0],
        train={"epochs": 12, "batch": 2, "lr": [5e-3, 1e-7, 1e30]}, asha={"grace": 8, "reduction": 2},
    )  # fmt: skip
    words = ("sweep", plan, "--out", tmp_path / "out", "--parallel", "1")
    done = cli_process(*words, timeout_s=PATIENCE_S)
    assert done.exit_code == 1
    assert "fcn32s_resnet18_0.1_64x96_lr1e+30 failed: the loss became nan" in done.stderr.splitlines()[-1]
    report = read_json(tmp_path / "out/report.json", "the report")
    whole, behind = report["results"]
    assert (whole["model"], whole["remark"]) == ("fcn32s_resnet18_0.1_64x96_lr0.005_float32", "")
    assert behind["remark"] == "stopped after 8 of 12 epochs, as others were better"
    assert behind["miou"] < whole["miou"]
    assert "the loss became nan" in report["notes"][0]


@pytest.mark.slow
def test_a_point_is_trained_through_its_integer_file_and_goes_on_where_that_was_killed(
    meadow_folder: Path, tmp_path: Path
) -> None:
    plan = write_plan(
        tmp_path / "plan.json", meadow_folder, architectures=["fcn32s"], recipes=["int8_qat"], seeds=[0],
        train={"epochs": 4, "batch": 2}, convert={"force": True, "epochs": 3},
    )  # fmt: skip
    folder = Folder(path=tmp_path / "out")

    process = started(plan, folder.path)
    wait_for(lambda: any((folder.path / "files").glob(f"*.qat/{CHECKPOINT_FILE}")), process)
    killed(process)
    assert not any((folder.path / "files").glob("*.json"))

    output, _ = (process := started(plan, folder.path)).communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    (result,) = read_json(folder.path / "report.json", "the report")["results"]
    assert result["model"] == "fcn32s_resnet18_0.1_64x96_int8_qat"
    assert 0 < result["miou"] <= 1
    assert "--int8 --qat --data" in result["commands"][1]
    card = read_model(next((folder.path / "files").glob("*.tflite")))[1]
    assert card is not None
    assert card.recipe.name == "int8_qat"
