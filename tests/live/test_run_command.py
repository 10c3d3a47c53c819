"""`edgeseg run` as a user meets it: files in, files out, one line for what is wrong, a clean end on SIGINT."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import Finished
from conftest import ROOT
from painting import make_photo_labels
from tiny_models import colour_model, painted

from edgeseg.arrays import Uint8
from edgeseg.image import read_image, read_label_map, write_image

QUARTERS = np.repeat(np.repeat([[0, 1, 2], [3, 0, 1]], 16, 0), 16, 1)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(colour_model())
    return path


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), painted((QUARTERS + index) % 4))
    return folder


def test_label_maps_of_a_folder(cli, model, photos, tmp_path):
    done = cli(
        "run", model, "--source", photos, "--headless",
        "--save-labels", tmp_path / "masks", "--stats", tmp_path / "stats.json", "--events", tmp_path / "events.jsonl",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    masks = sorted((tmp_path / "masks").iterdir())
    assert [path.name for path in masks] == ["000000_0.png", "000001_1.png", "000002_2.png"]
    for index, path in enumerate(masks):
        np.testing.assert_array_equal(read_label_map(path), (QUARTERS + index) % 4)
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert stats["frames"] == 3
    assert stats["ended"] == "end of source"
    for key in ("dropped", "invalid", "reconnects", "fps", "wall_s"):
        assert key in stats
    for stage in ("capture", "preprocess", "invoke", "postprocess", "render", "end_to_end"):
        assert {"p50", "p90", "p99"} <= stats["stages_ms"][stage].keys()
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["mask"] * 3 + ["end"]


def test_a_folder_to_a_video(cli, model, photos, tmp_path):
    assert cli("run", model, "--source", photos, "--headless", "--record", tmp_path / "o.mp4").exit_code == 0
    capture = cv2.VideoCapture(str(tmp_path / "o.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3


def test_overlays_of_a_folder_are_images_to_look_through(cli, model, photos, tmp_path):
    done = cli(
        "run", model, "--source", photos, "--headless", "--save-overlays", tmp_path / "o", "--save-labels", tmp_path
    )
    assert done.exit_code == 0, done.stderr
    overlays = sorted((tmp_path / "o").iterdir())
    assert [path.stem for path in overlays] == [path.stem for path in sorted(tmp_path.glob("*.png"))]
    for path in overlays:
        assert read_image(path).shape == read_image(next(photos.glob(f"{path.stem[7:]}.*"))).shape


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--camera", "97"), "no camera /dev/video97"),
        (("--source", "absent.mp4"), "no such file"),
        (("--source", "photos", "--threads", "0"), "0 threads"),
        (("--source", "photos", "--frames", "0"), "--frames 0"),
        (("--source", "photos", "--seconds", "-1"), "--seconds -1"),
        (("--source", "photos", "--size", "big"), "size 'big'"),
        (("--source", "photos", "--stats", "/proc/nothing/s.json"), "cannot write"),
        (("--source", "photos", "--stats", "photos"), "it is a folder"),
        (("--source", "photos", "--record", "x.gif"), "ends in .mp4"),
        (("--source", "photos", "--save-labels", "/proc/nothing"), "cannot write"),
        (("--source", "photos", "--delegate", "gpu"), "unknown delegate"),
        (("--source", "photos", "--labels", "nonsense"), "unknown label set"),
        (("--source", "photos", "--resize", "crop"), "unknown resize mode"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_one_line_for_what_is_wrong(cli, model, photos, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = cli("run", model, "--headless", *words)
    assert message in done.error
    assert sorted(tmp_path.rglob("*")) == before  # nothing half-written


def test_a_image_that_is_none(cli, model, tmp_path):
    (tmp_path / "broken.png").write_text("not an image")
    done = cli("run", model, "--source", tmp_path / "broken.png", "--headless")
    assert done.exit_code == 1
    assert "broken.png is not an image" in done.stderr.splitlines()[-1]


def test_camera_and_source_exclude_each_other(cli, model):
    assert cli("run", model).exit_code == 2
    assert cli("run", model, "--camera", "0", "--source", "x").exit_code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_cleanly(model, photos, tmp_path, number):
    """A video long enough for minutes, recorded; the signal comes while it runs."""
    writer = cv2.VideoWriter(str(tmp_path / "long.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20, (48, 32))
    for _ in range(2000):
        writer.write(painted(QUARTERS))
    writer.release()
    words = [
        "run", model, "--source", tmp_path / "long.avi", "--realtime", "--headless",
        "--record", tmp_path / "o.mp4", "--stats", tmp_path / "stats.json", "--events", tmp_path / "events.jsonl",
    ]  # fmt: skip
    running = subprocess.Popen(
        [sys.executable, "-m", "edgeseg", *map(str, words)], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    end = time.monotonic() + 30
    while count_lines(tmp_path / "events.jsonl") < 10:
        assert time.monotonic() < end
        time.sleep(0.02)
    running.send_signal(number)
    assert running.wait(30) == 0  # of a video of 100 seconds
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert stats["ended"] == number.name
    capture = cv2.VideoCapture(str(tmp_path / "o.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) >= 5
    assert capture.read()[0]


def count_lines(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0


def test_a_video_in_real_time_ends_with_its_last_frame(cli, model, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "short.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20, (48, 32))
    for _ in range(6):
        writer.write(painted(QUARTERS))
    writer.release()
    done = cli(
        "run", model, "--source", tmp_path / "short.avi", "--realtime", "--headless", "--stats", tmp_path / "s.json"
    )
    assert done.exit_code == 0
    assert json.loads((tmp_path / "s.json").read_text())["ended"] == "end of source"


def test_refined_by_the_crf_the_stats_tell_what_it_cost(
    tiny_model: Path, tmp_path: Path, photo: Uint8, cli: Callable[..., Finished]
) -> None:
    write_image(tmp_path / "photo.png", photo)
    out, stats = tmp_path / "labels", tmp_path / "stats.json"
    done = cli(
        "run", tiny_model, "--source", tmp_path / "photo.png", "--headless", "--refine", "crf",
        "--save-labels", out, "--stats", stats,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert json.loads(stats.read_text())["stages_ms"]["refine"]["p50"] > 0
    refined = read_label_map(next(out.iterdir()))
    assert np.mean(refined == make_photo_labels(48, 64)) > 0.9
    assert "did you mean crf" in cli("run", tiny_model, "--source", tmp_path / "photo.png", "--refine", "crff").error
