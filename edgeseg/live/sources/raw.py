"""Raw frames on standard input, as `ffmpeg -f rawvideo -pix_fmt bgr24 -` writes them."""

from __future__ import annotations

import io
import sys
import time
from typing import cast

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.errors import SourceError


class RawSource:
    """Frames of height x width x 3 bytes, blue-green-red; see `Source`.

    Args:
        size: (rows, columns).
        fps: Their rate, for recordings.
    """

    live = False
    name = "stdin"

    def __init__(self, size: tuple[int, int], fps: float | None = None) -> None:
        self.fps = fps
        self._shape = (*size, 3)
        self._stdin = cast(io.BufferedReader, sys.stdin.buffer)

    def read(self, into: Uint8 | None) -> tuple[Uint8, float] | None:
        """Reads one frame; see `Source`."""
        frame = into if into is not None and into.shape == self._shape else np.empty(self._shape, np.uint8)
        rest = memoryview(frame.data).cast("B")
        while rest:
            count = self._stdin.readinto(rest)
            if not count:
                if len(rest) == frame.nbytes:
                    return None
                raise SourceError(f"stdin ended inside a frame: expected {frame.nbytes} bytes each, --size fits?")
            rest = rest[count:]
        return frame, time.monotonic()

    def frame_name(self) -> str:
        """Raw frames have numbers only."""
        return ""

    def close(self) -> None:
        """Leaves stdin open: it is not ours."""
