"""Calibration sets: manifests that pin their images, folders, globs, and the synthetic one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgeseg.data import calibration
from edgeseg.data.calibration import (
    CalibrationSet,
    calibration_names,
    files_manifest,
    manifest_digest,
    open_calibration,
    spaced,
    synthetic_manifest,
)
from edgeseg.errors import DataError, UsageError
from edgeseg.image import write_image
from edgeseg.synth import aerial


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "yard"
    for name, shade in (("b.png", 20), ("a.png", 10), ("c.jpg", 30)):
        write_image(folder / name, np.full((4, 6, 3), shade, np.uint8))
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def manifest(tmp_path: Path, images: Path) -> Path:
    path = tmp_path / "yard.json"
    path.write_text(json.dumps(files_manifest("yard", images, [images / "a.png", images / "b.png"], "CC0")))
    return path


def shades(pinned: CalibrationSet) -> list[int]:
    return [int(image[0, 0, 0]) for image in pinned]


def test_a_folder_in_order_of_names(images: Path) -> None:
    pinned = open_calibration(str(images))
    assert shades(pinned) == [10, 20, 30]
    assert (pinned.count, pinned.record_source) == (3, "folder yard")


def test_a_glob_and_a_single_image(images: Path) -> None:
    assert shades(open_calibration(str(images / "*.png"))) == [10, 20]
    assert shades(open_calibration(str(images / "c.jpg"))) == [30]


@pytest.mark.parametrize("source", ["empty", "empty/*.png", "synthetic:0"])
def test_no_images_is_an_error(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="has no images"):
        open_calibration(source)


def test_a_manifest_of_files(manifest: Path, images: Path) -> None:
    pinned = open_calibration(str(manifest), data=images)
    assert shades(pinned) == [10, 20]
    assert (pinned.record_source, pinned.licence) == ("yard", "CC0")


def test_a_manifest_of_files_needs_their_folder(manifest: Path) -> None:
    with pytest.raises(DataError, match="name the folder they are in, with --data"):
        open_calibration(str(manifest))


def test_a_changed_image_is_noticed(manifest: Path, images: Path) -> None:
    write_image(images / "b.png", np.full((4, 6, 3), 21, np.uint8))
    with pytest.raises(DataError, match=r"b\.png is not the image"):
        list(open_calibration(str(manifest), data=images))


def test_a_missing_image_is_named(manifest: Path, images: Path) -> None:
    (images / "b.png").unlink()
    with pytest.raises(DataError, match=r"needs .*b\.png, which is not there"):
        open_calibration(str(manifest), data=images)


def test_an_edited_manifest_is_noticed(manifest: Path, images: Path) -> None:
    value = json.loads(manifest.read_text())
    value["files"]["c.jpg"] = "0" * 64
    manifest.write_text(json.dumps(value))
    with pytest.raises(DataError, match="was edited"):
        open_calibration(str(manifest), data=images)
    del value["digest"]  # a manifest written by hand has none
    del value["files"]["c.jpg"]
    manifest.write_text(json.dumps(value))
    assert open_calibration(str(manifest), data=images).count == 2


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"kind": "video"}, "kind 'video': expected"),
        ({"kind": "files"}, "has no files: expected dict"),
        ({"kind": "synthetic", "seed": 1, "size": [32, 32]}, "has no count: expected int"),
        ({"kind": "synthetic", "seed": 1, "size": [32], "count": 2}, "size .height, width"),
        ({"kind": "synthetic", "seed": 1, "size": [32, 32], "count": 2, "levels": [1.0]}, "one level for each"),
        ({"kind": ["synthetic"]}, "kind ..synthetic..: expected"),
        ({"kind": "\x1b[2J" + "x" * 99_999}, "kind '.*….*': expected"),
        ({"kind": "synthetic", "seed": 1, "size": ["a", "b"], "count": 2}, "expected whole numbers"),
        ({"kind": "synthetic", "seed": 10**400, "size": [32, 32], "count": 2}, "expected whole numbers"),
        ({"kind": "synthetic", "seed": 1, "size": [32, 32], "count": 1, "levels": ["x"]}, "one level for each"),
        ({"kind": "synthetic", "seed": 1, "size": [32, 32], "count": 1, "levels": [10**400]}, "expected one level"),
        ({"kind": "synthetic", "renderer": 0, "seed": 1, "size": [32, 32], "count": 2}, "is of renderer 0"),
    ],
)
def test_wrong_manifests_are_explained(value: object, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match=complaint) as caught:
        open_calibration(str(path))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_synthetic_images_are_the_train_split() -> None:
    pinned = open_calibration("synthetic:3", size=(32, 48))
    images = list(pinned)
    assert (pinned.count, pinned.record_source, len(images)) == (3, "synthetic:3", 3)
    expected, _ = aerial.render(2, seed=aerial.split_seed(0, "train"), height=32, width=48)
    assert images[2].tobytes() == expected.tobytes()


def test_a_synthetic_manifest_pins_the_renderer(tmp_path: Path) -> None:
    value = synthetic_manifest("tiny", seed=4, count=2, size=(32, 48), licence="free")
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(value))
    assert len(list(open_calibration(str(path)))) == 2
    value["levels"][1] += 2 * calibration.LEVEL_TOLERANCE
    path.write_text(json.dumps({**value, "digest": manifest_digest(value)}))
    with pytest.raises(DataError, match=r"image 1 of calibration set tiny has mean .* another renderer"):
        list(open_calibration(str(path)))


def test_the_shipped_default_matches_the_renderer() -> None:
    pinned = open_calibration()
    assert (pinned.record_source, pinned.count, len(pinned.levels)) == ("synthetic-aerial", 100, 100)
    for _, image in zip(range(3), pinned, strict=False):  # raises if a level is off
        assert image.shape == (256, 320, 3)


def test_the_shipped_camvid_manifest(test_data: Path) -> None:
    pinned = open_calibration("camvid-train", data=test_data / "camvid")
    assert pinned.count == 100
    assert next(iter(pinned)).shape == (360, 480, 3)


def test_names_and_unknown_ones(tmp_path: Path) -> None:
    assert calibration_names() == ["camvid-train", "synthetic-aerial"]
    with pytest.raises(UsageError, match="unknown calibration set 'camvid-trai': did you mean camvid-train"):
        open_calibration("camvid-trai")
    with pytest.raises(DataError, match="no such file or folder"):
        open_calibration(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="no such file"):
        open_calibration(str(tmp_path / "nowhere.json"))
    with pytest.raises(DataError, match="expected a number of images"):
        open_calibration("synthetic:many")


def test_evenly_spaced() -> None:
    files = [Path(str(n)) for n in range(10)]
    assert [int(str(f)) for f in spaced(files, 4)] == [0, 2, 5, 7]
    assert spaced(files, 99) == files
