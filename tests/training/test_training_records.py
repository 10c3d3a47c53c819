"""What `edgeseg train` leaves beside the weights: the page, and a run for MLflow."""

from __future__ import annotations

import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT

needs_mlflow = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason='needs MLflow: pip install "edgeseg[mlflow]"'
)


def words(data: Path, out: Path, backbone: str = "resnet18_0.1") -> tuple[object, ...]:
    return (
        "train", "--data", data, "--out", out, "--arch", "fcn8s", "--backbone", backbone, "--size", "64x96",
        "--batch", 4, "--epochs", 2,
    )  # fmt: skip


def test_a_training_ends_with_a_page(cli: Any, meadow_folder: Path, tmp_path: Path, tiny_backbone: str) -> None:
    done = cli(*words(meadow_folder, tmp_path / "run", tiny_backbone), "--json")
    assert done.exit_code == 0, done.stderr
    page = tmp_path / "run/training.html"
    assert done.json["page"] == str(page)
    assert "the worst images" in done.stderr
    text = page.read_text()
    assert "2 epochs of training" in text
    assert text.count("<img ") == 9


def test_without_mlflow_one_line_says_how_to_get_it(
    cli: Any, meadow_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.delitem(sys.modules, "edgeseg.training.mlflow_run", raising=False)
    error = cli(*words(meadow_folder, tmp_path / "run"), "--mlflow", tmp_path / "runs.db").error
    assert "edgeseg[mlflow]" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@needs_mlflow
def test_mlflow_gets_settings_figures_and_the_page(meadow_folder: Path, tmp_path: Path) -> None:
    """Read from the SQLite file itself: MLflow's own tables."""
    line = [sys.executable, "-m", "edgeseg", *map(str, words(meadow_folder, tmp_path / "run"))]

    def train(*more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*line, *map(str, more)], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    refused = train("--mlflow", "nonsense://store")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "MLflow cannot use nonsense://store" in refused.stderr
    done = train("--mlflow", "runs.db", "--json")
    assert done.returncode == 0, done.stderr
    store = sqlite3.connect(tmp_path / "runs.db")
    assert store.execute("select name, status from runs").fetchall() == [("run", "FINISHED")]
    settings = dict(store.execute("select key, value from params"))
    assert (settings["architecture"], settings["epochs"], settings["seed"]) == ("fcn8s", "2", "0")
    figures = {(key, step): value for key, step, value in store.execute("select key, step, value from metrics")}
    assert figures["val_miou", 1] >= 0
    assert max(figures["val_miou", 1], figures["val_miou", 2]) == pytest.approx(json.loads(done.stdout)["miou"])
    assert ("iou/water", 2) in figures
    (artifacts,) = store.execute("select artifact_uri from runs").fetchone()
    assert (Path(artifacts.removeprefix("file://")) / "training.html").read_bytes() == (
        tmp_path / "run/training.html"
    ).read_bytes()
