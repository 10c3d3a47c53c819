"""USB and other V4L2 cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2

from edgeseg.arrays import Uint8
from edgeseg.errors import SourceError
from edgeseg.host import video_devices
from edgeseg.live.sources.opencv import driver_stamp, now, open_capture


class CameraSource:
    """A V4L2 camera; see `Source`.

    MJPG is asked for first: over USB 2 it is the only format that gives 30 frames a second in HD. Cameras that do not
    have it keep their own.

    Args:
        what: Its number or /dev/videoN.
        size: (rows, columns) to ask for; the driver takes the nearest it has. None leaves the driver's default.
        fps: Frames per second to ask for.

    Raises:
        SourceError: There is no such camera, or it cannot be opened.
    """

    live = True

    def __init__(self, what: str, size: tuple[int, int] | None = None, fps: float | None = None) -> None:
        device = Path(f"/dev/video{what}" if what.isdecimal() else what)
        self.name = str(device)
        if not device.exists():
            cameras = [f"{path} ({name})" if name else str(path) for path, name in video_devices()]
            known = f"cameras here: {', '.join(cameras)}" if cameras else "this machine has no /dev/video*"
            raise SourceError(f"no camera {device}; {known}")
        asked = [cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")]
        if size is not None:
            asked += [cv2.CAP_PROP_FRAME_HEIGHT, size[0], cv2.CAP_PROP_FRAME_WIDTH, size[1]]
        if fps is not None:
            asked += [cv2.CAP_PROP_FPS, round(fps)]
        self._capture: Any = open_capture(str(device), cv2.CAP_V4L2)
        if self._capture is None:
            raise SourceError(f"cannot open camera {device}: in use, not a camera, or no permission (group video)?")
        for key, value in zip(asked[::2], asked[1::2], strict=True):
            self._capture.set(key, value)  # a camera without MJPG refuses it and goes on in its own format
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 2)
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps: float | None = rate if 0 < rate < 1000 else None

    def read(self, into: Uint8 | None) -> tuple[Uint8, float] | None:
        """Waits for a frame and decodes it; see `Source`."""
        if not self._capture.grab():
            raise SourceError(f"camera {self.name} gives no more frames: unplugged?")
        stamp = driver_stamp(self._capture, now())
        done, frame = self._capture.retrieve(into)
        if not done:
            raise SourceError(f"camera {self.name} gave a frame that cannot be decoded")
        return frame, stamp

    def frame_name(self) -> str:
        """Frames of a camera have numbers only."""
        return ""

    def close(self) -> None:
        """Closes the device."""
        self._capture.release()
