"""The outputs of a run as one: each gets every result, and one that fails is left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from edgeseg.errors import OutputError
from edgeseg.live.outputs.base import Event, Output
from edgeseg.live.packet import Packet
from edgeseg.live.stats import RunStats


class OutputGroup:
    """Hands results and events to outputs.

    Args:
        outputs: In the order in which they get results.
        notify: Called with a line for people when one fails.

    Attributes:
        stopped: Why outputs were left out.
    """

    def __init__(self, outputs: Sequence[Output], notify: Callable[[str], None]) -> None:
        self._outputs = list(outputs)
        self._notify = notify
        self._begin = time.monotonic()
        self.stopped: list[str] = []

    @property
    def wants_overlay(self) -> bool:
        """Whether one needs the overlay now."""
        return any(output.wants_overlay for output in self._outputs)

    @property
    def closed(self) -> bool:
        """Whether the user has closed one, which ends the run."""
        return any(output.closed for output in self._outputs)

    def begin(self, figures: Callable[[], RunStats]) -> None:
        """Tells the outputs where figures come from; events count from now on."""
        self._begin = time.monotonic()
        for output in self._outputs:
            output.begin(figures)

    def write(self, packet: Packet) -> None:
        """Hands a result on. On the output thread."""
        for output in list(self._outputs):
            try:
                output.write(packet)
            except OutputError as error:
                self._leave_out(output, str(error))

    def event(self, event: Event) -> None:
        """Hands an event on, with the time since the run began. From any thread."""
        event = {"event": event["event"], "t": time.monotonic() - self._begin, **event}
        for output in list(self._outputs):
            output.event(event)

    def close(self) -> None:
        """Closes all that are left."""
        for output in self._outputs:
            output.close()

    def _leave_out(self, output: Output, reason: str) -> None:
        self._outputs.remove(output)
        self.stopped.append(reason)
        self._notify(f"{reason}; the run goes on without it")
        self.event({"event": "output_stopped", "output": output.name, "reason": reason})
        output.close()
