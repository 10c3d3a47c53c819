"""What is surveyed: an image of which rows are read one after the other, and an image file read as a whole."""

from __future__ import annotations

import os
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8
from edgeseg.image import read_image
from edgeseg.surveying.ground import Ground

Valid = npt.NDArray[np.bool_]


class Raster(Protocol):
    """An image whose rows are read from the top to the bottom, each once.

    Attributes:
        height: Rows.
        width: Columns.
        ground: Where on the ground it lies.
    """

    height: int
    width: int
    ground: Ground

    def read(self, top: int, bottom: int) -> tuple[Uint8, Valid]:
        """Reads rows.

        Returns:
            (bottom - top, width, channels) uint8, of three channels blue-green-red; and (bottom - top, width), whether
            there is data.

        Raises:
            DataError: The file is damaged there.
        """


class ImageRaster:
    """An image file that OpenCV decodes, as a whole; see `Raster`.

    Args:
        path: The file.
        ground: What a pixel measures, if that is known.

    Raises:
        DataError: It cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], ground: Ground) -> None:
        self._image = read_image(path)
        self.height, self.width = self._image.shape[:2]
        self.ground = ground

    def read(self, top: int, bottom: int) -> tuple[Uint8, Valid]:
        """See `Raster`."""
        rows = self._image[top:bottom]
        return rows, np.ones(rows.shape[:2], np.bool_)


class Rolling:
    """Rows of a raster, each read once and kept for as long as it is needed.

    Args:
        raster: What they are read from.
    """

    def __init__(self, raster: Raster) -> None:
        self._raster = raster
        self._top = self._bottom = 0
        self._image, self._valid = np.empty((0, 0, 0), np.uint8), np.empty((0, 0), np.bool_)

    def rows(self, top: int, bottom: int) -> tuple[Uint8, Valid]:
        """Returns rows as `Raster.read` does, none of them forgotten; views."""
        if bottom > self._bottom:
            image, valid = self._raster.read(self._bottom, bottom)
            kept = self._bottom > self._top
            self._image = np.concatenate([self._image, image]) if kept else image
            self._valid = np.concatenate([self._valid, valid]) if kept else valid
            self._bottom = bottom
        inside = slice(top - self._top, bottom - self._top)
        return self._image[inside], self._valid[inside]

    def forget(self, above: int) -> None:
        """Lets go of the rows above one."""
        self._image, self._valid = self._image[above - self._top :], self._valid[above - self._top :]
        self._top = above
