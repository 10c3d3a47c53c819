"""`edgeseg data`: writing the synthetic set, going on after an interruption, flights, manifests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.data import synthetic_set
from edgeseg.data.layouts import open_dataset
from edgeseg.image import colorize, read_image, write_image
from edgeseg.synth import aerial


@pytest.fixture
def small(tmp_path: Path, cli: Any) -> Path:
    out = tmp_path / "aerial"
    done = cli("data", "synth", out, "--count", 3, "--size", "32x48", "--seed", 2, "--workers", 1)
    assert done.exit_code == 0, done.stderr
    return out


def test_what_is_written_opens_as_a_plain_folder(small: Path) -> None:
    train, val = open_dataset(small, "train"), open_dataset(small, "val")
    assert (train.name, len(train), len(val)) == ("synthetic", 3, 1)
    assert train.labels == aerial.LABELS
    image, label_map = train.load(1)
    expected_image, expected_labels = aerial.render(1, seed=4, height=32, width=48)  # seed 2's train is seed 4
    assert label_map.tolist() == expected_labels.tolist()
    assert np.abs(image.astype(int) - expected_image).mean() < 6  # JPEG
    assert val.load(0)[1].tolist() != train.load(0)[1].tolist()


def test_running_again_only_mends(small: Path, cli: Any) -> None:
    kept = small / "images" / "train" / "000000.jpg"
    before = kept.stat().st_mtime_ns
    broken = small / "labels" / "train" / "000002.png"
    content = broken.read_bytes()
    broken.write_bytes(content[:40])
    done = cli("data", "synth", small, "--count", 3, "--size", "32x48", "--seed", 2, "--workers", 1, "--json")
    assert (done.json["written"], done.json["kept"]) == (1, 3)
    assert broken.read_bytes() == content
    assert kept.stat().st_mtime_ns == before


def test_another_set_in_the_same_folder_is_refused(small: Path, cli: Any) -> None:
    again = ("data", "synth", small, "--count", 3)
    assert "holds a synthetic set of seed 2, asked for 3" in cli(*again, "--size", "32x48", "--seed", 3).error
    assert "size '32x48', asked for 64x48" in cli(*again, "--size", "64x48", "--seed", 2).error


def test_several_processes_write_the_same(small: Path, tmp_path: Path) -> None:
    other = tmp_path / "parallel"
    done = synthetic_set.write_set(other, {"train": 9}, seed=2, height=32, width=48, workers=2)
    assert (done.written, done.kept) == (9, 0)
    for index in range(3):
        name = f"images/train/{index:06d}.jpg"
        assert (other / name).read_bytes() == (small / name).read_bytes()


def test_an_interrupted_run_leaves_whole_images(tmp_path: Path) -> None:
    out = tmp_path / "aerial"

    def stop(done: int, _total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthetic_set.write_set(out, {"train": 5}, seed=0, height=32, width=32, workers=1, advance=stop)
    assert len(open_dataset(out, "train")) == 2
    done = synthetic_set.write_set(out, {"train": 5}, seed=0, height=32, width=32, workers=1)
    assert (done.written, done.kept) == (3, 2)


def test_one_split(tmp_path: Path, cli: Any) -> None:
    done = cli("data", "synth", tmp_path / "a", "--count", 2, "--size", "32x32", "--split", "val", "--json")
    assert done.json["images"] == {"val": 2}
    assert sorted(p.name for p in (tmp_path / "a" / "images").iterdir()) == ["val"]


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_flight_is_a_video(suffix: str, tmp_path: Path, cli: Any) -> None:
    video = tmp_path / f"flight{suffix}"
    done = cli(
        "data", "synth", tmp_path / "a", "--count", 0, "--size", "64x96", "--flight", video, "--frames", 5, "--json"
    )
    assert done.json["flight"] == str(video)
    capture = cv2.VideoCapture(str(video))
    frames = []
    while True:
        there, frame = capture.read()
        if not there:
            break
        frames.append(frame)
    capture.release()
    assert [frame.shape for frame in frames] == [(64, 96, 3)] * 5
    expected, _ = next(aerial.flight(1, seed=0, height=64, width=96))
    assert np.abs(frames[0].astype(int) - expected).mean() < 15
    assert sorted(p.name for p in tmp_path.iterdir()) == [video.name]  # no empty set, nothing temporary


def test_wrong_words(tmp_path: Path, cli: Any) -> None:
    out = tmp_path / "a"
    assert "unknown split 'test'" in cli("data", "synth", out, "--split", "test").error
    assert "at least 16x16" in cli("data", "synth", out, "--size", "8x8").error
    assert "expected a name that ends in .mp4" in cli("data", "synth", out, "--count", 0, "--flight", "x.gif").error
    assert "256by320" in cli("data", "synth", out, "--size", "256by320").error
    assert cli("data", "synth", out, "--count", -1).exit_code == 2
    (tmp_path / "file").write_text("")
    assert "cannot write" in cli("data", "synth", tmp_path / "file", "--count", 1).error


def test_manifest_of_ones_own_images(tmp_path: Path, cli: Any) -> None:
    for index in range(5):
        write_image(tmp_path / "photos" / f"{index}.png", np.full((2, 2, 3), index, np.uint8))
    out = tmp_path / "yard.json"
    done = cli("data", "manifest", out, "--data", tmp_path / "photos", "--count", 2, "--licence", "CC0", "--json")
    value = json.loads(out.read_text())
    assert list(value["files"]) == ["0.png", "2.png"]
    assert (value["name"], value["licence"], done.json["digest"]) == ("yard", "CC0", value["digest"])
    assert (
        "no images that match" in cli("data", "manifest", out, "--data", tmp_path / "photos", "--images", "*.gif").error
    )
    assert "ends in .json" in cli("data", "manifest", tmp_path / "yard", "--data", tmp_path / "photos").error


def test_manifest_of_synthetic_images(tmp_path: Path, cli: Any) -> None:
    out = tmp_path / "tiny.json"
    assert cli("data", "manifest", out, "--count", 2, "--size", "32x32").exit_code == 0
    assert len(json.loads(out.read_text())["levels"]) == 2


def test_labels_are_laid_over_their_images(cli: Any, tiny_dataset: Path, tmp_path: Path) -> None:
    words = ("data", "view", tiny_dataset, "--split", "val", "-o")
    done = cli(*words, tmp_path / "look", "--opacity", 1, "--limit", 2, "--json")
    assert done.exit_code == 0, done.stderr
    dataset = open_dataset(tiny_dataset, "val")
    files = sorted((tmp_path / "look").iterdir())
    assert list(map(str, files)) == done.json["files"]
    assert len(files) == 2
    assert files[0].stem == f"000000_{dataset.images[0].stem}"
    _, truth = dataset.load(0)
    seen, wanted = read_image(files[0]).astype(int), colorize(truth, dataset.labels).astype(int)
    inside = cv2.erode((truth < 255).astype(np.uint8), np.ones((9, 9))) > 0
    assert np.median(np.abs(seen - wanted)[inside]) < 4  # as far as JPEG keeps it
    assert all(name in done.stderr for name in dataset.labels.names)
    assert "that is a folder of the data set" in cli(*words, dataset.images[0].parent).error
