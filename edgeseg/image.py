"""Pictures and label maps: reading, resizing, normalising. The one preprocessing path of the whole project.

Training, calibration, evaluation and live frames all go through `fit` and `normalise`, so what a network sees on the
device is what it saw in training. Pictures are uint8 (H, W, 3) in OpenCV's channel order, blue first, exactly as a
camera delivers them; `fit` turns them into RGB after the resize, where there are fewest pixels to swap.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from edgeseg.card import InputSpec, LabelSet
from edgeseg.errors import DataError, OutputError
from edgeseg.files import replacing

Uint8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})


def read_image(path: str | os.PathLike[str]) -> Uint8:
    """Reads a picture.

    Args:
        path: A JPEG, PNG, BMP, WebP, TIFF or PPM file. A JPEG's EXIF rotation is applied.

    Returns:
        (H, W, 3) uint8, blue-green-red.

    Raises:
        DataError: The file is missing, or is not a picture.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"cannot read image {path}: {error.strerror}") from error
    image = _decode(data)
    if image is None:
        raise DataError(f"{path} is not an image that can be read ({len(data)} bytes): expected JPEG, PNG, BMP or WebP")
    return image


def _decode(data: bytes) -> Uint8 | None:
    if not data:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else image.astype(np.uint8, copy=False)


def read_label_map(path: str | os.PathLike[str]) -> Uint8:
    """Reads a label map: one 8-bit class id per pixel.

    Palette images give their palette indices, not their colours.

    Args:
        path: A single-channel or palette PNG or BMP.

    Returns:
        (H, W) uint8 ids.

    Raises:
        DataError: The file is missing, is not a picture, or holds colours.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("L", "P", "1", "I", "I;16"):
                raise DataError(
                    f"label map {path} holds colours (mode {image.mode}): expected one channel of class ids, 0-255"
                )
            ids = np.asarray(image)
    except FileNotFoundError as error:
        raise DataError(f"cannot read label map {path}: no such file") from error
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise DataError(f"{path} is not a label map that can be read: expected a single-channel PNG") from error
    if ids.dtype != np.uint8 and ids.size and (ids.min() < 0 or ids.max() > 255):
        raise DataError(f"label map {path} holds ids up to {ids.max()}: expected 0-255")
    return ids.astype(np.uint8)


def write_image(path: str | os.PathLike[str], image: npt.NDArray[Any]) -> None:
    """Writes a picture (H, W, 3, blue-green-red) or a label map (H, W) atomically; the suffix names the format.

    Raises:
        OutputError: It cannot be written, or the suffix names no picture format.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise OutputError(f"cannot write {path}: expected a name that ends in .png or .jpg")
    done, data = cv2.imencode(suffix, image)
    if not done:
        raise OutputError(f"cannot encode {path} ({image.shape}, {image.dtype})")
    with replacing(path) as temporary:
        temporary.write_bytes(data.tobytes())


def fit(image: Uint8, spec: InputSpec, out: Uint8 | None = None) -> Uint8:
    """Resizes a picture to a network's input and turns it into RGB.

    Args:
        image: (H, W, 3) uint8, blue-green-red, any size.
        spec: The network's input.
        out: Where to put the result, such as the view of a uint8 input tensor; a new array if None.

    Returns:
        (spec.height, spec.width, 3) uint8 RGB, values 0-255; `out` if that was given.
    """
    if out is None:
        out = np.empty((spec.height, spec.width, 3), np.uint8)
    height, width = content_size(image.shape[0], image.shape[1], spec)
    if (height, width) != (spec.height, spec.width):
        out[:] = round(spec.mean)
        content = out[:height, :width]
        content[:] = cv2.cvtColor(cv2.resize(image, (width, height)), cv2.COLOR_BGR2RGB)
        return out
    if image.shape[:2] != (height, width):
        cv2.resize(image, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(out, cv2.COLOR_BGR2RGB, dst=out)
    else:
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=out)
    return out


def content_size(height: int, width: int, spec: InputSpec) -> tuple[int, int]:
    """Returns (rows, columns) of the input that a picture of height x width covers, from the top left corner."""
    if spec.resize == "stretch":
        return spec.height, spec.width
    scale = min(spec.height / height, spec.width / width)
    return min(spec.height, max(1, round(height * scale))), min(spec.width, max(1, round(width * scale)))


def normalise(rgb: npt.NDArray[Any], spec: InputSpec, out: Float32 | None = None) -> Float32:
    """Returns (rgb - mean) / std as float32: what a float network takes. Any leading shape; into `out` if given."""
    result: Float32 = np.subtract(rgb, np.float32(spec.mean), out=out, dtype=np.float32)
    result *= np.float32(1.0 / spec.std)
    return result


def resize_label_map(label_map: Uint8, height: int, width: int) -> Uint8:
    """Resizes a label map by nearest neighbour, sampling pixel centres."""
    if label_map.shape == (height, width):
        return label_map
    return cv2.resize(label_map, (width, height), interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8, copy=False)


def palette(labels: LabelSet) -> Uint8:
    """Returns a (256, 3) uint8 table from class id to colour, blue-green-red; ids without a class are black."""
    table = np.zeros((256, 3), np.uint8)
    table[: labels.num_classes] = np.array(labels.colors, np.uint8)[:, ::-1]
    return table


def colorize(label_map: Uint8, labels: LabelSet) -> Uint8:
    """Paints a label map: (H, W) ids to (H, W, 3) uint8, blue-green-red."""
    painted: Uint8 = palette(labels)[label_map]
    return painted
