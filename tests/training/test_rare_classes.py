"""What brings rare classes before the network more often: crops laid around them, and pasting them elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeseg.arrays import Uint8
from edgeseg.card import InputSpec
from edgeseg.errors import UsageError
from edgeseg.training.augmentation import OUTSIDE, Augmentation, augment, drawn_pixel, paste
from edgeseg.training.batches import Batches
from edgeseg.training.options import TrainingOptions

STILL = Augmentation(scale=(1, 1), mirror=False, contrast=0, brightness=0, saturation=0, gamma=1)
SPEC = InputSpec(height=60, width=80)
ROAD, SIGN, VOID = 0, 1, 7
CLASSES = 3


def street(row: int = 5, column: int = 70) -> tuple[Uint8, Uint8]:
    """A grey road with a red sign of 3 x 2 pixels, and a corner that nobody labelled."""
    image, labels = np.full((60, 80, 3), 90, np.uint8), np.full((60, 80), ROAD, np.uint8)
    image[row : row + 3, column : column + 2], labels[row : row + 3, column : column + 2] = (0, 0, 200), SIGN
    labels[50:, :20] = VOID
    return image, labels


def share_with_sign(options: Augmentation) -> float:
    seen = [
        SIGN in augment(*street(), SPEC, (24, 24), options, np.random.default_rng(seed), CLASSES)[1]
        for seed in range(300)
    ]
    return float(np.mean(seen))


def test_balanced_crops_show_a_rare_class_as_often_as_the_common_one() -> None:
    assert share_with_sign(STILL) < 0.2
    half = share_with_sign(replace(STILL, balanced_crops=1.0))
    assert half == pytest.approx(0.5 + 0.5 * share_with_sign(STILL), abs=0.08)  # laid around it, or around the road


def test_balanced_crops_stay_inside_the_image() -> None:
    options = replace(STILL, balanced_crops=1.0)
    for seed in range(40):
        assert OUTSIDE not in augment(*street(), SPEC, (24, 24), options, np.random.default_rng(seed), CLASSES)[1]


def test_each_class_of_the_image_is_drawn_alike_and_what_is_no_class_never() -> None:
    _, labels = street()
    random = np.random.default_rng(0)
    drawn = [
        labels[int(row), int(column)] for row, column in (drawn_pixel(labels, CLASSES, random) for _ in range(400))
    ]
    assert set(drawn) == {ROAD, SIGN}
    assert np.mean(np.array(drawn) == SIGN) == pytest.approx(0.5, abs=0.08)


def test_an_image_without_any_class_is_cropped_anywhere() -> None:
    labels = np.full((60, 80), VOID, np.uint8)
    random = np.random.default_rng(0)
    places = np.array([drawn_pixel(labels, CLASSES, random) for _ in range(200)])
    assert places.min() >= 0
    assert (places.max(0) < (60, 80)).all()
    assert (places.max(0) > (50, 70)).all()


def test_pasting_copies_a_small_class_with_its_pixels() -> None:
    onto = np.full((60, 80, 3), 20, np.uint8), np.full((60, 80), 2, np.uint8)
    image, labels = paste(onto, street(), CLASSES, np.random.default_rng(0))
    sign = street()[1] == SIGN
    np.testing.assert_array_equal(labels == SIGN, sign)
    assert (image[sign] == (0, 0, 200)).all()
    assert (labels[~sign] == 2).all()  # neither the road nor what nobody labelled came along
    assert (image[~sign] == 20).all()
    assert (onto[1] == 2).all()  # what was given stays as it was


def test_nothing_is_pasted_from_a_crop_without_small_things() -> None:
    onto = street()
    road = np.zeros((60, 80, 3), np.uint8), np.full((60, 80), ROAD, np.uint8)
    assert paste(onto, road, CLASSES, np.random.default_rng(0)) is onto


def test_batches_paste_into_the_share_that_was_asked_for() -> None:
    samples = [(np.full((60, 80, 3), 20, np.uint8), np.full((60, 80), 2, np.uint8))] * 3 + [street()]
    for share, expected in ((0.0, 0.25), (1.0, 0.25 + 0.75 / 4)):
        options = TrainingOptions(batch_size=4, augmentation=replace(STILL, copy_paste=share))
        batches = Batches(samples, SPEC, (60, 80), options, num_classes=CLASSES)
        shown = [SIGN in labels for epoch in range(60) for _, some in batches.epoch(epoch) for labels in some]
        assert np.mean(shown) == pytest.approx(expected, abs=0.08)


@pytest.mark.parametrize("wrong", [{"balanced_crops": 1.5}, {"copy_paste": -0.1}])
def test_shares_are_shares(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"expected a share, 0 to 1"):
        Augmentation(**wrong)
