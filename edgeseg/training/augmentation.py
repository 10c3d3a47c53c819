"""Training augmentation: scale, crop, mirror, rotate, deform, colour, paste, from one random generator an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec
from edgeseg.errors import UsageError
from edgeseg.image import content_size, ordered, padding

SMALL_SHARE = 0.05
"""A class is small in a crop, and may be copied from it, if it covers no more than this share."""
OUTSIDE = 255
"""The class id of pixels that a crop has outside the image; the losses ignore it."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How strongly images are varied.

    Attributes:
        scale: Smallest and largest zoom, relative to the network's input size; drawn log-uniformly.
        mirror: Whether half of the images are flipped left to right.
        rotation: Largest turn of the crop about its centre, in degrees.
        quarter_turns: Whether crops are turned by 0, 90, 180 or 270 degrees first: for views straight down.
        elastic: How far pixels are moved about smoothly: the standard deviation, in the crop's pixels, of random
            displacements on a 3x3 grid with cubic interpolation between. For tissue and other things that bend
            (Ronneberger, Fischer, Brox, U-Net, MICCAI 2015, section 3.1, where it is 10).
        balanced_crops: Share of the crops laid around a pixel of a class that is drawn evenly from the image's.
        copy_paste: Share of the crops into which a small class of another image's crop is pasted.
        contrast: Largest relative change of contrast, and of each colour channel's gain by a third of it.
        brightness: Largest shift, in 0-255 units.
        saturation: Largest relative change of saturation.
        gamma: Largest exponent (and one over the smallest).
    """

    scale: tuple[float, float] = (0.5, 2.0)
    mirror: bool = True
    rotation: float = 0.0
    quarter_turns: bool = False
    elastic: float = 0.0
    balanced_crops: float = 0.0
    copy_paste: float = 0.0
    contrast: float = 0.3
    brightness: float = 30.0
    saturation: float = 0.4
    gamma: float = 1.3

    def __post_init__(self) -> None:
        for name in ("balanced_crops", "copy_paste"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)}: expected a share, 0 to 1")


def augment(
    image: Uint8,
    label_map: Uint8,
    spec: InputSpec,
    crop: tuple[int, int],
    options: Augmentation,
    random: np.random.Generator,
    num_classes: int = OUTSIDE,
) -> tuple[Uint8, Uint8]:
    """Varies an image and its label map alike.

    Scale, crop, mirror and turn are one affine map, bent if asked for, so every pixel is interpolated once.

    Args:
        image: (H, W, 3) uint8, blue-green-red; (H, W, channels) for a network of the order "as_is".
        label_map: (H, W) uint8 ids.
        spec: The network's input: scale 1 is the image as `fit` puts it there, its shape kept if letterboxed.
        crop: Rows and columns of the result.
        options: How strongly to vary.
        random: Source of all randomness.
        num_classes: Ids from here on are no class, so that no crop is laid around them.

    Returns:
        (crop rows, columns, channels) uint8 in the input's order, and (rows, columns) uint8 ids, `OUTSIDE` where the
        image ends.
    """
    rows, columns = crop
    low, high = np.log(options.scale)
    zoom = float(np.exp(random.uniform(low, high)))
    fitted_rows, fitted_columns = content_size(image.shape[0], image.shape[1], spec)
    scale_y, scale_x = zoom * fitted_rows / image.shape[0], zoom * fitted_columns / image.shape[1]
    offset_y = _offset(image.shape[0] * scale_y, rows, random)
    offset_x = _offset(image.shape[1] * scale_x, columns, random)
    if options.balanced_crops and random.random() < options.balanced_crops:
        row, column = drawn_pixel(label_map, num_classes, random)
        offset_y = _around(row * scale_y, image.shape[0] * scale_y, rows, random)
        offset_x = _around(column * scale_x, image.shape[1] * scale_x, columns, random)
    # From a crop pixel's centre to the image's, both counted from the first pixel's centre.
    inverse = np.array(
        [
            [1 / scale_x, 0, (offset_x + 0.5) / scale_x - 0.5],
            [0, 1 / scale_y, (offset_y + 0.5) / scale_y - 0.5],
        ]
    )
    if options.mirror and random.random() < 0.5:
        inverse[0] = [-inverse[0, 0], 0, inverse[0, 2] + (columns - 1) * inverse[0, 0]]
    if options.rotation or options.quarter_turns:
        inverse = inverse @ random_rotation(crop, options, random)
    shift = random_elastic_shift(crop, options.elastic, random) if options.elastic else None
    varied = _warped(image, inverse, shift, crop, spec)
    moved = _moved(label_map, inverse, shift, crop, cv2.INTER_NEAREST, (OUTSIDE,))
    if spec.order in ("rgb", "bgr"):
        rgb = cv2.cvtColor(varied, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
        coloured = vary_colour(rgb, options, random)
        return coloured if spec.order == "rgb" else np.ascontiguousarray(coloured[:, :, ::-1]), moved
    pixels = ordered(varied, spec).reshape(rows, columns, spec.channels)
    return vary_levels(pixels, options, random), moved


def random_rotation(
    crop: tuple[int, int], options: Augmentation, random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Draws a rotation about a crop's centre; returns it as a (3, 3) map of pixels (column, row, 1)."""
    angle = np.radians(random.uniform(-options.rotation, options.rotation))
    if options.quarter_turns:
        angle += np.pi / 2 * random.integers(4)
    c, s, x, y = np.cos(angle), np.sin(angle), (crop[1] - 1) / 2, (crop[0] - 1) / 2
    return np.array([[c, -s, x - c * x + s * y], [s, c, y - s * x - c * y], [0, 0, 1]])


def random_elastic_shift(crop: tuple[int, int], strength: float, random: np.random.Generator) -> Float32:
    """Draws how far each pixel of a crop is moved: (2, rows, columns), along columns and along rows."""
    rows, columns = crop
    coarse = random.normal(0, strength, (2, 3, 3)).astype(np.float32)
    return np.stack([cv2.resize(part, (columns, rows), interpolation=cv2.INTER_CUBIC) for part in coarse])


def _warped(
    image: Uint8, inverse: npt.NDArray[np.float64], shift: Float32 | None, crop: tuple[int, int], spec: InputSpec
) -> Uint8:
    """Moves an image; what lies outside of it is `padding`."""
    channels = image.shape[2]
    border = padding(spec) * (1 if spec.channels == channels else channels)
    parts = [  # OpenCV knows border values for four channels
        _moved(np.ascontiguousarray(image[:, :, n : n + 4]), inverse, shift, crop, cv2.INTER_LINEAR, border[n : n + 4])
        for n in range(0, channels, 4)
    ]
    return np.dstack(parts).astype(np.uint8, copy=False) if len(parts) > 1 else parts[0]


def _moved(
    image: Uint8,
    inverse: npt.NDArray[np.float64],
    shift: Float32 | None,
    crop: tuple[int, int],
    interpolation: int,
    border: Sequence[float],
) -> Uint8:
    """Takes each pixel of a crop from where an affine map, after a shift of each pixel, sends it in the image."""
    rows, columns = crop
    if shift is None:
        flags = cv2.WARP_INVERSE_MAP | interpolation
        return cv2.warpAffine(image, inverse, (columns, rows), flags=flags, borderValue=border).astype(
            np.uint8, copy=False
        )
    column = np.arange(columns, dtype=np.float32) + shift[0]
    row = np.arange(rows, dtype=np.float32)[:, None] + shift[1]
    x, y = ((a * column + b * row + c).astype(np.float32) for a, b, c in inverse)
    return cv2.remap(image, x, y, interpolation, borderMode=cv2.BORDER_CONSTANT, borderValue=border).astype(
        np.uint8, copy=False
    )


def _offset(size: float, crop: int, random: np.random.Generator) -> float:
    """Draws where the crop starts: inside the image, or with the image inside it."""
    free = size - crop
    return float(random.uniform(min(0.0, free), max(0.0, free)))


def _around(aim: float, size: float, crop: int, random: np.random.Generator) -> float:
    """Draws where a crop starts that holds a place `aim` of the image: inside the image as far as that goes."""
    low, high = min(0.0, size - crop), max(0.0, size - crop)
    return float(np.clip(random.uniform(aim - crop + 1, aim), low, high))


def drawn_pixel(label_map: Uint8, num_classes: int, random: np.random.Generator) -> tuple[float, float]:
    """Draws a pixel whose class is drawn evenly from those in the label map; returns its row and column.

    So a class is met as often as any other, however small it is (class-aware sampling, inside an image:
    Shen, Lin, Huang, "Relay Backpropagation for Effective Learning of Deep Convolutional Neural Networks", ECCV 2016).
    Any pixel if the label map knows no class.
    """
    counts = np.bincount(label_map.ravel(), minlength=num_classes)[:num_classes]
    present = np.flatnonzero(counts)
    if not present.size:
        return float(random.uniform(0, label_map.shape[0])), float(random.uniform(0, label_map.shape[1]))
    wanted = present[random.integers(present.size)]
    place = int(np.flatnonzero(label_map == wanted)[random.integers(counts[wanted])])
    row, column = divmod(place, label_map.shape[1])
    return float(row), float(column)


def paste(
    onto: tuple[Uint8, Uint8], other: tuple[Uint8, Uint8], num_classes: int, random: np.random.Generator
) -> tuple[Uint8, Uint8]:
    """Copies what one small class of a crop covers onto another crop, label and all.

    Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation", CVPR 2021,
    section 3, for label maps without instances. Things in the foreground are small; what covers more than
    `SMALL_SHARE` is background and stays where it is.

    Args:
        onto: The crop to be changed: pixels (rows, columns, channels) and ids (rows, columns).
        other: A crop of the same shape to copy from.
        num_classes: Ids from here on are no class, and are never copied.
        random: Draws the class.

    Returns:
        Pixels and ids; `onto` itself where `other` has no small class.
    """
    counts = np.bincount(other[1].ravel(), minlength=num_classes)[:num_classes]
    small = np.flatnonzero((counts > 0) & (counts <= SMALL_SHARE * other[1].size))
    if not small.size:
        return onto
    chosen = other[1] == small[random.integers(small.size)]
    return np.where(chosen[:, :, None], other[0], onto[0]), np.where(chosen, other[1], onto[1])


def vary_colour(rgb: Uint8, options: Augmentation, random: np.random.Generator) -> Uint8:
    """Changes saturation, contrast, colour balance, brightness and gamma of an RGB image."""
    saturation = 1 + random.uniform(-options.saturation, options.saturation)
    contrast = 1 + random.uniform(-options.contrast, options.contrast)
    gains = contrast * (1 + random.uniform(-options.contrast / 3, options.contrast / 3, 3))
    shift = random.uniform(-options.brightness, options.brightness)
    gamma = float(np.exp(random.uniform(-1, 1) * np.log(options.gamma)))
    grey = np.array([0.299, 0.587, 0.114])
    mixed = cv2.transform(rgb, saturation * np.eye(3) + (1 - saturation) * grey)
    return _with_levels(mixed.astype(np.uint8, copy=False), gains, shift, gamma)


def vary_levels(pixels: Uint8, options: Augmentation, random: np.random.Generator) -> Uint8:
    """Changes contrast, balance between channels, brightness and gamma of an image that is not RGB."""
    channels = pixels.shape[2]
    contrast = 1 + random.uniform(-options.contrast, options.contrast)
    balance = random.uniform(-options.contrast / 3, options.contrast / 3, channels) * (channels > 1)
    shift = random.uniform(-options.brightness, options.brightness)
    gamma = float(np.exp(random.uniform(-1, 1) * np.log(options.gamma)))
    return _with_levels(pixels, contrast * (1 + balance), shift, gamma).reshape(pixels.shape)


def _with_levels(pixels: Uint8, gains: npt.NDArray[np.float64], shift: float, gamma: float) -> Uint8:
    """Spreads each channel about 128 by its gain, shifts it, and bends it by `gamma`."""
    levels = np.arange(256.0)[:, None]
    table = np.clip((levels - 128) * gains + 128 + shift, 0, 255) / 255
    return cv2.LUT(pixels, np.round(255 * table**gamma).astype(np.uint8)[None]).astype(np.uint8, copy=False)
