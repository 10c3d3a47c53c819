"""On an accelerator: one device, which may fail or hang, and is then replaced.

The inference thread loads, invokes and reads in turn. A call into a device that hangs cannot be stopped: its thread is
left behind, and another takes over, the frame that was under way included. Which of the two owns that frame is decided
under one lock, by whoever comes first: the call that returns, or the watch that gives it up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from edgeseg.arrays import Uint8
from edgeseg.errors import DelegateError
from edgeseg.live.inference import Inference, TakenOver, Wiring
from edgeseg.live.packet import Packet
from edgeseg.runtime.segmenter import Segmenter

HANG_SECONDS = 5.0
"""An accelerator that takes longer for one inference is taken for dead."""

Replace = Callable[[str], Segmenter]
"""From what happened to a Segmenter that works."""


@dataclass(frozen=True, kw_only=True)
class _Call:
    """A call into the device that has not returned: on which packet, and since when."""

    packet: Packet
    since: float


class OneDevice(Inference):
    """Turns captured packets into results on one device; see `Inference`.

    Args:
        segmenter: The network.
        replace: Replaces a Segmenter whose device failed; None lets the failure end the run.
        wiring: What it is connected to.
    """

    def __init__(self, segmenter: Segmenter, replace: Replace | None, wiring: Wiring) -> None:
        super().__init__(segmenter, wiring)
        self._replace = replace
        self._worker: threading.Thread | None = None  # with `_call`, under the lock
        self._call: _Call | None = None
        self._staging = threading.Lock()  # a Segmenter preprocesses for one thread at a time

    def start(self) -> None:
        """Starts the thread."""
        self._worker = self._new_thread(self._run)
        self._worker.start()

    def watch(self) -> None:
        """Notices a device that hangs, and lets another thread take over. Call it every few hundredths of a second."""
        with self._lock:
            call = self._call
            if self._replace is None or call is None or monotonic() - call.since <= HANG_SECONDS:
                return
            self._call = None
            self._worker = self._new_thread(lambda: self._take_over(call.packet))
        self._worker.start()

    def _take_over(self, packet: Packet) -> None:
        self._recover(f"no result for {HANG_SECONDS:.0f} s")
        self._work_on(packet)
        self._run()

    def _preprocess(self, packet: Packet, image: Uint8) -> None:
        segmenter = self.segmenter  # may be replaced meanwhile
        packet.staged_for = None
        if segmenter.fits(packet.tensor):
            with self._staging:
                segmenter.stage(image, packet.tensor)
            packet.staged_for = segmenter

    def _work_on(self, packet: Packet) -> None:
        while True:
            start = monotonic()
            self._load(packet)
            loaded = monotonic()
            try:
                self._invoke(packet, loaded)
                break
            except DelegateError as error:
                if self._replace is None:
                    raise
                self._recover(str(error))
        packet.invoke_s = monotonic() - loaded
        packet.preprocess_s += loaded - start
        self._invoked += 1
        self.finish(packet)
        self._deliver(packet)

    def _load(self, packet: Packet) -> None:
        """Puts a packet's frame into the input: as it was staged, if that was for this network."""
        segmenter, image = self.segmenter, packet.image
        assert image is not None
        if packet.staged_for is segmenter:
            segmenter.load(packet.tensor, (image.shape[0], image.shape[1]))
            return
        with self._staging:
            segmenter.prepare(image)
        if not segmenter.fits(packet.tensor):
            packet.tensor = segmenter.staging()

    def _invoke(self, packet: Packet, now: float) -> None:
        """Runs the network; from here to the end of the call the packet may be taken away."""
        with self._lock:
            self._call = _Call(packet=packet, since=now)
        try:
            self.segmenter.invoke()
        finally:
            with self._lock:
                if self._worker is not threading.current_thread():
                    raise TakenOver
                self._call = None

    def _release(self, packet: Packet) -> None:
        """No packet has the device for its own."""

    def _recover(self, reason: str) -> None:
        assert self._replace is not None
        self.failures += 1
        self.fault = f"accelerator failed: {reason}"
        self.segmenter = self._replace(reason)
        self.fault = ""
