"""On a CPU: two interpreters of the network, the lanes, take turns.

Nothing but `invoke` is left for the inference thread: the next frame is already in the other lane's input, put there
by the capture thread, and labels are read by the thread that writes them out, if that is free.
"""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue

from edgeseg.arrays import Uint8
from edgeseg.live.inference import TICK, Inference, Wiring
from edgeseg.live.packet import Packet
from edgeseg.runtime.segmenter import Segmenter


class TwoLanes(Inference):
    """Turns captured packets into results, two interpreters in turn; see `Inference`.

    A packet that has a lane owns it, from the moment it is taken out of the idle ones until it is put back.

    Args:
        segmenter: The network.
        twin: The same network in an interpreter of its own (`Segmenter.twin`).
        wiring: What it is connected to.
    """

    def __init__(self, segmenter: Segmenter, twin: Segmenter, wiring: Wiring) -> None:
        super().__init__(segmenter, wiring)
        self._idle: SimpleQueue[Segmenter] = SimpleQueue()
        self._idle.put(segmenter)
        self._idle.put(twin)

    def watch(self) -> None:
        """A CPU does not hang."""

    def _preprocess(self, packet: Packet, image: Uint8) -> None:
        """Into a free lane's input. A live source does not wait for one: its frame goes into the packet's tensor."""
        packet.lane = self._free_lane(wait=not self._captured.drops)
        if packet.lane is not None:
            packet.lane.prepare(image)
        else:
            self.segmenter.stage(image, packet.tensor)

    def _work_on(self, packet: Packet) -> None:
        image = packet.image
        assert image is not None
        start = time.monotonic()
        if packet.lane is None:
            packet.lane = self._free_lane(wait=True)
            if packet.lane is None:
                return  # the run is over
            packet.lane.load(packet.tensor, (image.shape[0], image.shape[1]))
        loaded = time.monotonic()
        packet.lane.invoke()
        packet.invoke_s = time.monotonic() - loaded
        packet.preprocess_s += loaded - start
        self._invoked += 1
        if not (self._results.awaited and self._masks.in_any_order):
            self.finish(packet)
        self._deliver(packet)

    def _free_lane(self, *, wait: bool) -> Segmenter | None:
        """Takes an idle lane; None if there is none and none is waited for, or the run is over."""
        while not self._stopped.is_set():
            try:
                return self._idle.get(wait, TICK)
            except Empty:
                if not wait:
                    return None
        return None

    def _release(self, packet: Packet) -> None:
        if packet.lane is not None:
            self._idle.put(packet.lane)
            packet.lane = None
