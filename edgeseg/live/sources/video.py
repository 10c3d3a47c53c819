"""Video files, every frame or at their own speed."""

from __future__ import annotations

import time
from typing import Any

import cv2

from edgeseg.arrays import Uint8
from edgeseg.errors import SourceError
from edgeseg.live.sources.opencv import open_capture

_USUAL_FPS = 25.0


class VideoSource:
    """A video file; see `Source`.

    Args:
        path: The file.
        realtime: Play at the video's own speed, so that late frames are left out as a camera's would be.

    Raises:
        SourceError: It is not a video that OpenCV can read.
    """

    def __init__(self, path: str, *, realtime: bool = False) -> None:
        self.name = path
        self.live = realtime
        self._capture: Any = open_capture(path, cv2.CAP_FFMPEG)
        if self._capture is None:
            raise SourceError(f"source {path} cannot be read as a video: expected MP4, AVI, MKV, ... or an image")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps: float | None = rate if 0 < rate < 1000 else _USUAL_FPS
        self._start: float | None = None
        self._count = 0

    def read(self, into: Uint8 | None) -> tuple[Uint8, float] | None:
        """Decodes the next frame, waiting for its time with `realtime`; see `Source`."""
        done, frame = self._capture.read(into)
        if not done:
            return None
        now = time.monotonic()
        if self.live and self.fps:
            self._start = now if self._start is None else self._start
            due = self._start + self._count / self.fps
            if due > now:
                time.sleep(due - now)
            now = max(now, due)
        self._count += 1
        return frame, now

    def frame_name(self) -> str:
        """Frames of a video have numbers only."""
        return ""

    def close(self) -> None:
        """Closes the file."""
        self._capture.release()
