"""No flag is dropped without a word: what has no effect beside the others is refused in one line, before any work."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_models import colour_model

from edgeseg.image import write_image


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an image in photos/ and a video."""
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
        ((*PHOTOS, "--realtime"), "--realtime plays a video at its own speed; photos is images"),
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
    for images in (("--calibration", "photos"), ()):
        done = cli("convert", tiny_keras_model, "--int8", *images, "--data", "photos", "-o", "x.tflite")
        assert "--data photos: folder of a manifest's files, or of the data set of --qat" in done.error
    assert not (here / "x.tflite").exists()


@pytest.mark.parametrize("flag", [("--freeze-start",), ("--transfer-rate", "0.5")])
def test_train_refuses_what_is_for_weights_from_elsewhere(cli: Any, tiny_dataset: Path, flag: tuple[str, ...]) -> None:
    words = ("train", "--data", tiny_dataset, "--split", "val", "--out", tiny_dataset.parent / "run", *flag)
    assert "are for what starts from elsewhere, and nothing does" in cli(*words).error


def test_a_time_and_a_number_of_epochs_exclude_each_other(cli: Any, tiny_dataset: Path) -> None:
    words = ("train", "--data", tiny_dataset, "--out", "run", "--epochs", "3", "--time-budget", "1m")
    assert "--epochs and --time-budget were both given" in cli(*words).error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("synth", "made", "--frames", "30"), "--frames 30 without --flight"),
        (("synth", "made", "--count", "0", "--flight", "f.avi", "--split", "val"), "--split val with --count 0"),
        (("manifest", "made.json", "--images", "*.jpg"), "--images *.jpg without --data"),
        (("manifest", "made.json", "--data", "photos", "--seed", "3"), "--size and --seed are of synthetic images"),
        (("manifest", "made.json", "--data", "photos", "--size", "8x8"), "--size and --seed are of synthetic images"),
    ],
)  # fmt: skip
def test_data_refuses_what_is_for_other_images(cli: Any, here: Path, words: tuple[str, ...], message: str) -> None:
    assert message in cli("data", *words).error
    assert not list(here.glob("made*"))
    assert not (here / "f.avi").exists()


@pytest.mark.parametrize(
    ("splits", "words", "message"),
    [
        (("",), ("--split-names", "val=0", "--splits", "train=1"), "--splits with --split-names"),
        (("",), ("--split-names", "val=0", "--seed", "1"), "--seed and --at-random are for splits that are drawn"),
        (("train", "val"), ("--seed", "1"), "the set has its own; --splits draws new ones"),
        (("train", "val"), ("--at-random",), "the set has its own; --splits draws new ones"),
    ],
)
def test_import_refuses_to_draw_where_nothing_is_drawn(
    cli: Any, tmp_path: Path, splits: tuple[str, ...], words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/labels.json").write_text('{"names": ["grass", "water"]}')
    for split in splits:
        write_image(tmp_path / "set/images" / split / "0.png", np.zeros((48, 64, 3), np.uint8))
        write_image(tmp_path / "set/labels" / split / "0.png", np.zeros((48, 64), np.uint8))
    assert message in cli("data", "import", tmp_path / "set", tmp_path / "out", "--format", "masks", *words).error
    assert not (tmp_path / "out").exists()


def test_explain_refuses_a_folder_that_nothing_reads(cli: Any, tiny_model: Path, here: Path) -> None:
    for images in (("--calibration", "photos"), ()):
        done = cli("explain", tiny_model, *images, "--data", "photos")
        assert "--data photos is the folder of a manifest's files" in done.error


def test_thaw_refuses_what_changes_nothing(cli: Any, tiny_model: Path, tiny_float_model: Path, here: Path) -> None:
    (here / "one.tflite").write_bytes(colour_model())
    for file, flags, message in (
        (tiny_float_model, ("--rounding",), "is a float file, which rounds nothing: leave --rounding out"),
        (tiny_model, ("--logits",), "does not end in an ARG_MAX: leave --logits out"),
        ("one.tflite", ("--batch-norm", "--classes", "5"), "no convolution before the last: leave --batch-norm out"),
    ):
        assert message in cli("thaw", file, "-o", "x.keras", "--data", "photos", *flags).error
    assert not (here / "x.keras").exists()


@pytest.mark.parametrize(
    "told", [("--mean", "0"), ("--std", "9"), ("--resize", "letterbox"), ("--order", "bgr"), ("--labels", "voc")]
)
def test_no_score_is_recorded_of_another_input_than_the_card_tells(
    cli: Any, tiny_model: Path, tiny_dataset: Path, told: tuple[str, ...]
) -> None:
    copy = Path(shutil.copy(tiny_model, tiny_dataset.parent))
    assert f"--record with {told[0]}" in cli("eval", copy, "--data", tiny_dataset, "--record", *told).error
    assert copy.read_bytes() == tiny_model.read_bytes()


def test_all_that_is_measured_of_a_model_is_measured_of_its_rival(
    cli: Any, tiny_model: Path, tiny_float_model: Path, tiny_dataset: Path
) -> None:
    words = ("--data", tiny_dataset, "--boundary", "--ece", "--json")
    both = cli("eval", tiny_model, *words, "--against", tiny_float_model)
    alone = cli("eval", tiny_float_model, *words).json
    for figure in ("boundary_f", "ece"):
        assert both.json["against"][figure] == alone[figure]
    assert f"its boundary F {alone['boundary_f']:.4f}" in both.stderr
    assert f"its expected calibration error {alone['ece']:.4f}" in both.stderr


@pytest.mark.parametrize("command", [("bench",), ("eval", "--data", "set"), ("report", "-o", "out", "--data", "set")])
def test_reference_kernels_take_one_thread(
    cli: Any, tiny_model: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tiny_dataset.parent)
    tiny_dataset.rename("set")
    done = cli(command[0], tiny_model, *command[1:], "--delegate", "reference", "--threads", "2")
    assert "2 threads: the reference kernels run on one" in done.error
