"""No flag is dropped without a word: what has no effect beside the others is refused in one line, before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.image import write_image


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a picture in photos/ and a video."""
    monkeypatch.chdir(tmp_path)
    write_image("photos/0.png", np.zeros((48, 64, 3), np.uint8))
    video = cv2.VideoWriter("film.avi", cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    video.write(np.zeros((48, 64, 3), np.uint8))
    video.release()
    return tmp_path


PHOTOS, VIDEO = ("--source", "photos", "--headless"), ("--source", "film.avi", "--headless")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*PHOTOS, "--fps", "5"), "--fps asks a camera for a frame rate, or tells that of raw frames; photos is"),
        ((*VIDEO, "--fps", "5"), "film.avi is a video: leave it out"),
        ((*PHOTOS, "--size", "48x64"), "--size asks a camera for a frame size"),
        ((*VIDEO, "--size", "48x64"), "film.avi is a video: leave it out"),
        ((*PHOTOS, "--realtime"), "--realtime plays a video at its own speed; photos is pictures"),
        (("--camera", "0", "--realtime"), "--realtime plays a video at its own speed; 0 is a camera"),
        (("--source", "rtsp://127.0.0.1:9/x", "--fps", "5"), "is a stream: leave it out"),
        ((*PHOTOS, "--exit-on-loss"), "--exit-on-loss is for a camera or a stream"),
        ((*VIDEO, "--exit-on-loss"), "--exit-on-loss is for a camera or a stream"),
        ((*PHOTOS, "--legend"), "--legend is drawn on the overlay, which nothing shows"),
        ((*PHOTOS, "--legend", "--events", "e.jsonl"), "--legend is drawn on the overlay, which nothing shows"),
        ((*PHOTOS, "--safe", "grass"), "--safe finds free ground for --events, --mavlink or an --output"),
        ((*PHOTOS, "--safe", "grass", "--save-labels", "masks"), "--safe finds free ground for"),
        ((*PHOTOS, "--pitch", "45"), "--pitch needs --camera-height and --fov"),
        ((*PHOTOS, "--fov", "60"), "--camera-height and --fov belong together"),
        ((*PHOTOS, "--camera-height", "5"), "--camera-height and --fov belong together"),
        ((*PHOTOS, "--camera-height", "5", "--fov", "60"), "--camera-height need --safe"),
    ],
)  # fmt: skip
def test_run_refuses_what_its_source_or_outputs_cannot_use(
    cli: Any, tiny_model: Path, here: Path, words: tuple[str, ...], message: str
) -> None:
    done = cli("run", tiny_model, *words)
    assert done.exit_code == 1
    assert message in done.error
    assert sorted(path.name for path in here.iterdir()) == ["film.avi", "photos"]


def test_what_a_source_can_use_is_taken(cli: Any, tiny_model: Path, here: Path) -> None:
    assert cli("run", tiny_model, *VIDEO, "--realtime", "--legend", "--record", "overlay.avi").exit_code == 0
    assert (here / "overlay.avi").stat().st_size > 0


def test_convert_refuses_a_data_folder_that_nothing_reads(cli: Any, tiny_keras_model: Path, here: Path) -> None:
    for pictures in (("--calibration", "photos"), ()):
        done = cli("convert", tiny_keras_model, "--int8", *pictures, "--data", "photos", "-o", "x.tflite")
        assert "--data photos: folder of a manifest's files, or of the data set of --qat" in done.error
    assert not (here / "x.tflite").exists()


@pytest.mark.parametrize("flag", [("--freeze-start",), ("--transfer-rate", "0.5")])
def test_train_refuses_what_is_for_weights_from_elsewhere(cli: Any, tiny_dataset: Path, flag: tuple[str, ...]) -> None:
    words = ("train", "--data", tiny_dataset, "--split", "val", "--out", tiny_dataset.parent / "run", *flag)
    assert "are for what starts from elsewhere, and nothing does" in cli(*words).error


def test_a_time_and_a_number_of_epochs_exclude_each_other(cli: Any, tiny_dataset: Path) -> None:
    words = ("train", "--data", tiny_dataset, "--out", "run", "--epochs", "3", "--time-budget", "1m")
    assert "--epochs and --time-budget were both given" in cli(*words).error


def test_a_flight_without_a_video_has_no_length(cli: Any, here: Path) -> None:
    assert "--frames 30 without --flight" in cli("data", "synth", "set", "--frames", "30").error
    assert not (here / "set").exists()
