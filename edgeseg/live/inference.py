"""Running the network on a thread of its own: what both ways of doing so share.

`lanes` is the way on a CPU: two interpreters take turns. `device` is the way on an accelerator: one device, which is
replaced when it fails or hangs.
"""

from __future__ import annotations

import abc
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.live.masks import MaskMaker
from edgeseg.live.packet import Handoff, Packet
from edgeseg.live.timing import StageTimes
from edgeseg.runtime.segmenter import Segmenter

TICK = 0.05
"""Seconds after which a thread that waits looks whether the run is over."""
_MOST_PACKETS = 5
"""That can be under way at once: in capture, waiting, in inference, waiting, in output."""


class TakenOver(Exception):
    """Another thread has taken over this one's work: this one ends, and touches nothing more."""


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What an inference is connected to.

    Attributes:
        captured: Where packets come from. One that drops is a live source's.
        results: Where results go.
        times: Where stage times go.
        fail: Called with an error that ends the run.
        limit: End after so many results; None for no limit.
        masks: Makes label maps.
    """

    captured: Handoff
    results: Handoff
    times: StageTimes
    fail: Callable[[BaseException], None]
    limit: int | None = None
    masks: MaskMaker = field(default_factory=MaskMaker)


class Inference(abc.ABC):
    """Turns captured packets into results.

    Args:
        segmenter: The network.
        wiring: What it is connected to.

    Attributes:
        segmenter: The network that runs now.
        frames: Results so far.
        frame_size: (rows, columns) of the last frame.
        failures: How often an accelerator failed.
        fault: What is wrong with the accelerator while it is being replaced; else "".
    """

    def __init__(self, segmenter: Segmenter, wiring: Wiring) -> None:
        self.segmenter = segmenter
        self.frames = self.failures = 0
        self.fault = ""
        self.frame_size = (0, 0)
        self._captured, self._results, self._times = wiring.captured, wiring.results, wiring.times
        self._fail, self._limit, self._masks = wiring.fail, wiring.limit, wiring.masks
        self._pool: SimpleQueue[Packet] = SimpleQueue()
        self._primed = not wiring.captured.drops
        self._lock = threading.Lock()
        self._invoked = 0
        self._first_ready = self._last_ready = 0.0
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    # === What each way does in its own manner ===

    @abc.abstractmethod
    def _preprocess(self, packet: Packet, image: Uint8) -> None:
        """Preprocesses a captured frame, on the capture thread."""

    @abc.abstractmethod
    def _work_on(self, packet: Packet) -> None:
        """Makes a result of a packet and hands it on.

        Raises:
            TakenOver: Another thread does.
        """

    @abc.abstractmethod
    def _release(self, packet: Packet) -> None:
        """Lets go of the interpreter that a packet is in, if it is in one of its own."""

    @abc.abstractmethod
    def watch(self) -> None:
        """Notices an accelerator that hangs. Call it every few hundredths of a second."""

    # === What the pipeline asks ===

    @property
    def enough(self) -> bool:
        """Whether the limit is reached."""
        return self._limit is not None and self._invoked >= self._limit

    @property
    def alive(self) -> bool:
        """Whether a thread still runs, or is stuck."""
        return any(thread.is_alive() for thread in self._threads)

    def fps(self) -> float:
        """Results per second, from the first to the last."""
        with self._lock:
            span, frames = self._last_ready - self._first_ready, self.frames
        return (frames - 1) / span if frames > 1 and span > 0 else 0.0

    def start(self) -> None:
        """Starts the thread."""
        self._new_thread(self._run).start()

    def stop(self, timeout: float) -> None:
        """Ends the thread after the inference that is under way."""
        self._stopped.set()
        self._captured.close()
        if self._threads:
            self._threads[-1].join(timeout)

    def take(self) -> Packet:
        """Returns an empty packet, with buffers of the network's sizes."""
        try:
            return self._pool.get_nowait()
        except Empty:
            return self._new_packet()

    def recycle(self, packet: Packet) -> None:
        """Takes back a packet that is done with."""
        self._release(packet)
        self._pool.put(packet)

    def fill(self, packet: Packet) -> None:
        """Preprocesses a captured frame, on the capture thread."""
        if packet.image is None:
            return
        if not self._primed:
            self._prime(packet.image)
        start = time.monotonic()
        self._preprocess(packet, packet.image)
        packet.preprocess_s = time.monotonic() - start

    def finish(self, packet: Packet) -> None:
        """Makes the result of a packet whose interpreter has run, and frees the interpreter."""
        assert packet.image is not None
        start = time.monotonic()
        probabilities = self._masks.read(packet.lane or self.segmenter, packet)
        self._release(packet)
        refine_s = self._masks.complete(packet, probabilities)
        packet.ready = time.monotonic()
        packet.valid, packet.reason, packet.overlay = True, "", None
        if probabilities is not None:
            self._times.add(refine=refine_s)
        self._times.add(
            capture=packet.capture_s,
            preprocess=packet.preprocess_s,
            invoke=packet.invoke_s,
            postprocess=packet.ready - start - refine_s,
            end_to_end=packet.ready - packet.captured,
        )
        with self._lock:
            self.frame_size = (packet.image.shape[0], packet.image.shape[1])
            self.frames += 1
            self._first_ready = self._first_ready or packet.ready
            self._last_ready = packet.ready

    # === The thread ===

    def _run(self) -> None:
        while not self._stopped.is_set() and not self.enough:
            packet = self._captured.get(TICK)
            if packet is not None:
                self._work_on(packet)
            elif self._captured.finished:
                return

    def _deliver(self, packet: Packet) -> None:
        undelivered = self._results.put(packet)
        if undelivered is not None:
            self.recycle(undelivered)

    def _new_thread(self, work: Callable[[], None]) -> threading.Thread:
        """Returns a thread, not started yet, that does some work and then says that no more results come."""

        def guarded() -> None:
            try:
                work()
            except TakenOver:
                return
            except BaseException as error:  # of whatever kind: a thread that dies silently would look like an end
                self._fail(error)
            self._results.close()

        name = f"edgeseg-inference-{len(self._threads)}"
        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self._threads.append(thread)
        return thread

    def _new_packet(self) -> Packet:
        return Packet(self.segmenter.staging(), np.empty(self.segmenter.output_size, np.uint8))

    def _prime(self, frame: Uint8) -> None:
        """Makes all packets that a camera will ever need, memory included, so that none is made hours later."""
        self._primed = True
        for _ in range(_MOST_PACKETS - 1):
            packet = self._new_packet()
            packet.image = frame.copy()
            for buffer in (packet.tensor, packet.labels):
                buffer.fill(0)
            self._pool.put(packet)
