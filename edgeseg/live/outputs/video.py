"""Recording the overlay as a video."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import cv2

from edgeseg.arrays import Uint8
from edgeseg.errors import OutputError
from edgeseg.files import ensure_folder
from edgeseg.live.outputs.base import Output, OutputContext, OutputKind
from edgeseg.live.packet import Packet

CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
RESERVE_BYTES = 16 << 20
"""The recording ends while so much of the disk is free: its index must still be written for it to be playable."""
_CHECK_EVERY = 8
_STILLS_FPS = 5.0
_REPEAT_SHARE = 0.3
"""Of the time between two images, so much may go into repeating the last one; where encoding is slower than that,
the recording runs short instead of holding up the run."""


class VideoRecording(Output):
    """Writes overlays to a video file.

    From a live source the recording keeps real time: a late frame is repeated, an early one left out. From files every
    frame is written once.

    Args:
        path: The file; its suffix picks format and codec (see `CODECS`).
        fps: Frames per second of the source; None for images.
        live: Whether the source is live.

    Raises:
        OutputError: The suffix is unknown, or the file cannot be written.
    """

    name = "recording"
    wants_overlay = True

    def __init__(self, path: str | os.PathLike[str], *, fps: float | None, live: bool) -> None:
        self._path = Path(path)
        codec = CODECS.get(self._path.suffix.lower())
        if codec is None:
            raise OutputError(f"cannot record to {path}: expected a name that ends in {', '.join(CODECS)}")
        if self._path.is_dir():
            raise OutputError(f"cannot record to {path}: it is a folder; name a file in it")
        ensure_folder(self._path.parent)
        self._fourcc = cv2.VideoWriter.fourcc(*codec)
        self._fps = min(fps or (30.0 if live else _STILLS_FPS), 60.0) if live else (fps or _STILLS_FPS)
        self._live = live
        self._try_out()
        self._writer: Any = None
        self._size = (0, 0)
        self._start = self._last = 0.0
        self._due = 0  # frames that real time asks for so far
        self._written = 0
        self._offered = 0

    def write(self, packet: Packet) -> None:
        """Writes one image; see `Output`."""
        if packet.overlay is None:
            return
        if self._writer is None:
            self._open(packet.overlay, packet.ready)
        self._offered += 1
        if self._offered % _CHECK_EVERY == 0 and shutil.disk_usage(self._path.parent).free < RESERVE_BYTES:
            raise OutputError(f"disk full: the recording {self._path} ends after {self._written} frames")
        image = packet.overlay
        if image.shape[:2] != self._size:
            image = cv2.resize(image, self._size[::-1]).astype(image.dtype, copy=False)
        slots = 1
        if self._live:
            due = int((packet.ready - self._start) * self._fps) + 1
            slots, self._due = due - self._due, due
        allowed = _REPEAT_SHARE * (packet.ready - self._last)
        started, self._last = time.monotonic(), packet.ready
        for repeat in range(slots):
            if repeat and time.monotonic() - started > allowed:
                break
            self._writer.write(image)
            self._written += 1

    def close(self) -> None:
        """Writes the file's index."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def _try_out(self) -> None:
        """Writes a small video beside the file: codec and folder must be good before the camera runs."""
        self._check_space()
        trial = self._path.with_name(f".{self._path.stem}-trial{self._path.suffix}")
        try:
            writer = cv2.VideoWriter(str(trial), cv2.CAP_FFMPEG, self._fourcc, self._fps, (64, 64))
            opened = writer.isOpened()
            writer.release()
        finally:
            trial.unlink(missing_ok=True)
        if not opened:
            raise OutputError(
                f"cannot record to {self._path}: this OpenCV cannot write {self._path.suffix} (no FFMPEG)"
            )

    def _check_space(self) -> None:
        free = shutil.disk_usage(self._path.parent).free
        if free < RESERVE_BYTES:
            raise OutputError(
                f"disk full: cannot record to {self._path}, {free >> 20} MB are free, expected {RESERVE_BYTES >> 20}"
            )

    def _open(self, image: Uint8, now: float) -> None:
        height, width = image.shape[:2]
        writer = cv2.VideoWriter(str(self._path), cv2.CAP_FFMPEG, self._fourcc, self._fps, (width, height))
        if not writer.isOpened():
            raise OutputError(f"cannot record to {self._path}: the file cannot be opened for writing")
        self._writer, self._size, self._start, self._last = writer, (height, width), now, now


def _open(path: str, context: OutputContext) -> Output:
    return VideoRecording(path, fps=context.fps, live=context.live)


KIND = OutputKind(open=_open, argument="FILE")
