"""What every output can do."""

from __future__ import annotations

from typing import Any, Protocol

from edgeseg.live.packet import Packet

Event = dict[str, Any]
"""One line for programs: "event" names its kind, "t" is the time since the run began, in seconds."""


class Output(Protocol):
    """Takes results, all on one thread.

    Attributes:
        name: What messages call it.
        wants_overlay: Whether `packet.overlay` must be rendered for it.
    """

    name: str

    @property
    def wants_overlay(self) -> bool:
        """Whether the overlay is needed now."""

    def write(self, packet: Packet) -> None:
        """Takes a result; it may keep nothing of the packet, whose buffers are used again.

        Raises:
            OutputError: It cannot go on; the run does, without it.
        """

    def event(self, event: Event) -> None:
        """Takes an event. From any thread."""

    def close(self) -> None:
        """Finishes what was written."""
