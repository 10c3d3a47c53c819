"""Images from a file, a folder or a glob, in the order of their names."""

from __future__ import annotations

import glob
import time
from pathlib import Path

from edgeseg.arrays import Uint8
from edgeseg.errors import DataError, SourceError
from edgeseg.image import IMAGE_SUFFIXES, read_image


class ImageSource:
    """Images; see `Source`.

    Args:
        what: An image, a folder (its images, not those of folders in it) or a glob.

    Raises:
        SourceError: No such file.
        DataError: No image in the folder or glob.
    """

    live = False
    fps: float | None = None

    def __init__(self, what: str) -> None:
        self.name = what
        self.paths = image_paths(what)
        self._next = 0

    def read(self, into: Uint8 | None) -> tuple[Uint8, float] | None:
        """Reads the next image; see `Source`."""
        del into
        if self._next == len(self.paths):
            return None
        self._next += 1
        image = read_image(self.paths[self._next - 1])
        return image, time.monotonic()

    def frame_name(self) -> str:
        """The image's file name without its suffix."""
        return self.paths[self._next - 1].stem

    def close(self) -> None:
        """Nothing is held open."""


def image_paths(what: str) -> list[Path]:
    """Returns the images that a name means, sorted: an image, those of a folder, those that a glob finds.

    Raises:
        SourceError: No such file.
        DataError: No image in the folder or glob.
    """
    path = Path(what)
    if path.is_dir():
        paths = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    elif path.exists():
        paths = [path]
    else:
        paths = sorted(map(Path, glob.glob(what, recursive=True)))
        if not paths and not any(mark in what for mark in "*?["):
            raise SourceError(f"source {what}: no such file")
    if not paths:
        raise DataError(f"source {what} holds no images: expected files ending in .jpg, .png, .bmp, ...")
    return paths
