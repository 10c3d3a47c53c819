"""What every output can do, and how one is opened by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgeseg.card import LabelSet
from edgeseg.live.free_space import CameraGeometry, FreeSpaceFinder
from edgeseg.live.packet import Packet
from edgeseg.live.stats import RunStats

Event = dict[str, Any]
"""One line for programs: "event" names its kind, "t" is the time since the run began, in seconds."""


class Output:
    """Takes results, all on one thread. A subclass says what it does with them in `write`; the rest may stay.

    Attributes:
        name: What messages call it.
        announcement: A line for people, such as the address where it can be seen; "" for none.
        closed: Whether the user has closed it: that ends the run.
    """

    name = "output"
    announcement = ""
    closed = False

    @property
    def wants_overlay(self) -> bool:
        """Whether `packet.overlay` must be rendered for it now."""
        return False

    def begin(self, figures: Callable[[], RunStats]) -> None:
        """Called once, before the first result.

        Args:
            figures: Gives the run's figures so far; from any thread.
        """

    def write(self, packet: Packet) -> None:
        """Takes a result; it may keep nothing of the packet, whose buffers are used again.

        Raises:
            OutputError: It cannot go on; the run does, without it.
        """
        raise NotImplementedError

    def event(self, event: Event) -> None:
        """Takes an event. From any thread."""

    def close(self) -> None:
        """Finishes what was written."""


@dataclass(frozen=True, kw_only=True)
class OutputContext:
    """What an output may want to know of the run when it is opened.

    Attributes:
        labels: The classes.
        live: Whether frames come by themselves.
        fps: The source's nominal frames per second; None if there is no rate.
        find: Finds what is free ground in a result; None if nobody named classes that are.
        geometry: How the camera looks at the ground, if that is known.
    """

    labels: LabelSet
    live: bool
    fps: float | None = None
    find: FreeSpaceFinder | None = None
    geometry: CameraGeometry | None = None


@dataclass(frozen=True, kw_only=True)
class OutputKind:
    """An output that can be asked for by name: `--output NAME:ARGUMENT`.

    Attributes:
        open: Opens one; raises `UsageError` for an argument that is none, `OutputError` where it cannot be written.
        argument: What the argument is, for people ("FILE", "HOST:PORT").
    """

    open: Callable[[str, OutputContext], Output]
    argument: str
