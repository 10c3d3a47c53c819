"""RTSP, HTTP and MJPEG streams."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import cv2

from edgeseg.arrays import Uint8
from edgeseg.errors import SourceError
from edgeseg.live.sources.opencv import now, open_capture

OPEN_SECONDS = 5
READ_SECONDS = 2


class StreamSource:
    """A network stream; see `Source`.

    Args:
        url: rtsp://, http://, ... RTSP goes over TCP unless OPENCV_FFMPEG_CAPTURE_OPTIONS says otherwise.

    Raises:
        SourceError: Nothing answers within `OPEN_SECONDS`, or it is no video.
    """

    live = True

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.name = url.replace(f"{parts.username}:{parts.password}@", "***@") if parts.password else url
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_SECONDS * 1000,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_SECONDS * 1000,
        ]  # fmt: skip
        self._capture: Any = open_capture(url, cv2.CAP_FFMPEG, limits)
        if self._capture is None:
            raise SourceError(f"cannot open stream {self.name}: is the server up, and the path right?")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps: float | None = rate if 0 < rate <= 240 else None  # MJPEG without a rate says 25 or 90000

    def read(self, into: Uint8 | None) -> tuple[Uint8, float] | None:
        """Waits for a frame; see `Source`. The stamp is when it arrived: what happened before is not known."""
        if not self._capture.grab():
            raise SourceError(f"stream {self.name} gives no more frames")
        stamp = now()
        done, frame = self._capture.retrieve(into)
        if not done:
            raise SourceError(f"stream {self.name} gave a frame that cannot be decoded")
        return frame, stamp

    def frame_name(self) -> str:
        """Frames of a stream have numbers only."""
        return ""

    def close(self) -> None:
        """Closes the connection."""
        self._capture.release()
