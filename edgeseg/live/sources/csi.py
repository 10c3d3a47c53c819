"""CSI cameras: picamera2 on a Raspberry Pi, GStreamer's nvarguscamerasrc on a Jetson, and any GStreamer pipeline."""

from __future__ import annotations

import importlib
from typing import Any

import cv2
import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.errors import SourceError
from edgeseg.live.sources.opencv import now, open_capture

_DEFAULT_SIZE = (720, 1280)
_DEFAULT_FPS = 30.0


class PiCameraSource:
    """A Raspberry Pi CSI camera through picamera2; see `Source`.

    Args:
        number: Which camera.
        size: (rows, columns).
        fps: Frames per second.

    Raises:
        SourceError: picamera2 is missing, or the camera cannot be opened.
    """

    live = True

    def __init__(self, number: int, size: tuple[int, int] | None, fps: float | None) -> None:
        self.name = f"csi:{number}"
        try:
            picamera2 = importlib.import_module("picamera2")
        except Exception as error:  # built against another NumPy, it raises what it likes
            raise SourceError(
                f"camera {self.name} needs picamera2 ({str(error).splitlines()[0]}): sudo apt install "
                "python3-picamera2, and make the environment with --system-site-packages"
            ) from error
        rows, columns = size or _DEFAULT_SIZE
        self.fps: float | None = fps or _DEFAULT_FPS
        try:
            self._camera: Any = picamera2.Picamera2(number)
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={"size": (columns, rows), "format": "RGB888"},  # libcamera's name for blue-green-red bytes
                    controls={"FrameRate": self.fps},
                )
            )
            self._camera.start()
        except (RuntimeError, IndexError, OSError) as error:
            raise SourceError(f"cannot open camera {self.name}: {str(error).splitlines()[0]}") from error

    def read(self, into: Uint8 | None) -> tuple[Uint8, float] | None:
        """Waits for a frame; see `Source`. The sensor's own stamp is used."""
        try:
            request = self._camera.capture_request()
        except RuntimeError as error:
            raise SourceError(f"camera {self.name} gives no more frames") from error
        try:
            stamp = request.get_metadata().get("SensorTimestamp", 0) / 1e9
            frame = request.make_array("main")
        finally:
            request.release()
        if into is not None and into.shape == frame.shape:
            np.copyto(into, frame)
            frame = into
        return frame, stamp or now()

    def frame_name(self) -> str:
        """Frames of a camera have numbers only."""
        return ""

    def close(self) -> None:
        """Stops and closes the camera."""
        self._camera.stop()
        self._camera.close()


class GStreamerSource:
    """A GStreamer pipeline that ends in `appsink`; see `Source`."""

    live = True

    def __init__(self, capture: Any, name: str) -> None:
        self.name = name
        self._capture = capture
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps: float | None = rate if 0 < rate < 1000 else None

    def read(self, into: Uint8 | None) -> tuple[Uint8, float] | None:
        """Waits for a frame; see `Source`."""
        if not self._capture.grab():
            raise SourceError(f"{self.name} gives no more frames")
        stamp = now()
        done, frame = self._capture.retrieve(into)
        if not done:
            raise SourceError(f"{self.name} gave a frame that cannot be converted: end it with BGR video")
        return frame, stamp

    def frame_name(self) -> str:
        """Frames of a pipeline have numbers only."""
        return ""

    def close(self) -> None:
        """Stops the pipeline."""
        self._capture.release()


def has_gstreamer() -> bool:
    """Whether this OpenCV was built with GStreamer."""
    return any(
        line.split(":")[0].strip() == "GStreamer" and "YES" in line for line in cv2.getBuildInformation().splitlines()
    )


def gstreamer_source(pipeline: str, name: str) -> GStreamerSource:
    """Opens a GStreamer pipeline.

    Raises:
        SourceError: OpenCV lacks GStreamer, or the pipeline does not run.
    """
    if not has_gstreamer():
        raise SourceError(
            f"{name} needs an OpenCV with GStreamer, which pip's has not: use the system's (python3-opencv, or "
            "JetPack's) in an environment with --system-site-packages and without opencv-python-headless"
        )
    capture = open_capture(pipeline, cv2.CAP_GSTREAMER)
    if capture is None:
        raise SourceError(f"{name} does not run: try it with gst-launch-1.0; it must end in ' ! appsink drop=true'")
    return GStreamerSource(capture, name)


def jetson_pipeline(number: int, size: tuple[int, int] | None, fps: float | None) -> str:
    """Returns the GStreamer pipeline for a Jetson's CSI camera, which keeps the newest frame only.

    Args:
        number: The sensor's number.
        size: (rows, columns).
        fps: Frames per second.
    """
    rows, columns = size or _DEFAULT_SIZE
    return (
        f"nvarguscamerasrc sensor-id={number} ! "
        f"video/x-raw(memory:NVMM), width={columns}, height={rows}, framerate={round(fps or _DEFAULT_FPS)}/1 ! "
        "nvvidconv ! video/x-raw, format=BGRx ! videoconvert ! video/x-raw, format=BGR ! "
        "appsink drop=true max-buffers=1 sync=false"
    )
