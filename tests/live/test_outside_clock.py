"""The times that `run` tells, checked from outside: by a clock that neither its process nor its code has touched.

Three processes share the machine's monotonic clock. A camera draws the time into each frame, as the share of the
image that is red, when the frame leaves it. `edgeseg run` segments it. An observer reads the time back from what
comes out, the share of the class red in the mask events, and looks at its own clock. The CRF makes the way long enough
for 3 % to be seen.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_models import CLASSES, colour_model

SIDE = 512
SPAN = 2.0
"""Seconds after which the drawn time starts again; frames are far younger."""
FRAMES = 15
CAMERA = f"""
import sys, time
import numpy as np
frame = np.empty(({SIDE}, {SIDE}, 3), np.uint8)
row = {SPAN} / {SIDE}
due = time.monotonic() + 3  # by then the network is loaded; else frames would wait for it in the pipe
for _ in range({FRAMES}):
    rows = int(due / row) + 1
    frame[:] = 128, 128, 128
    frame[: rows % {SIDE}] = 0, 0, 255
    sys.stdout.buffer.write(frame[:-1])
    sys.stdout.buffer.flush()
    time.sleep(max(0, rows * row - time.monotonic()))
    sys.stdout.buffer.write(frame[-1:])
    sys.stdout.buffer.flush()
    due += 1.05
"""
"""A frame's last row leaves at the time that the frame shows, a whole number of rows: so that is exact."""


@pytest.mark.slow  # of a busy machine it says more about that machine
def test_reported_times_are_within_3_percent_of_an_outside_clock(tmp_path: Path) -> None:
    model = tmp_path / "colours.tflite"
    model.write_bytes(colour_model(SIDE, SIDE))
    names = tmp_path / "names.txt"
    names.write_text("\n".join(CLASSES))
    observer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    observer.bind(("127.0.0.1", 0))
    observer.settimeout(20)
    run_command = [
        sys.executable, "-m", "edgeseg", "run", model, "--source", "-", "--size", f"{SIDE}x{SIDE}", "--labels", names,
        "--refine", "crf", "--headless", "--stats", tmp_path / "stats.json",
        "--events", f"udp://127.0.0.1:{observer.getsockname()[1]}",
    ]  # fmt: skip
    seen = []
    with (
        observer,
        subprocess.Popen([sys.executable, "-c", CAMERA], stdout=subprocess.PIPE) as camera,
        subprocess.Popen(run_command, stdin=camera.stdout, stderr=subprocess.PIPE) as run,
    ):
        while True:
            event = json.loads(observer.recv(65536))
            now = time.monotonic()
            if event["event"] == "end":
                break
            if event["event"] == "mask":
                drawn = event["classes"].get("red", 0.0) * SPAN
                seen.append((now - drawn) % SPAN * 1000)
        error = run.stderr.read().decode() if run.stderr else ""
    assert run.returncode == 0, error
    end_to_end = json.loads((tmp_path / "stats.json").read_text())["stages_ms"]["end_to_end"]
    print(f"seen p50 {statistics.median(seen):.2f} mean {statistics.mean(seen):.2f} ms, told {end_to_end}")
    assert len(seen) == FRAMES
    assert end_to_end["p50"] == pytest.approx(statistics.median(seen), rel=0.03)
    assert end_to_end["mean"] == pytest.approx(statistics.mean(seen), rel=0.03)
