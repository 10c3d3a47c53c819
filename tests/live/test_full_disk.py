"""A disk that is really full: outputs end with a line and playable files, the run goes on to its end."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_models import colour_model

from edgeseg.live.outputs.video import RESERVE_BYTES

FRAMES = 40


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for the recording's reserve and 3 MB more; only root can make one."""
    place = tmp_path / "disk"
    place.mkdir()
    size = RESERVE_BYTES + (3 << 20)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True)
    if made.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def run(cli: Any, disk: Path, tmp_path: Path) -> Any:
    """Runs edgeseg on images that no codec can shorten."""
    model = tmp_path / "model.tflite"
    model.write_bytes(colour_model())
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for index in range(FRAMES):
        noise = rng.integers(0, 256, (240, 320, 3), np.uint8)
        cv2.imwrite(str(photos / f"{index:02d}.bmp"), noise)
    stats = tmp_path / "stats.json"

    def start(*options: object) -> tuple[Any, Any]:
        done = cli("run", model, "--source", photos, "--headless", "--stats", stats, *options)
        return done, json.loads(stats.read_text()) if stats.exists() else None

    return start


def fill(disk: Path, *, leave: int) -> None:
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(bytes(free - leave))


def test_the_recording_ends_before_the_disk_is_full_and_can_be_played(run: Any, disk: Path) -> None:
    fill(disk, leave=RESERVE_BYTES + (512 << 10))
    done, stats = run("--record", disk / "overlay.mp4")
    assert (done.exit_code, stats["frames"], stats["ended"]) == (0, FRAMES, "end of source")
    assert "disk full: the recording" in done.stderr
    assert len(stats["outputs_stopped"]) == 1
    video, played = cv2.VideoCapture(str(disk / "overlay.mp4")), 0
    while video.read()[0]:
        played += 1
    video.release()
    assert 8 <= played < FRAMES


def test_label_maps_and_events_end_when_nothing_more_fits(run: Any, disk: Path) -> None:
    fill(disk, leave=8 << 10)
    done, stats = run("--save-labels", disk / "masks", "--events", disk / "events.jsonl")
    assert (done.exit_code, stats["frames"], stats["ended"]) == (0, FRAMES, "end of source")
    assert len(stats["outputs_stopped"]) == 2
    assert all("No space left on device" in line for line in stats["outputs_stopped"])
    whole = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (disk / "masks").iterdir()]
    assert all(label_map is not None and label_map.shape == (240, 320) for label_map in whole)


def test_a_recording_is_refused_where_there_is_no_room_for_it(run: Any, disk: Path) -> None:
    fill(disk, leave=0)
    done, _ = run("--record", disk / "overlay.mp4")
    assert done.exit_code == 1
    assert "disk full: cannot record to" in done.stderr
    assert not (disk / "overlay.mp4").exists()
