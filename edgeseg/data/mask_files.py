"""Reading masks as people have them: ids, a palette, grey in three channels, or a colour for each class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from edgeseg.arrays import Uint8
from edgeseg.errors import DataError

Colour = tuple[int, int, int]
UNKNOWN = -1
"""What `colour_ids` gives for a colour that is in no table."""
GREYS: tuple[Colour, ...] = tuple((n, n, n) for n in range(256))
"""The colours of a mask that holds its ids in each of three channels."""


def read_mask(path: str | os.PathLike[str], *, palette_colours: bool = False) -> Uint8:
    """Reads a mask.

    Args:
        path: A PNG, BMP, TIFF or GIF.
        palette_colours: Whether a palette's colours are meant, not its indices.

    Returns:
        (H, W) ids, also of grey in three channels; or (H, W, 3) red-green-blue.

    Raises:
        DataError: It cannot be read, or holds numbers above 255.
    """
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # Pillow's, of odd metadata
            if image.mode in ("P", "1") and palette_colours:
                values = np.asarray(image.convert("RGB"))
            elif image.mode in ("L", "P", "1", "I", "I;16"):
                values = np.asarray(image)
            else:
                values = np.asarray(image.convert("RGB"))
    except OSError as error:
        told = "it is no image" if isinstance(error, UnidentifiedImageError) else error.strerror or str(error)
        raise DataError(f"cannot read mask {path}: {told}") from error
    except (Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise DataError(f"cannot read mask {path}: {error}") from error
    if values.dtype != np.uint8 and values.size and (values.min() < 0 or values.max() > 255):
        raise DataError(f"mask {path} holds ids up to {values.max()}: expected 0-255")
    values = values.astype(np.uint8)
    grey = values.ndim == 3 and bool((values == values[..., :1]).all())
    result: Uint8 = values[..., 0] if grey and not palette_colours else values
    return result


def colour_ids(mask: Uint8, colours: Sequence[Colour]) -> npt.NDArray[np.int16]:
    """Returns the index in `colours` of each pixel of a mask, `UNKNOWN` where there is none.

    Args:
        mask: (H, W, 3) red-green-blue, or (H, W) grey, which stands for three equal channels.
        colours: (red, green, blue) of each class, at most 256.
    """
    keys = np.array([red << 16 | green << 8 | blue for red, green, blue in colours], np.uint32)
    wide = mask.astype(np.uint32)
    packed = wide * 0x10101 if mask.ndim == 2 else wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    order = np.argsort(keys, kind="stable")
    at = np.minimum(np.searchsorted(keys[order], packed), len(keys) - 1)
    return np.where(keys[order][at] == packed, order[at], UNKNOWN).astype(np.int16)


def read_colour_map(path: str | os.PathLike[str], colours: Sequence[Colour]) -> Uint8:
    """Reads a mask of colours as ids.

    Raises:
        DataError: It cannot be read, or holds a colour that is none of `colours`.
    """
    mask = read_mask(path, palette_colours=True)
    ids = colour_ids(mask, colours)
    if (ids == UNKNOWN).any():
        row, column = (int(n[0]) for n in np.nonzero(ids == UNKNOWN))
        raise DataError(
            f"mask {path} holds the colour {mask[row, column].tolist()} at row {row}, column {column}: no class has it "
            "(`edgeseg data import` takes masks with soft edges)"
        )
    return ids.astype(np.uint8)


def has_channels(path: str | os.PathLike[str]) -> bool:
    """Whether a mask's file has several channels, be they grey or colours."""
    try:
        with Image.open(path) as image:
            return image.mode not in ("L", "P", "1", "I", "I;16")
    except (OSError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise DataError(f"cannot read mask {path}: {error}") from error
