"""Decoded images that are kept: the same as the set's, decoded once, whoever reads them and whatever was left there."""

from __future__ import annotations

import multiprocessing
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from meadow import SIZE

from edgeseg.card import InputSpec
from edgeseg.data import decoded
from edgeseg.data.dataset import Dataset
from edgeseg.data.decoded import SUFFIX, Decoded
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import DataError, OutputError, UsageError
from edgeseg.training.batches import Batches
from edgeseg.training.images import read_checked
from edgeseg.training.options import TrainingOptions


@pytest.fixture
def train_set(meadow_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Eight images that a test may change."""
    own = shutil.copytree(meadow_folder, tmp_path_factory.mktemp("own") / "meadow")
    return open_dataset(own, "train")


def read_all(train_set: Dataset, folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    kept = Decoded(train_set, folder)
    return [kept[index] for index in range(len(kept))]


def assert_same(found: list[tuple[np.ndarray, np.ndarray]], train_set: Dataset) -> None:
    assert len(found) == len(train_set)
    for pair, wanted in zip(found, train_set, strict=True):
        for array, expected in zip(pair, wanted, strict=True):
            np.testing.assert_array_equal(array, expected)


def test_images_are_decoded_once_and_are_the_sets(
    train_set: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_same(read_all(train_set, tmp_path / "kept"), train_set)
    wanted = list(train_set)
    loads: list[int] = []
    monkeypatch.setattr(Dataset, "load", lambda self, index: loads.append(index) or wanted[index])
    found = read_all(train_set, tmp_path / "kept")
    assert loads == [0]  # by which the room is reckoned
    monkeypatch.undo()
    assert_same(found, train_set)


def test_a_training_that_streams_them_sees_the_same_batches(train_set: Dataset, tmp_path: Path) -> None:
    val_set = replace(train_set, split="val")
    samples, pixels = read_checked(train_set, val_set, in_memory=False, cache=tmp_path / "kept")
    kept, counted = read_checked(train_set, val_set, in_memory=True)
    np.testing.assert_array_equal(pixels, counted)
    spec, options = InputSpec(height=SIZE[0], width=SIZE[1]), TrainingOptions(batch_size=2)
    streams = [Batches(source, spec, SIZE, options).epoch(1) for source in (samples, kept)]
    for (images, labels), (wanted_images, wanted_labels) in zip(*streams, strict=True):
        np.testing.assert_array_equal(images, wanted_images)
        np.testing.assert_array_equal(labels, wanted_labels)
    assert len(list((tmp_path / "kept").iterdir())) == len(train_set)


def test_what_changes_is_decoded_anew(train_set: Dataset, tmp_path: Path) -> None:
    read_all(train_set, tmp_path)
    first, second = train_set.images[:2]
    first.write_bytes(second.read_bytes())
    assert_same(read_all(train_set, tmp_path), train_set)
    merged = replace(train_set, id_table=(0, 0, *range(2, 256)))
    assert_same(read_all(merged, tmp_path), merged)


@pytest.mark.parametrize("harm", ["cut", "emptied", "other bytes", "other shape"])
def test_a_damaged_file_is_made_anew(harm: str, train_set: Dataset, tmp_path: Path) -> None:
    read_all(train_set, tmp_path)
    for file in tmp_path.iterdir():
        content = bytearray(file.read_bytes())
        if harm == "other bytes":
            content[len(content) // 2] ^= 1
        elif harm == "other shape":
            content[0] ^= 1
        file.write_bytes({"cut": content[:-1], "emptied": b""}.get(harm, content))
    assert_same(read_all(train_set, tmp_path), train_set)
    assert_same(read_all(train_set, tmp_path), train_set)


def test_a_folder_that_is_deleted_under_way_costs_no_image(train_set: Dataset, tmp_path: Path) -> None:
    kept = Decoded(train_set, tmp_path)
    assert_same([kept[index] for index in range(len(kept))], train_set)
    for file in tmp_path.iterdir():
        file.unlink()
    assert_same([kept[index] for index in range(len(kept))], train_set)
    assert len(list(tmp_path.iterdir())) == len(train_set)


def test_several_processes_may_share_a_folder(train_set: Dataset, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for found in pool.starmap(read_all, [(train_set, tmp_path)] * 4, chunksize=1):
            assert_same(found, train_set)
    assert {file.suffix for file in tmp_path.iterdir()} == {SUFFIX}  # nothing half-written is left
    assert len(list(tmp_path.iterdir())) == len(train_set)


def test_a_disk_without_room_is_told_before_anything_is_written(
    train_set: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    image, label_map = train_set.load(0)
    needed = len(train_set) * (image.nbytes + label_map.nbytes)
    monkeypatch.setattr(decoded.shutil, "disk_usage", lambda folder: usage(needed, 1, needed - 1))
    with pytest.raises(UsageError, match=f"{len(train_set)} decoded images need about"):
        Decoded(train_set, tmp_path)
    monkeypatch.setattr(decoded.shutil, "disk_usage", lambda folder: usage(needed, 0, needed))
    read_all(train_set, tmp_path)
    monkeypatch.setattr(decoded.shutil, "disk_usage", lambda folder: usage(needed, needed, 0))
    assert_same(read_all(train_set, tmp_path), train_set)  # all are there, none needs room


def test_what_cannot_be_kept_or_read_is_one_line(train_set: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write to .*file"):
        Decoded(train_set, tmp_path / "file")
    kept = Decoded(train_set, tmp_path / "kept")
    train_set.images[1].write_bytes(b"no image")
    with pytest.raises(DataError, match=train_set.images[1].name):
        kept[1]
    assert not list((tmp_path / "kept").iterdir())
