"""Writing label maps and overlays of a survey, rows as they come, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.image import write_image

WriteRows = Callable[[Uint8], None]
"""Takes the next rows, (rows, width) ids or (rows, width, 3) blue-green-red."""


@contextmanager
def image_writer(path: Path, shape: tuple[int, ...]) -> Iterator[WriteRows]:
    """Yields what takes the rows of an image or label map, which is written when all are there.

    Args:
        path: The file; its suffix names the format.
        shape: (height, width) or (height, width, 3).

    Raises:
        OutputError: It cannot be written.
    """
    canvas = np.zeros(shape, np.uint8)
    done = 0

    def write(rows: Uint8) -> None:
        nonlocal done
        canvas[done : done + len(rows)] = rows
        done += len(rows)

    yield write
    write_image(path, canvas)
