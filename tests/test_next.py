"""From an export to the camera: each command prints the next, and no other knowledge is needed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from exporters import put_json, put_png

from edgeseg.image import write_image

COLOURS = np.array([[10, 20, 30], [200, 0, 0]], np.uint8)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Twelve images, 64x96, of red discs on smooth noise, and coloured masks."""
    root, random = tmp_path / "export", np.random.default_rng(0)
    for number in range(12):
        grid = random.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        ids = cv2.circle(np.zeros((64, 96), np.uint8), tuple(map(int, random.integers(20, 60, 2))), 18, 1, -1)
        image = cv2.resize(grid, (96, 64), interpolation=cv2.INTER_CUBIC)
        image[ids == 1] = 40, 40, 200
        write_image(root / f"photos/{number}.jpg", image)
        put_png(root / f"msk/{number}.png", COLOURS[ids])
    put_json(root / "labels.json", {"names": ["ground", "roof"], "colors": COLOURS.tolist()})
    return root


def all_next_of(done: Any) -> list[list[str]]:
    """The words of the last commands that a command advised, without `edgeseg`."""
    assert done.exit_code == 0, done.stderr
    line = re.findall(r"^next: (.*)$", done.stderr, re.MULTILINE)[-1]
    return [shlex.split(command)[1:] for command in line.split("; ")]


def next_of(done: Any) -> list[str]:
    """The words of the first of them."""
    return all_next_of(done)[0]


@pytest.mark.slow
def test_each_command_prints_the_next(export: Path, tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check = next_of(cli("data", "import", "export", "yard"))
    assert check == ["data", "check", "yard"]
    train = next_of(cli(*check))
    assert train[-6:] == ["--init-from", "aerial", "--lr", "2e-3", "--ema", "0.98"]
    convert, report = all_next_of(cli(*train, "--epochs", 4))
    run = next_of(cli(*convert, "--force"))
    assert run == ["run", "yard_int8.tflite", "--camera", "0"]
    assert next_of(cli(*report)) == run
    seen = cli(*run[:2], "--source", "yard/images/val", "--save-labels", "masks", "--headless")
    assert seen.exit_code == 0, seen.stderr
    assert list((tmp_path / "masks").glob("*.png"))
