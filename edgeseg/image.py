"""Images and label maps: reading, resizing, normalising. The one preprocessing path of the whole project.

Training, calibration, evaluation and live frames all go through `fit` and `normalise`, so what a network sees on the
device is what it saw in training. Images are uint8 (H, W, 3) in OpenCV's channel order, blue first, exactly as a
camera delivers them; `fit` brings the channels into the network's order after the resize, where there are fewest
pixels to swap.
"""

from __future__ import annotations

import os
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from edgeseg.arrays import CHANNELS, Float32, Uint8, check_image, check_label_map, check_size, filled
from edgeseg.card import InputSpec, LabelSet
from edgeseg.errors import DataError, OutputError, UsageError
from edgeseg.files import replacing

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg", ".webp"})


def read_image(path: str | os.PathLike[str]) -> Uint8:
    """Reads an image.

    Args:
        path: A JPEG, PNG, BMP, WebP, TIFF or PPM file. A JPEG's EXIF rotation is applied; of 16 bits the upper 8 are
            taken; grey becomes three equal channels; transparency is dropped.

    Returns:
        (H, W, 3) uint8, blue-green-red.

    Raises:
        DataError: The file is missing, cut off, or not an image.
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
    if not _is_whole(data):
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else image.astype(np.uint8, copy=False)


def _is_whole(data: bytes) -> bool:
    """Whether a JPEG or PNG file reaches its end undamaged, as far as its outer form tells.

    Some decoders paint the missing part of a cut-off JPEG grey and say nothing; others print to the terminal.
    """
    if data[:2] == b"\xff\xd8":  # in the coded data of a scan (SOS), 0xff is followed by 0: the next EOI is the end
        return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        start = 8
        while start + 12 <= len(data):
            body = start + 8 + int.from_bytes(data[start : start + 4], "big")
            kind = data[start + 4 : start + 8]
            if zlib.crc32(data[start + 4 : body]) != int.from_bytes(data[body : body + 4], "big"):
                return False
            if kind == b"IEND":
                return True
            start = body + 4
        return False
    return bool(data)


def read_label_map(path: str | os.PathLike[str]) -> Uint8:
    """Reads a label map: one 8-bit class id per pixel.

    Palette images give their palette indices, not their colours.

    Args:
        path: A single-channel or palette PNG or BMP, 8 bits deep, or 16 with ids up to 255.

    Returns:
        (H, W) uint8 ids.

    Raises:
        DataError: The file is missing, is not an image, or holds colours.
    """
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # Pillow's, of odd metadata
            if image.mode not in ("L", "P", "1", "I", "I;16"):
                raise DataError(
                    f"label map {path} holds colours (mode {image.mode}): expected one channel of class ids, 0-255"
                )
            ids = np.asarray(image)
    except FileNotFoundError as error:
        raise DataError(f"cannot read label map {path}: no such file") from error
    except (IsADirectoryError, PermissionError) as error:
        raise DataError(f"cannot read label map {path}: {error.strerror}") from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} is not a label map that can be read: expected a single-channel PNG") from error
    if ids.dtype != np.uint8 and ids.size and (ids.min() < 0 or ids.max() > 255):
        raise DataError(f"label map {path} holds ids up to {ids.max()}: expected 0-255")
    return ids.astype(np.uint8)


def write_image(path: str | os.PathLike[str], image: npt.NDArray[Any]) -> None:
    """Writes an image (H, W, 3, blue-green-red) or a label map (H, W) atomically; the suffix names the format.

    Raises:
        OutputError: It cannot be written, the suffix names no image format, or one that would change a label map's
            ids.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise OutputError(f"cannot write {path}: expected a name that ends in .png or .jpg")
    if image.ndim == 2 and suffix in LOSSY_SUFFIXES:
        raise OutputError(f"cannot write label map {path}: {suffix} would change its ids; use .png")
    try:
        fits = image.dtype == np.uint8 and image.ndim in (2, 3)  # OpenCV would turn other types into bytes as it likes
        done, data = cv2.imencode(suffix, image) if fits else (False, np.empty(0))
    except cv2.error:
        done = False
    if not done:
        raise OutputError(f"cannot write {path}: no image is {image.dtype} of shape {image.shape}")
    with replacing(path) as temporary:
        temporary.write_bytes(data.tobytes())


def fit(image: Uint8, spec: InputSpec, out: Uint8 | None = None) -> Uint8:
    """Resizes an image to a network's input and brings its channels into the input's order.

    Args:
        image: (H, W, 3) uint8, blue-green-red, any size. A network of the order "grey" also takes (H, W) and
            (H, W, 1), one of the order "as_is" (H, W, channels).
        spec: The network's input.
        out: Where to put the result, such as the view of a uint8 input tensor; a new array if None.

    Returns:
        (spec.height, spec.width, spec.channels) uint8, values 0-255; `out` if that was given.

    Raises:
        UsageError: `image` is no image that the network takes, or `out` has another shape or type than the result,
            or is not contiguous.
    """
    shape = (spec.height, spec.width, spec.channels)
    check_image(image, channels=CHANNELS.get(spec.order, (spec.channels,)))
    image = image[:, :, None] if image.ndim == 2 else image
    if out is None:
        out = np.empty(shape, np.uint8)
    elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
        raise UsageError(f"out is {out.dtype} {out.shape}: expected contiguous uint8 {'x'.join(map(str, shape))}")
    if spec.margin:
        inner = fit(image, replace(spec, height=spec.inner[0], width=spec.inner[1], margin=0))
        sides = (spec.margin,) * 4
        out[:] = cv2.copyMakeBorder(inner, *sides, cv2.BORDER_REFLECT_101).reshape(shape)
        return out
    height, width = content_size(image.shape[0], image.shape[1], spec)
    if (height, width) != (spec.height, spec.width):
        out[:] = padding(spec)
        resized = cv2.resize(image, (width, height)).astype(np.uint8, copy=False)
        out[:height, :width] = ordered(resized, spec).reshape(height, width, spec.channels)
        return out
    if image.shape[:2] != (height, width):
        if image.shape[2:] != shape[2:]:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
        else:
            image = filled(out, cv2.resize(image, (width, height), dst=out, interpolation=cv2.INTER_LINEAR))
    return filled(out, ordered(image, spec, out))


def ordered(image: Uint8, spec: InputSpec, out: Uint8 | None = None) -> Uint8:
    """Brings a blue-green-red image's channels into a network's order; one that has the network's is left as it is.

    Args:
        image: (H, W, 3) uint8, blue-green-red; (H, W, channels) for a network of the order "grey" or "as_is".
        spec: The network's input.
        out: Where to put the result, (H, W, channels) uint8; may be `image` itself.

    Returns:
        (H, W, channels) uint8; of a single channel (H, W) where OpenCV drops the last axis.
    """
    code = _CONVERSIONS.get(spec.order)
    if code is not None and image.shape[2:] == (3,):
        return cv2.cvtColor(image, code, dst=out).astype(np.uint8, copy=False)
    if out is not None and out is not image:
        np.copyto(out, image)
    return image if out is None else out


_CONVERSIONS = {"rgb": cv2.COLOR_BGR2RGB, "grey": cv2.COLOR_BGR2GRAY}


def padding(spec: InputSpec) -> tuple[int, ...]:
    """Returns the pixel value of each channel that normalises to nearest zero: what stands beside an image."""
    return tuple(min(255, max(0, round(mean))) for mean in spec.means)


def content_size(height: int, width: int, spec: InputSpec) -> tuple[int, int]:
    """Returns (rows, columns) of the input that an image of height x width covers, from the top left inner corner."""
    check_size(height, width)
    rows, columns = spec.inner
    if spec.resize == "stretch":
        return rows, columns
    scale = min(rows / height, columns / width)
    return min(rows, max(1, round(height * scale))), min(columns, max(1, round(width * scale)))


def normalise(pixels: npt.NDArray[Any], spec: InputSpec, out: Float32 | None = None) -> Float32:
    """Returns (pixels - mean) / std as float32: what a float network takes.

    Args:
        pixels: Any leading shape; with a mean or std for each channel, the channels come last.
        spec: The network's input.
        out: Where to put the result; a new array if None.

    Raises:
        UsageError: `out` is not float32 of the same shape.
    """
    if out is not None and (out.shape != pixels.shape or out.dtype != np.float32):
        raise UsageError(f"out is {out.dtype} {out.shape}: expected float32 {pixels.shape}")
    if isinstance(spec.mean, tuple) or isinstance(spec.std, tuple):
        if pixels.dtype == np.uint8 and pixels.ndim == 3 and (out is None or out.flags.c_contiguous):
            every = np.arange(256, dtype=np.float32)[:, None].repeat(spec.channels, 1)
            looked_up = cv2.LUT(pixels, _scaled(every, spec)[None], dst=out)  # five times faster than broadcasting
            return looked_up.astype(np.float32, copy=False) if out is None else filled(out, looked_up)
        return _scaled(pixels, spec, out)
    result: Float32 = np.subtract(pixels, np.float32(spec.mean), out=out, dtype=np.float32)
    result *= np.float32(1.0 / spec.std)
    return result


def _scaled(pixels: npt.NDArray[Any], spec: InputSpec, out: Float32 | None = None) -> Float32:
    result: Float32 = np.subtract(pixels, np.array(spec.means, np.float32), out=out, dtype=np.float32)
    result *= np.array([1.0 / std for std in spec.stds], np.float32)
    return result


def resize_label_map(label_map: Uint8, height: int, width: int) -> Uint8:
    """Resizes a label map by nearest neighbour, sampling pixel centres.

    Raises:
        UsageError: It is no (H, W) uint8 label map, or the size is none.
    """
    check_label_map(label_map)
    check_size(height, width)
    if label_map.shape == (height, width):
        return label_map
    return cv2.resize(label_map, (width, height), interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8, copy=False)


def palette(labels: LabelSet) -> Uint8:
    """Returns a (256, 3) uint8 table from class id to colour, blue-green-red; ids without a class are black."""
    table = np.zeros((256, 3), np.uint8)
    table[: labels.num_classes] = np.array(labels.colors, np.uint8)[:, ::-1]
    return table


def colorize(label_map: Uint8, labels: LabelSet) -> Uint8:
    """Paints a label map: (H, W) uint8 ids to (H, W, 3) uint8, blue-green-red.

    Raises:
        UsageError: It is no (H, W) uint8 label map.
    """
    check_label_map(label_map)
    painted: Uint8 = palette(labels)[label_map]
    return painted
