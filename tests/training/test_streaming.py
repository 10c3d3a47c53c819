"""Images in memory or read as they are needed: the same batches, and no more of them at once than a few."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from meadow import SIZE

from edgeseg.card import InputSpec
from edgeseg.data.dataset import Dataset
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import DataError
from edgeseg.threads import prefetched
from edgeseg.training import images as training_images
from edgeseg.training.batches import AHEAD, Batches
from edgeseg.training.distillation import Unlabelled
from edgeseg.training.images import read_checked
from edgeseg.training.options import TrainingOptions

Meadow = tuple[Dataset, Dataset]
SPEC = InputSpec(height=SIZE[0], width=SIZE[1])
OPTIONS = TrainingOptions(batch_size=2, seed=3)


def test_streamed_batches_are_those_in_memory_bit_for_bit(meadow: Meadow) -> None:
    streamed, kept = (Batches(samples, SPEC, (48, 48), OPTIONS) for samples in (meadow[0], list(meadow[0])))
    for epoch in (0, 3):
        pairs = list(zip(streamed.epoch(epoch), kept.epoch(epoch), strict=True))
        assert len(pairs) == 4
        for (images, labels), (wanted_images, wanted_labels) in pairs:
            np.testing.assert_array_equal(images, wanted_images)
            np.testing.assert_array_equal(labels, wanted_labels)
    for images, wanted_images in zip(streamed.plain(5), kept.plain(5), strict=True):
        np.testing.assert_array_equal(images, wanted_images)


def test_images_are_read_a_few_batches_ahead_and_no_further(meadow: Meadow) -> None:
    read: list[int] = []

    class Watched:
        def __len__(self) -> int:
            return 40

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            read.append(index)
            return meadow[0].load(index % len(meadow[0]))

    batches = Batches(Watched(), SPEC, SIZE, OPTIONS).epoch(0)
    next(batches)
    next(batches)
    batches.close()
    assert 2 * OPTIONS.batch_size <= len(read) <= (2 + AHEAD) * OPTIONS.batch_size  # two taken, the rest is ahead


def test_work_ahead_keeps_its_order_and_raises_at_the_turn_of_what_failed() -> None:
    blocked = threading.Event()

    def make(item: int) -> int:
        if item == 0:
            blocked.wait(5)  # the first is done last
        elif item == 1:
            blocked.set()
        elif item == 3:
            raise DataError("no image")
        return 10 * item

    made = prefetched(make, range(9), 2)
    assert [next(made) for _ in range(3)] == [0, 10, 20]
    with pytest.raises(DataError, match="no image"):
        next(made)


def test_a_image_that_vanishes_ends_the_epoch_in_one_line(tiny_dataset: Path) -> None:
    dataset = open_dataset(tiny_dataset, "val")
    batches = Batches(dataset, SPEC, SIZE, TrainingOptions(batch_size=1))
    dataset.images[0].unlink()
    with pytest.raises(DataError, match=f"cannot read image {dataset.images[0]}: No such file"):
        list(batches.epoch(0))


def test_a_set_stays_in_memory_if_it_takes_a_quarter_of_what_is_free(
    meadow: Meadow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Eight images of 64x96 and their labels take 8 * 64 * 96 * 4 bytes."""
    needed, told = 8 * 64 * 96 * 4, []
    caplog.set_level("INFO")
    monkeypatch.setattr(training_images, "free_memory_bytes", lambda: 4 * needed)
    samples, counts = read_checked(*meadow, advance=lambda *progress: told.append(progress))
    assert isinstance(samples, list)
    assert told == [(done, 11) for done in range(1, 12)]
    monkeypatch.setattr(training_images, "free_memory_bytes", lambda: 4 * needed - 1)
    assert caplog.text == ""
    streamed, same = read_checked(*meadow)
    assert not isinstance(streamed, list)
    np.testing.assert_array_equal(streamed[7][0], samples[7][0])
    assert "8 images would take 0.0 GB of the 0.0 GB of memory that are free" in caplog.text
    np.testing.assert_array_equal(same, counts)
    assert isinstance(read_checked(*meadow, in_memory=True)[0], list)


@pytest.mark.parametrize("in_memory", [True, False])
def test_images_of_no_set_come_behind_those_of_the_set(meadow: Meadow, in_memory: bool) -> None:
    more = Unlabelled([meadow[1].load(n)[0] for n in range(2)], 255)
    samples, counts = read_checked(*meadow, in_memory=in_memory, more=more)
    assert len(samples) == 10
    for index, (image, labels) in enumerate([*meadow[0], *(more[n] for n in range(2))]):
        np.testing.assert_array_equal(samples[index][0], image)
        np.testing.assert_array_equal(samples[index][1], labels)
    np.testing.assert_array_equal(counts, read_checked(*meadow)[1])
