"""What docs/ shows of the library runs: the guide's examples in order, and the notebook from end to end."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
from commands import ROOT

import edgeseg

pytest.importorskip("keras")

GUIDE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
TOUR = json.loads((ROOT / "docs/tour.ipynb").read_text(encoding="utf-8"))


def execute(blocks: list[str], name: str) -> dict[str, Any]:
    """Runs pieces of code one after the other, as one program; returns its names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, block in enumerate(blocks, 1):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block, f"{name}, block {number}", "exec"), names)
    return names


def test_the_guide_names_every_public_function() -> None:
    verbs = {name for name in edgeseg.__all__ if inspect.isfunction(getattr(edgeseg, name))}
    assert verbs > {"train", "convert", "run"}
    assert [name for name in sorted(verbs) if f"edgeseg.{name}(" not in GUIDE] == []


@pytest.mark.slow
def test_every_example_of_the_guide_runs(meadow_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(meadow_folder, tmp_path / "meadow")
    monkeypatch.chdir(tmp_path)
    names = execute(re.findall(r"^```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE), "docs/python.md")
    assert names["card"].agreement > 0.9
    assert names["stats"].frames == 3
    assert names["count"].pixels > 0
    assert names["page"].read_text().startswith("<!doctype html>")
    assert edgeseg.read_image("overlay.png").shape == names["image"].shape
    assert cv2.VideoCapture("flight_overlay.mp4").get(cv2.CAP_PROP_FRAME_COUNT) == 3


@pytest.mark.slow
def test_the_notebook_runs_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = ["".join(cell["source"]) for cell in TOUR["cells"] if cell["cell_type"] == "code"]
    names = execute(code, "docs/tour.ipynb")
    assert names["conversion"].card.agreement > 0.9
    assert names["found"]["float_ops"] == []
    assert names["stats"].frames == 8
    assert names["mask"].shape == (128, 160)
    assert len(set(names["mask"].ravel())) > 1
    assert all(not cell.get("outputs") for cell in TOUR["cells"])  # what it shows is what it computes
