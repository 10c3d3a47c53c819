"""Training augmentation: random scale, crop, mirror and colour, from one random generator a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgeseg.card import InputSpec
from edgeseg.image import Uint8

OUTSIDE = 255
"""The class id of pixels that a crop has outside the picture; the losses ignore it."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How strongly pictures are varied.

    Attributes:
        scale: Smallest and largest zoom, relative to the network's input size; drawn log-uniformly.
        mirror: Whether half of the pictures are flipped left to right.
        contrast: Largest relative change of contrast, and of each colour channel's gain by a third of it.
        brightness: Largest shift, in 0-255 units.
        saturation: Largest relative change of saturation.
        gamma: Largest exponent (and one over the smallest).
    """

    scale: tuple[float, float] = (0.5, 2.0)
    mirror: bool = True
    contrast: float = 0.3
    brightness: float = 30.0
    saturation: float = 0.4
    gamma: float = 1.3


def augment(
    image: Uint8,
    label_map: Uint8,
    spec: InputSpec,
    crop: tuple[int, int],
    options: Augmentation,
    random: np.random.Generator,
) -> tuple[Uint8, Uint8]:
    """Varies a picture and its label map alike.

    Scale, crop and mirror are one affine map, so every pixel is interpolated once.

    Args:
        image: (H, W, 3) uint8, blue-green-red.
        label_map: (H, W) uint8 ids.
        spec: The network's input: scale 1 is the picture resized to it.
        crop: Rows and columns of the result.
        options: How strongly to vary.
        random: Source of all randomness.

    Returns:
        (crop rows, columns, 3) uint8 RGB, and (rows, columns) uint8 ids, `OUTSIDE` where the picture ends.
    """
    rows, columns = crop
    low, high = np.log(options.scale)
    zoom = float(np.exp(random.uniform(low, high)))
    scale_y, scale_x = zoom * spec.height / image.shape[0], zoom * spec.width / image.shape[1]
    offset_y = _offset(image.shape[0] * scale_y, rows, random)
    offset_x = _offset(image.shape[1] * scale_x, columns, random)
    # From a crop pixel's centre to the picture's, both counted from the first pixel's centre.
    inverse = np.array(
        [
            [1 / scale_x, 0, (offset_x + 0.5) / scale_x - 0.5],
            [0, 1 / scale_y, (offset_y + 0.5) / scale_y - 0.5],
        ]
    )
    if options.mirror and random.random() < 0.5:
        inverse[0] = [-inverse[0, 0], 0, inverse[0, 2] + (columns - 1) * inverse[0, 0]]
    size, flags = (columns, rows), cv2.WARP_INVERSE_MAP
    border = (spec.mean,) * 3
    varied = cv2.warpAffine(image, inverse, size, flags=flags | cv2.INTER_LINEAR, borderValue=border)
    labels = cv2.warpAffine(label_map, inverse, size, flags=flags | cv2.INTER_NEAREST, borderValue=OUTSIDE)
    rgb = cv2.cvtColor(varied, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    return vary_colour(rgb, options, random), labels.astype(np.uint8, copy=False)


def _offset(size: float, crop: int, random: np.random.Generator) -> float:
    """Draws where the crop starts: inside the picture, or with the picture inside it."""
    free = size - crop
    return float(random.uniform(min(0.0, free), max(0.0, free)))


def vary_colour(rgb: Uint8, options: Augmentation, random: np.random.Generator) -> Uint8:
    """Changes saturation, contrast, colour balance, brightness and gamma of an RGB picture."""
    saturation = 1 + random.uniform(-options.saturation, options.saturation)
    contrast = 1 + random.uniform(-options.contrast, options.contrast)
    gains = contrast * (1 + random.uniform(-options.contrast / 3, options.contrast / 3, 3))
    shift = random.uniform(-options.brightness, options.brightness)
    gamma = float(np.exp(random.uniform(-1, 1) * np.log(options.gamma)))
    grey = np.array([0.299, 0.587, 0.114])
    mixed = cv2.transform(rgb, saturation * np.eye(3) + (1 - saturation) * grey)
    levels = np.arange(256.0)[:, None]
    table = np.clip((levels - 128) * gains + 128 + shift, 0, 255) / 255
    return cv2.LUT(mixed, np.round(255 * table**gamma).astype(np.uint8)[None]).astype(np.uint8, copy=False)
