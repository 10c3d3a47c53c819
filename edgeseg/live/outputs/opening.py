"""From what the user asks for to open outputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeseg.card import LabelSet
from edgeseg.errors import UsageError
from edgeseg.files import check_apart
from edgeseg.live.free_space import CameraGeometry, FreeSpaceFinder
from edgeseg.live.outputs.base import Output, OutputContext, OutputKind
from edgeseg.live.sources import Source, source_files
from edgeseg.plugins import Registry

_HERE = "edgeseg.live.outputs"
_ROBOTS = ("mavlink", "events", "labels")
_PEOPLE = ("video", "overlays", "browser", "window")
OUTPUTS: Registry[OutputKind] = Registry(
    "output", "edgeseg.outputs", {name: f"{_HERE}.{name}:KIND" for name in (*_ROBOTS, *_PEOPLE)}, OutputKind
)
"""What `--output NAME:ARGUMENT` can name, each in the file of its name. Other packages add to it."""


_STRAIGHT_DOWN = 90.0


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Where results go, and what is told of them.

    Attributes:
        record: Video file for the overlay: output "video".
        save_labels: Folder for label maps: output "labels".
        save_overlays: Folder for overlays: output "overlays".
        events: File or udp://HOST:PORT for JSON lines.
        stats: JSON file for the run's figures, written at its end.
        serve: [HOST:]PORT of the browser view: output "browser".
        window: Whether to show a window.
        mavlink: Address of an autopilot.
        others: More outputs, each as NAME or NAME:ARGUMENT (see `OUTPUTS`).
        safe: Names of the classes that are free ground; empty if nobody asks for free ground.
        camera_height: Metres above the ground; needs `fov`.
        fov: Horizontal field of view, degrees.
        pitch: Degrees below the horizon; 90 looks straight down.
    """

    record: str | os.PathLike[str] | None = None
    save_labels: str | os.PathLike[str] | None = None
    save_overlays: str | os.PathLike[str] | None = None
    events: str | os.PathLike[str] | None = None
    stats: str | os.PathLike[str] | None = None
    serve: str | None = None
    window: bool = False
    mavlink: str | None = None
    others: tuple[str, ...] = ()
    safe: tuple[str, ...] = ()
    camera_height: float | None = None
    fov: float | None = None
    pitch: float = _STRAIGHT_DOWN

    def __post_init__(self) -> None:
        if (self.camera_height is None) != (self.fov is None):
            raise UsageError("--camera-height and --fov belong together: give both, or none for fractions of the frame")
        if not self.safe and (self.mavlink is not None or self.camera_height is not None):
            raise UsageError("--mavlink and --camera-height need --safe: name the classes that are free ground")
        if self.pitch != _STRAIGHT_DOWN and self.camera_height is None:
            raise UsageError("--pitch needs --camera-height and --fov: it turns pixels into metres together with them")
        if self.safe and not (self.mavlink is not None or self.events is not None or self.others):
            raise UsageError("--safe finds free ground for --events, --mavlink or an --output: give one of them")
        if self.mavlink is not None and self.camera_height is None:
            raise UsageError("--mavlink needs --camera-height and --fov: an autopilot wants metres")

    @property
    def wanted(self) -> tuple[tuple[str, str], ...]:
        """The outputs by name, each with its argument, in the order in which they get results: robots first."""
        named = (
            ("mavlink", self.mavlink), ("events", self.events), ("labels", self.save_labels),
            *((name, argument) for name, _, argument in (other.partition(":") for other in self.others)),
            ("video", self.record), ("overlays", self.save_overlays), ("browser", self.serve),
            ("window", "" if self.window else None),
        )  # fmt: skip
        return tuple((name, os.fspath(argument)) for name, argument in named if argument is not None)

    @property
    def drawn(self) -> bool:
        """Whether any of them may show the overlay."""
        return any(name not in _ROBOTS for name, _ in self.wanted)

    @property
    def geometry(self) -> CameraGeometry | None:
        """How the camera looks at the ground, if that is known."""
        if self.camera_height is None or self.fov is None:
            return None
        return CameraGeometry(height=self.camera_height, fov=self.fov, pitch=self.pitch)


def check_outputs(options: OutputOptions, source: str | None, inputs: Sequence[tuple[str, Path]]) -> None:
    """Proves that nothing would be written over what the run reads, nor two outputs over each other.

    Args:
        options: Where results go.
        source: What the user names as the source; None for one that reads no files.
        inputs: (what it is, path) of every other file that is read.

    Raises:
        OutputError: It would.
        SourceError: There is no such source.
        DataError: A folder or glob without images.
    """
    files = {"events": "events", "labels": "label maps", "overlays": "overlays", "video": "the recording"}
    outputs = [
        (files[name], Path(argument))
        for name, argument in options.wanted
        if name in files and not argument.startswith("udp:")
    ]
    if options.stats is not None:
        outputs.append(("the figures", Path(options.stats)))
    images = [] if source is None else source_files(source)
    check_apart(outputs, [*inputs, *(("what the source reads", path) for path in images)])
    if source is not None and not Path(source).is_file():  # they would be images of the next run
        folders = {parent for path in images for parent in (path.parent, path.resolve().parent)}
        taken = [("the folder of the source's images", path) for path in folders]
        for output in outputs:
            if output[0] in ("label maps", "overlays"):
                check_apart([output], taken)


def open_outputs(options: OutputOptions, classes: LabelSet, source: Source) -> list[Output]:
    """Opens outputs, in the order in which they get results: robots first, people last.

    Args:
        options: Which.
        classes: The classes.
        source: Where the frames come from.

    Raises:
        OutputError: One cannot be written.
        UsageError: An address or a class name is wrong.
    """
    kinds = [(OUTPUTS.find(name), argument) for name, argument in options.wanted]
    find = FreeSpaceFinder(classes, options.safe, options.geometry) if options.safe else None
    context = OutputContext(labels=classes, live=source.live, fps=source.fps, find=find, geometry=options.geometry)
    outputs: list[Output] = []
    try:
        for kind, argument in kinds:
            outputs.append(kind.open(argument, context))
    except BaseException:
        for output in outputs:
            output.close()
        raise
    return outputs
