"""A real V4L2 camera in a machine of its own: frames, and what happens when it is unplugged.

`EDGESEG_CAMERA` is the beginning of a command line that runs the rest of it on a machine with /dev/video0 that sees
this file system. It takes `--out DIR` (a folder that is written to for keeps), `--unplug S` and `--replug S` (seconds
after the start), `--timeout S` and `--`. `make rigs` runs this.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_models import colour_model

pytestmark = pytest.mark.rig
ROOT = Path(__file__).parents[2]


@pytest.fixture
def on_camera(tmp_path: Path) -> Any:
    """`on_camera(options, words)` runs `edgeseg run MODEL --camera 0 WORDS` there; returns stats and events."""
    prefix = os.environ.get("EDGESEG_CAMERA")
    if not prefix:
        pytest.skip("needs a machine with a camera: set EDGESEG_CAMERA to the command that runs its arguments there")
    model, out = tmp_path / "model.tflite", tmp_path / "out"
    model.write_bytes(colour_model(240, 320, stride=4))
    out.mkdir()

    def run(options: tuple[str, ...], *words: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        command = [
            *shlex.split(prefix), "--out", out, *options, "--",
            "env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "edgeseg",
            "run", model, "--camera", "0", "--headless",
            "--stats", out / "stats.json", "--events", out / "events.jsonl", *words,
        ]  # fmt: skip
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
        return json.loads((out / "stats.json").read_text()), events

    return run


def test_thirty_frames(on_camera: Any) -> None:
    stats, events = on_camera((), "--frames", "30")
    assert (stats["frames"], stats["ended"], stats["invalid"]) == (30, "frames", 0)
    assert sum(event["event"] == "mask" for event in events) == 30


def test_unplugged_and_plugged_in_again(on_camera: Any) -> None:
    """Emulation is slow to start: the camera goes well after the first frames."""
    options = ("--unplug", "100", "--replug", "115", "--timeout", "500")
    stats, events = on_camera(options, "--seconds", "150")
    assert stats["reconnects"] == 1
    assert stats["ended"] == "seconds"
    kinds = [event["event"] for event in events]
    lost, returned = kinds.index("lost"), kinds.index("returned")
    between = [event for event in events[lost + 1 : returned] if event["event"] == "mask"]
    assert between
    assert not any(event["valid"] for event in between)
    assert any(event["event"] == "mask" and event["valid"] for event in events[:lost])
    assert any(event["event"] == "mask" and event["valid"] for event in events[returned:])
