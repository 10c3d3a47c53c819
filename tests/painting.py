"""A painted image with exact labels, and the classes of the little models that know it (see tiny/make.py)."""

from __future__ import annotations

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.card import LabelSet

TINY_LABELS = LabelSet(names=("sky", "field", "other"), colors=((70, 130, 180), (107, 142, 35), (128, 64, 128)))


def make_photo(height: int, width: int) -> Uint8:
    """Paints the image of `photo` at any size."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = np.array([(230, 180, 120), (60, 150, 80), (110, 110, 110)], np.uint8)[make_photo_labels(height, width)]
    house = (slice(height // 6, height * 2 // 3), slice(width // 8, width // 3))
    image[house] = (150, 170, 190)
    image[height // 6 : height // 4, house[1]] = (40, 40, 200)
    grain = np.random.default_rng(7).integers(-6, 7, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def make_photo_labels(height: int, width: int) -> Uint8:
    """Draws the label map of `make_photo` in the classes of `TINY_LABELS`."""
    labels = np.zeros((height, width), np.uint8)
    labels[height // 3 :] = 1
    labels[height // 6 : height * 2 // 3, width // 8 : width // 3] = 2
    labels[height // 3 :, width * 5 // 8 : width * 7 // 8] = 2
    return labels
