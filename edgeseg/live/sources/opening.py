"""From what the user names to an open source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgeseg.errors import SourceError, UsageError
from edgeseg.image import IMAGE_SUFFIXES
from edgeseg.live.sources.base import Source
from edgeseg.live.sources.camera import CameraSource
from edgeseg.live.sources.csi import PiCameraSource, gstreamer_source, jetson_pipeline
from edgeseg.live.sources.images import ImageSource, image_paths
from edgeseg.live.sources.raw import RawSource
from edgeseg.live.sources.stream import StreamSource
from edgeseg.live.sources.video import VideoSource


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """What is asked of a source.

    Attributes:
        size: (rows, columns) to ask a camera for, and of raw frames.
        fps: Frames per second to ask a camera for.
        realtime: Whether a video plays at its own speed, late frames left out.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None
    realtime: bool = False


_TAKES = {"camera": ("size", "fps"), "csi": ("size", "fps"), "raw": ("size", "fps"), "video": ("realtime",)}
"""What each kind of source can be asked for; the others for nothing."""
_ASKED = {
    "size": "--size asks a camera for a frame size, or tells that of raw frames",
    "fps": "--fps asks a camera for a frame rate, or tells that of raw frames",
    "realtime": "--realtime plays a video at its own speed",
}


def check_source_options(what: str, options: SourceOptions) -> None:
    """Refuses what a source cannot be asked for.

    Raises:
        SourceError: No such file.
        UsageError: It cannot.
    """
    kind = describe_source(what)
    for name, meaning in _ASKED.items():
        if getattr(options, name) not in (None, False) and name not in _TAKES.get(kind, ()):
            kinds = {"images": "images", "gstreamer": "a pipeline", "stream": "a stream", "csi": "a camera"}
            raise UsageError(f"{meaning}; {what} is {kinds.get(kind, f'a {kind}')}: leave it out")


def open_source(what: str, options: SourceOptions | None = None) -> Source:
    """Opens a source.

    Args:
        what: A camera's number or /dev/videoN; "csi" or "csi:N" (Raspberry Pi, Jetson); a GStreamer pipeline; an rtsp,
            rtmp, http or https URL; "-" for raw frames on stdin; a video; an image, or a folder or glob of them.
        options: See the class.

    Raises:
        SourceError: It is missing or cannot be opened.
        DataError: A folder or glob without images.
        UsageError: The options do not suit it.
    """
    options = options or SourceOptions()
    check_source_options(what, options)
    kind = describe_source(what)
    if kind == "camera":
        return CameraSource(what, options.size, options.fps)
    if kind == "csi":
        number = int(what.partition(":")[2] or 0)
        if Path("/dev/nvhost-ctrl").exists() or Path("/etc/nv_tegra_release").exists():
            return gstreamer_source(jetson_pipeline(number, options.size, options.fps), what)
        return PiCameraSource(number, options.size, options.fps)
    if kind == "gstreamer":
        return gstreamer_source(what, "the GStreamer pipeline")
    if kind == "stream":
        return StreamSource(what)
    if kind == "raw":
        if options.size is None:
            raise UsageError("raw frames on stdin need their size: --size HEIGHTxWIDTH")
        return RawSource(options.size, options.fps)
    if kind == "images":
        return ImageSource(what)
    return VideoSource(what, realtime=options.realtime)


def describe_source(what: str) -> str:
    """Tells what kind of source a name means, without opening it.

    Returns:
        "camera", "csi", "gstreamer", "stream", "raw", "images" or "video".

    Raises:
        SourceError: No such file.
    """
    if what.isdecimal() or re.fullmatch(r"/dev/video\d+", what):
        return "camera"
    if re.fullmatch(r"csi(:\d+)?", what):
        return "csi"
    if " ! " in what:
        return "gstreamer"
    if re.match(r"(rtsps?|rtmp|https?|udp|tcp)://", what):
        return "stream"
    if what == "-":
        return "raw"
    path = Path(what)
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES or any(mark in what for mark in "*?["):
        return "images"
    if not path.exists():
        raise SourceError(
            f"source {what}: no such file; expected a camera number, a video, an image, a folder or a URL"
        )
    return "video"


def source_files(what: str) -> list[Path]:
    """Returns the files that a source reads; none of a camera, a stream or stdin.

    Raises:
        SourceError: No such file.
        DataError: A folder or glob without images.
    """
    kind = describe_source(what)
    return image_paths(what) if kind == "images" else [Path(what)] if kind == "video" else []
