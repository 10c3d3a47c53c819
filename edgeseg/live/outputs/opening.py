"""From what the user asks for to open outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeseg.card import LabelSet
from edgeseg.errors import UsageError
from edgeseg.files import check_apart
from edgeseg.live.describe import FreeSpaceFinder, describe_mask
from edgeseg.live.free_space import CameraGeometry
from edgeseg.live.outputs.base import Output
from edgeseg.live.outputs.browser import BrowserView
from edgeseg.live.outputs.events import EventLines
from edgeseg.live.outputs.labels import LabelFolder
from edgeseg.live.outputs.mavlink import MavlinkOutput
from edgeseg.live.outputs.video import VideoRecording
from edgeseg.live.outputs.window import Window
from edgeseg.live.sources import Source, source_files


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Where results go, and what is told of them.

    Attributes:
        record: Video file for the overlay.
        save_labels: Folder for label maps.
        events: File or udp://HOST:PORT for JSON lines.
        stats: JSON file for the run's figures.
        serve: [HOST:]PORT of the browser view.
        window: Whether to show a window.
        mavlink: Address of an autopilot.
        safe: Names of the classes that are free ground; empty if nobody asks for free ground.
        camera_height: Metres above the ground; needs `fov`.
        fov: Horizontal field of view, degrees.
        pitch: Degrees below the horizon; 90 looks straight down.
    """

    record: Path | None = None
    save_labels: Path | None = None
    events: str | None = None
    stats: Path | None = None
    serve: str | None = None
    window: bool = False
    mavlink: str | None = None
    safe: tuple[str, ...] = ()
    camera_height: float | None = None
    fov: float | None = None
    pitch: float = 90.0

    def __post_init__(self) -> None:
        if (self.camera_height is None) != (self.fov is None):
            raise UsageError("--camera-height and --fov belong together: give both, or none for fractions of the frame")
        if not self.safe and (self.mavlink is not None or self.camera_height is not None):
            raise UsageError("--mavlink and --camera-height need --safe: name the classes that are free ground")
        if self.mavlink is not None and self.camera_height is None:
            raise UsageError("--mavlink needs --camera-height and --fov: an autopilot wants metres")

    @property
    def geometry(self) -> CameraGeometry | None:
        """How the camera looks at the ground, if that is known."""
        if self.camera_height is None or self.fov is None:
            return None
        return CameraGeometry(height=self.camera_height, fov=self.fov, pitch=self.pitch)


def check_outputs(options: OutputOptions, source: str, inputs: Sequence[tuple[str, Path]]) -> None:
    """Proves that nothing would be written over what the run reads, nor two outputs over each other.

    Args:
        options: Where results go.
        source: What the user names as the source.
        inputs: (what it is, path) of every other file that is read.

    Raises:
        OutputError: It would.
        SourceError: There is no such source.
        DataError: A folder or glob without pictures.
    """
    events = options.events if options.events is not None and not options.events.startswith("udp:") else None
    wanted = (
        ("the recording", options.record),
        ("events", None if events is None else Path(events)),
        ("the figures", options.stats),
        ("label maps", options.save_labels),
    )
    outputs = [(what, path) for what, path in wanted if path is not None]
    pictures = source_files(source)
    check_apart(outputs, [*inputs, *(("what the source reads", path) for path in pictures)])
    if options.save_labels is not None and not Path(source).is_file():  # they would be pictures of the next run
        folders = {parent for path in pictures for parent in (path.parent, path.resolve().parent)}
        check_apart(
            [("label maps", options.save_labels)], [("the folder of the source's pictures", path) for path in folders]
        )


def open_outputs(options: OutputOptions, labels: LabelSet, source: Source) -> list[Output]:
    """Opens outputs, in the order in which they get results: robots first, people last.

    Args:
        options: Which.
        labels: The classes.
        source: Where the frames come from.

    Raises:
        OutputError: One cannot be written.
        UsageError: An address or a class name is wrong.
    """
    geometry = options.geometry
    find = FreeSpaceFinder(labels, options.safe, geometry) if options.safe else None
    outputs: list[Output] = []
    try:
        if options.mavlink is not None and find is not None and geometry is not None:
            outputs.append(MavlinkOutput(options.mavlink, find, geometry))
        if options.events is not None:
            outputs.append(EventLines(options.events, lambda packet: describe_mask(packet, labels, find)))
        if options.save_labels is not None:
            outputs.append(LabelFolder(options.save_labels))
        if options.record is not None:
            outputs.append(VideoRecording(options.record, fps=source.fps, live=source.live))
        if options.serve is not None:
            outputs.append(BrowserView(options.serve, labels))
        if options.window:
            outputs.append(Window())
    except BaseException:
        for output in outputs:
            output.close()
        raise
    return outputs
