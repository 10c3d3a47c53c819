"""Opening OpenCV's captures without its log lines, and with time limits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2

from edgeseg.process import SharedSetting

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg's own lines: what matters becomes an error of ours


def _silence() -> Callable[[], None]:
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

    def put_back() -> None:
        cv2.utils.logging.setLogLevel(before)

    return put_back


_silent = SharedSetting(_silence)


def open_capture(what: str | int, backend: int, parameters: Sequence[int] = ()) -> Any:
    """Opens a `cv2.VideoCapture`.

    Args:
        what: File, URL, pipeline, device path or number.
        backend: One of cv2.CAP_*.
        parameters: cv2.CAP_PROP_* and value, alternating; set while opening.

    Returns:
        The capture, or None if it cannot be opened.
    """
    with _silent():
        try:
            capture = cv2.VideoCapture(what, backend, list(parameters))
        except cv2.error:
            return None
    if not capture.isOpened():
        capture.release()
        return None
    return capture


def driver_stamp(capture: Any, now: float) -> float:
    """Returns when the driver says that the last frame was captured, on `time.monotonic`'s clock.

    V4L2 stamps frames with the monotonic clock at the start or the end of exposure; other drivers and files give
    a position from 0. A value that is not of the last two seconds is no such stamp.

    Args:
        capture: The capture, after `grab`.
        now: `time.monotonic()`.
    """
    stamp = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
    return stamp if now - 2 < stamp <= now else now


def now() -> float:
    """The clock that stamps frames."""
    return time.monotonic()
