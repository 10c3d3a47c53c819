"""The gate: a file that loses a class or a corner of the image is not written, however much it keeps elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from meadow import LABELS
from tiny_networks import MEADOW_RGB, colour_network

import edgeseg
from edgeseg.arrays import Uint8
from edgeseg.conversion.agreement import Agreement
from edgeseg.conversion.gate import broken
from edgeseg.errors import ConversionError


def images_of_small_roofs() -> list[Uint8]:
    """Meadows beside water, each with a roof on one pixel in a hundred."""
    images = []
    for index in range(8):
        labels = np.zeros((64, 96), np.uint8)
        labels[:, 70:] = 1
        labels[20 + index : 28 + index, 40 - index : 48 - index] = 2
        images.append(MEADOW_RGB[labels][..., ::-1].astype(np.uint8))
    return images


def network_whose_roofs_differ_from_grass_by_less_than_a_step() -> Any:
    network = colour_network()
    kernel = np.array([[[[0, 0, 0.3], [0, 0, 0], [-100, 100, -100]]]], np.float32)  # red tells roofs, blue tells water
    network.get_layer("logits").set_weights([kernel, np.zeros(3, np.float32)])
    return network


def test_a_lost_class_is_refused_although_nearly_all_pixels_agree() -> None:
    network, images = network_whose_roofs_differ_from_grass_by_less_than_a_step(), images_of_small_roofs()
    with pytest.raises(ConversionError, match=r"but on only 0.00% of class .roof., expected 75% or more"):
        edgeseg.convert(network, calibration=images, labels=LABELS)
    forced = edgeseg.convert(network, calibration=images, labels=LABELS, force=True)
    assert forced.agreement > 0.98
    assert dict(forced.agreements.by_class)["roof"] == 0
    assert dict(forced.agreements.class_shares)["roof"] == pytest.approx(64 / (64 * 96))


def agreements(roof: float = 1.0, share: float = 0.1, corner: float = 1.0) -> Agreement:
    return Agreement(
        overall=0.99, by_class=(("grass", 0.999), ("roof", roof)), class_shares=(("grass", 1 - share), ("roof", share)),
        by_quadrant=(("top left", corner), ("top right", 1.0)), of_kernels=1.0,
    )  # fmt: skip


def test_what_is_broken_is_named() -> None:
    assert broken(agreements(roof=0.9, corner=0.97)) == ""
    assert broken(agreements(roof=0.5)) == "on only 50.00% of class 'roof', expected 75% or more"
    assert broken(agreements(roof=0.0, share=0.0005)) == ""  # a few pixels tell nothing
    assert broken(agreements(corner=0.9)) == "on only 90.00% of the images' top left quarter, expected 95% or more"
