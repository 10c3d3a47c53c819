"""`edgeseg data check` finds each planted fault, one by one, and is quiet where there is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile as copy_file
from typing import Any

import cv2
import numpy as np
import pytest
from exporters import put_json, put_png

from edgeseg.arrays import Uint8
from edgeseg.data.check import check_set
from edgeseg.data.layouts import open_dataset
from edgeseg.data.synthetic_set import write_set
from edgeseg.image import read_image, read_label_map, write_image


def image(seed: int) -> Uint8:
    grid = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(grid, (64, 48), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def yard(tmp_path: Path) -> Path:
    """A sound set: 12 images to learn from, 4 to judge by, three classes in each."""
    for number in range(16):
        split = "train" if number < 12 else "val"
        label_map = np.arange(48 * 64).reshape(48, 64) % 3
        write_image(tmp_path / f"images/{split}/{number}.png", image(number))
        put_png(tmp_path / f"labels/{split}/{number}.png", label_map.astype(np.uint8))
    put_json(tmp_path / "labels.json", {"names": ["ground", "roof", "road"]})
    return tmp_path


def drop_class(root: Path) -> None:
    for path in (root / "labels/train").iterdir():
        ids = read_label_map(path)
        put_png(path, np.where(ids == 2, 0, ids).astype(np.uint8))


def make_rare(root: Path) -> None:
    drop_class(root)
    ids = read_label_map(root / "labels/train/3.png")
    ids[0, 0] = 2
    put_png(root / "labels/train/3.png", ids)


def ignore_much(root: Path) -> None:
    for path in (root / "labels/val").iterdir():
        ids = read_label_map(path)
        ids[:40] = 255
        put_png(path, ids)


def put_id(root: Path) -> None:
    ids = read_label_map(root / "labels/val/13.png")
    ids[5, 5] = 7
    put_png(root / "labels/val/13.png", ids)


def copy(root: Path, to: str, bright: int = 0) -> None:
    image = np.clip(read_image(root / "images/train/5.png").astype(int) + bright, 0, 255).astype(np.uint8)
    write_image(root / f"images/{to}.png", image)


def enlarge(root: Path) -> None:
    write_image(root / "images/train/1.png", cv2.resize(image(1), (256, 192)))
    put_png(root / "labels/train/1.png", (np.arange(192 * 256).reshape(192, 256) % 3).astype(np.uint8))


def remove_val(root: Path) -> None:
    for place in ("images", "labels"):
        for path in (root / place / "val").iterdir():
            path.unlink()
        (root / place / "val").rmdir()


def keep_few(root: Path) -> None:
    for number in range(5, 12):
        (root / f"images/train/{number}.png").unlink()
        (root / f"labels/train/{number}.png").unlink()


VOID = np.full((48, 64), 255, np.uint8)
FLAT = np.full((48, 64, 3), 90, np.uint8)
FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "an unreadable image": (lambda r: (r / "images/val/12.png").write_text("x"), "12.png is not an image"),
    "an unreadable label map": (lambda r: (r / "labels/val/12.png").write_text("x"), "12.png is not a label map"),
    "no label map": (lambda r: (r / "labels/val/12.png").unlink(), "12.png has no label map"),
    "no image": (lambda r: (r / "images/val/12.png").unlink(), "1 label maps belong to no image, such as"),
    "another size": (
        lambda r: write_image(r / "images/val/12.png", image(12)[:40]),
        "expected the same height",
    ),
    "an unknown id": (put_id, "13.png holds id 7: expected 0-2"),
    "a class without pixels": (drop_class, "the train split of folder has no pixel of road"),
    "a rare class": (make_rare, "road: below 0.01 % of the training pixels"),
    "much ignored": (ignore_much, "the val split of folder ignores 83 % of its pixels"),
    "an image all ignored": (lambda r: put_png(r / "labels/val/14.png", VOID), "labels no pixel"),
    "an image in train and val": (lambda r: copy(r, "val/13"), "1 images of val are in train, too"),
    "an image nearly in train": (lambda r: copy(r, "val/13", 9), "1 images of val look nearly like one of train"),
    "an image twice": (lambda r: copy(r, "train/6"), "1 images are in the train split more than once"),
    "an odd size": (enlarge, "1 images are far from the usual size, such as"),
    "one colour": (lambda r: write_image(r / "images/val/13.png", FLAT), "shows one colour only"),
    "no val": (remove_val, "there is no split val"),
    "few images": (keep_few, "the train split has 5 images"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_nothing_else(fault: str, yard: Path) -> None:
    plant, told = FAULTS[fault]
    plant(yard)
    warnings = check_set(yard).warnings
    assert len(warnings) == 1, warnings
    assert told in warnings[0]


def test_a_sound_set_is_described(cli: Any, yard: Path) -> None:
    done = cli("data", "check", yard, "--json")
    assert done.exit_code == 0, done.stderr
    found = done.json
    assert found["splits"] == {"train": 12, "val": 4}
    assert found["warnings"] == []
    assert found["classes"]["roof"]["val"] == {"pixels": 4 * 1024, "pictures": 4}
    assert found["sizes"] == {"48x64": 16}
    assert found["suggestions"] == [
        "--size 64x64: the usual image of 48x64, in steps of 32",
        "--init-from aerial: 12 images are few to learn all from",
        "--lr 2e-3 --ema 0.98: few steps may be larger, where the weights' average is kept",
    ]
    pixels = np.concatenate([image(n).reshape(-1, 3) for n in range(12)])[:, ::-1]
    assert found["mean"] == pytest.approx(pixels.mean(0), abs=0.01)
    assert found["std"] == pytest.approx(pixels.std(0), abs=0.01)
    assert "nothing is wrong" in done.stderr
    assert "next: edgeseg train --data" in done.stderr


def test_large_images_are_learnt_from_in_crops(tmp_path: Path) -> None:
    write_set(tmp_path, {"train": 2, "val": 1}, seed=0, height=256, width=352, workers=1)
    options = [suggestion.partition(":")[0] for suggestion in check_set(tmp_path).suggestions]
    assert options[:2] == ["--size 256x352", "--crop 160x224"]


@pytest.mark.slow
def test_it_is_quiet_on_camvid(test_data: Path) -> None:
    found = check_set(test_data / "camvid")
    assert found.warnings == ()
    assert found.suggestions[0].startswith("--size 352x480")


def test_training_tells_of_images_that_val_shares_with_it(yard: Path, caplog: pytest.LogCaptureFixture) -> None:
    from edgeseg.training.images import read_checked

    copy_file(yard / "images/train/5.png", yard / "images/val/13.png")
    read_checked(open_dataset(yard, "train"), open_dataset(yard, "val"))
    assert "1 images of val are in train, too, such as" in caplog.text
    caplog.clear()
    read_checked(open_dataset(yard, "train"), open_dataset(yard, "train"))
    assert caplog.text == ""


def test_labels_unlike_all_others_come_first_on_the_page(yard: Path, tmp_path: Path, cli: Any) -> None:
    """One label map is all roof, where every other image has a third of it."""
    put_png(yard / "labels/train/7.png", np.ones((48, 64), np.uint8))
    first = check_set(yard).unusual[0]
    assert (Path(first.image).name, first.split, first.most) == ("7.png", "train", "roof")
    done = cli("data", "check", yard, "--html", tmp_path / "page.html")
    assert done.exit_code == 0, done.stderr
    page = (tmp_path / "page.html").read_text()
    headings = re.findall(r"<h3>(.*?)</h3>", page)
    assert headings[0] == "7.png (train): much roof"
    assert page.count("data:image/jpeg;base64,") == 2 * len(headings) == 2 * 16
    assert all(f"> {name}</td>" in page for name in ("ground", "roof", "road"))


def test_names_on_the_page_are_text_and_nothing_else(yard: Path, tmp_path: Path, cli: Any) -> None:
    put_json(yard / "labels.json", {"names": ["<script>alert(1)</script>", "roof", "road"]})
    assert cli("data", "check", yard, "--html", tmp_path / "page.html").exit_code == 0
    assert "<script>" not in (tmp_path / "page.html").read_text()
