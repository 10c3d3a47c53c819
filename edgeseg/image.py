"""Pictures and label maps: reading, resizing, normalising. The one preprocessing path of the whole project.

Training, calibration, evaluation and live frames all go through `fit` and `normalise`, so what a network sees on the
device is what it saw in training. Pictures are uint8 (H, W, 3) in OpenCV's channel order, blue first, exactly as a
camera delivers them; `fit` turns them into RGB after the resize, where there are fewest pixels to swap.
"""

from __future__ import annotations

import os
import warnings
import zlib
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from edgeseg.card import InputSpec, LabelSet
from edgeseg.errors import DataError, OutputError, UsageError
from edgeseg.files import replacing

Uint8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg", ".webp"})

T = TypeVar("T", bound=npt.NDArray[Any])


def check_picture(image: Any, name: str = "picture") -> None:
    """Refuses what is no picture.

    Args:
        image: What is expected to be (H, W, 3) uint8, at least one pixel.
        name: What the message calls it.

    Raises:
        UsageError: It is something else; the message says what, and how to make a picture of it.
    """
    if not isinstance(image, np.ndarray):
        raise UsageError(f"the {name} is {type(image).__name__}: expected (height, width, 3) uint8, blue-green-red")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise UsageError(
            f"the {name} is {image.dtype} of shape {image.shape}: expected (height, width, 3) uint8, "
            f"blue-green-red{_picture_remedy(image)}"
        )


def _picture_remedy(image: npt.NDArray[Any]) -> str:
    if image.dtype != np.uint8:
        return ", values 0-255"
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    conversion = {1: "GRAY2BGR", 4: "BGRA2BGR"}.get(channels)
    return f"; cv2.cvtColor(image, cv2.COLOR_{conversion}) makes one" if conversion and image.size else ""


def check_label_map(label_map: Any, name: str = "label map") -> None:
    """Refuses what is no label map: (H, W) uint8 class ids, at least one pixel.

    Raises:
        UsageError: It is something else.
    """
    if not isinstance(label_map, np.ndarray):
        raise UsageError(f"the {name} is {type(label_map).__name__}: expected (height, width) uint8 class ids")
    if label_map.dtype != np.uint8 or label_map.ndim != 2 or not label_map.size:
        raise UsageError(
            f"the {name} is {label_map.dtype} of shape {label_map.shape}: expected (height, width) uint8 class ids"
        )


def check_size(height: int, width: int) -> None:
    """Refuses a size that no picture has.

    Raises:
        UsageError: A side is not a number of pixels from 1 up.
    """
    for side in (height, width):
        if not isinstance(side, int | np.integer) or side < 1:
            raise UsageError(f"size {height} x {width}: expected height and width, whole numbers of 1 and more")


def filled(out: T, written: Any) -> T:
    """Returns `out` after making certain that OpenCV wrote its result there.

    Given a `dst` of another shape or type than the result's, OpenCV makes a new array and leaves `dst` as it was.

    Args:
        out: What was given as `dst`.
        written: What OpenCV returned.

    Raises:
        UsageError: They are not the same array.
    """
    if written is not out:
        raise UsageError(
            f"the result is {written.dtype} of shape {written.shape}, "
            f"it was to go into {out.dtype} of shape {out.shape}: expected the same"
        )
    return out


def read_image(path: str | os.PathLike[str]) -> Uint8:
    """Reads a picture.

    Args:
        path: A JPEG, PNG, BMP, WebP, TIFF or PPM file. A JPEG's EXIF rotation is applied; of 16 bits the upper 8 are
            taken; grey becomes three equal channels; transparency is dropped.

    Returns:
        (H, W, 3) uint8, blue-green-red.

    Raises:
        DataError: The file is missing, cut off, or not a picture.
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
        DataError: The file is missing, is not a picture, or holds colours.
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
    """Writes a picture (H, W, 3, blue-green-red) or a label map (H, W) atomically; the suffix names the format.

    Raises:
        OutputError: It cannot be written, the suffix names no picture format, or one that would change a label map's
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
        raise OutputError(f"cannot write {path}: no picture is {image.dtype} of shape {image.shape}")
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

    Raises:
        UsageError: `image` is no picture, or `out` has another shape or type than the result, or is not contiguous.
    """
    check_picture(image)
    if out is None:
        out = np.empty((spec.height, spec.width, 3), np.uint8)
    elif out.shape != (spec.height, spec.width, 3) or out.dtype != np.uint8 or not out.flags.c_contiguous:
        raise UsageError(f"out is {out.dtype} {out.shape}: expected contiguous uint8 {spec.height}x{spec.width}x3")
    height, width = content_size(image.shape[0], image.shape[1], spec)
    if (height, width) != (spec.height, spec.width):
        out[:] = min(255, max(0, round(spec.mean)))
        content = out[:height, :width]
        content[:] = cv2.cvtColor(cv2.resize(image, (width, height)), cv2.COLOR_BGR2RGB)
        return out
    if image.shape[:2] != (height, width):
        filled(out, cv2.resize(image, (width, height), dst=out, interpolation=cv2.INTER_LINEAR))
        return filled(out, cv2.cvtColor(out, cv2.COLOR_BGR2RGB, dst=out))
    return filled(out, cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=out))


def content_size(height: int, width: int, spec: InputSpec) -> tuple[int, int]:
    """Returns (rows, columns) of the input that a picture of height x width covers, from the top left corner."""
    check_size(height, width)
    if spec.resize == "stretch":
        return spec.height, spec.width
    scale = min(spec.height / height, spec.width / width)
    return min(spec.height, max(1, round(height * scale))), min(spec.width, max(1, round(width * scale)))


def normalise(rgb: npt.NDArray[Any], spec: InputSpec, out: Float32 | None = None) -> Float32:
    """Returns (rgb - mean) / std as float32: what a float network takes. Any leading shape; into `out` if given.

    Raises:
        UsageError: `out` is not float32 of the same shape.
    """
    if out is not None and (out.shape != rgb.shape or out.dtype != np.float32):
        raise UsageError(f"out is {out.dtype} {out.shape}: expected float32 {rgb.shape}")
    result: Float32 = np.subtract(rgb, np.float32(spec.mean), out=out, dtype=np.float32)
    result *= np.float32(1.0 / spec.std)
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
