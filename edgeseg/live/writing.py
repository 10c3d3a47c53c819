"""The output thread's work: rendering results and handing them to the outputs, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgeseg.live.capture import Loss
from edgeseg.live.inference import TICK, Inference
from edgeseg.live.outputs.group import OutputGroup
from edgeseg.live.overlay import Overlay
from edgeseg.live.packet import Handoff, Packet
from edgeseg.live.timing import StageTimes

_LINE_EVERY = 0.2  # nobody reads figures that change faster


class Writer:
    """Writes results.

    Args:
        results: Where they come from.
        inference: Finishes those whose label map is not made yet, and takes packets back.
        outputs: Where they go.
        overlay: Draws them.
        times: Where stage times go.
        loss: Tells how the source was lost, while it is.
        line: Makes the overlay's line of figures.

    Attributes:
        invalid: Results whose mask was no longer valid, because the source had been lost meanwhile.
    """

    def __init__(
        self,
        results: Handoff,
        inference: Inference,
        outputs: OutputGroup,
        *,
        overlay: Overlay,
        times: StageTimes,
        loss: Callable[[], Loss | None],
        line: Callable[[], str],
    ) -> None:
        self._results, self._inference, self._outputs = results, inference, outputs
        self._overlay, self._times, self._loss, self._line = overlay, times, loss, line
        self._shown_line, self._next_line = "", 0.0
        self.invalid = 0

    def write_all(self, stop: Callable[[str], None]) -> None:
        """Writes results until there are no more.

        Args:
            stop: Called with "window closed" when the user has closed an output.
        """
        while not self._results.finished:
            packet = self._results.get(TICK)
            if packet is not None:
                self._write(packet)
                if self._outputs.closed:
                    stop("window closed")

    def _write(self, packet: Packet) -> None:
        if packet.lane is not None:
            self._inference.finish(packet)
        loss = self._loss()
        if packet.valid and loss is not None:
            packet.valid, packet.reason, packet.label_map = False, loss.reason, None
            self.invalid += packet.image is not None
        self._render(packet)
        self._outputs.write(packet)
        if packet.valid:
            self._times.add(shown=time.monotonic() - packet.captured)
        if packet.image is not None:
            self._inference.recycle(packet)

    def _render(self, packet: Packet) -> None:
        if not self._outputs.wants_overlay:
            return
        if not packet.valid:
            packet.overlay = self._overlay.lost(f"NO IMAGE: {packet.reason}")
        elif packet.image is not None and packet.label_map is not None:
            start = time.monotonic()
            if start >= self._next_line:
                self._shown_line, self._next_line = self._line(), start + _LINE_EVERY
            packet.overlay = self._overlay.render(packet.image, packet.label_map, self._shown_line)
            self._times.add(render=time.monotonic() - start)
