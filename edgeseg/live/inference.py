"""Running the network on a thread of its own, and replacing it when its accelerator fails or hangs.

On a CPU two interpreters of the network, the lanes, take turns, so that nothing but `invoke` is left for that thread:
the next frame is already in the other lane's input, and labels are read by the thread that writes them out, if that
is free. An accelerator is one device: there the thread loads, invokes and reads in turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

import numpy as np

from edgeseg.errors import DelegateError, EdgesegError
from edgeseg.image import Float32, Uint8
from edgeseg.live.packet import Handoff, Packet
from edgeseg.live.timing import StageTimes
from edgeseg.runtime.segmenter import Segmenter

HANG_SECONDS = 5.0
"""An accelerator that takes longer for one inference is taken for dead."""
_TICK = 0.05
_MOST_PACKETS = 5
"""That can be under way at once: in capture, waiting, in inference, waiting, in output."""

Smooth = Callable[[Uint8, Uint8], Uint8]
"""From a frame and its label map to a steadier label map of the same size."""
Refine = Callable[[Float32, Uint8], Uint8]
"""From class probabilities (h, w, classes) and a frame to a label map of the probabilities' size."""
Replace = Callable[[str], Segmenter]
"""From what happened to a Segmenter that works."""


class Inference:
    """Turns captured packets into results.

    Args:
        segmenter: The network.
        captured: Where packets come from.
        results: Where results go.
        live: Whether frames are taken as they come; else `fill` waits for an interpreter that is free.
        times: Where stage times go.
        fail: Called with an error that ends the run.
        limit: End after so many results; None for no limit.
        sharp: Label maps at the frame's size, from upsampled logits.
        refine: Makes label maps from class probabilities and frames; None takes the strongest class.
        smooth: Steadies label maps; None leaves them.
        replace: Replaces a Segmenter whose accelerator failed; None lets the failure end the run.

    Attributes:
        segmenter: The network that runs now.
        frames: Results so far.
        failures: How often the accelerator failed.
        fault: What is wrong with the accelerator while it is being replaced; else "".
        frame_size: (rows, columns) of the last frame.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        *,
        captured: Handoff,
        results: Handoff,
        live: bool,
        times: StageTimes,
        fail: Callable[[EdgesegError], None],
        limit: int | None = None,
        sharp: bool = False,
        refine: Refine | None = None,
        smooth: Smooth | None = None,
        replace: Replace | None = None,
    ) -> None:
        self.segmenter = segmenter
        self.frames = self.failures = 0
        self.fault = ""
        self.frame_size = (0, 0)
        self._captured, self._results, self._live = captured, results, live
        self._pool: SimpleQueue[Packet] = SimpleQueue()
        self._primed = not live
        self._idle: SimpleQueue[Segmenter] = SimpleQueue()
        twin = segmenter.twin() if replace is None else None
        self._twofold = twin is not None
        self._in_any_order = refine is None and smooth is None  # smoothing must see the frames one after the other
        self._counting = threading.Lock()
        if twin is not None:
            self._idle.put(segmenter)
            self._idle.put(twin)
        self._times, self._fail, self._limit = times, fail, limit
        self._sharp, self._smooth, self._replace = sharp, smooth, replace
        self._refine = refine
        self._invoked = 0
        self._first_ready = self._last_ready = 0.0
        self._generation = 0
        self._busy_since: float | None = None
        self._in_work: Packet | None = None
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

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
        span = self._last_ready - self._first_ready
        return (self.frames - 1) / span if self.frames > 1 and span > 0 else 0.0

    def start(self) -> None:
        """Starts the thread."""
        self._start(self._run)

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

    def recycle(self, packet: Packet) -> None:
        """Takes back a packet that is done with."""
        self._release(packet)
        self._pool.put(packet)

    def fill(self, packet: Packet) -> None:
        """Preprocesses a captured frame, on the capture thread: into a free interpreter's input if there is one."""
        if packet.image is None:
            return
        if not self._primed:
            self._prime(packet.image)
        packet.lane = self._free_lane(wait=not self._live) if self._twofold else None
        start = time.monotonic()
        if packet.lane is not None:
            packet.lane.prepare(packet.image)
        elif self.segmenter.fits(packet.tensor):
            self.segmenter.stage(packet.image, packet.tensor)
        packet.preprocess_s = time.monotonic() - start

    def finish(self, packet: Packet) -> None:
        """Makes the result of a packet whose interpreter has run, and frees the interpreter."""
        lane, image = packet.lane or self.segmenter, packet.image
        assert image is not None
        height, width = image.shape[:2]
        start = time.monotonic()
        refine_s = 0.0
        if packet.labels.shape != lane.output_size:
            packet.labels = np.empty(lane.output_size, np.uint8)
        if self._refine is not None:
            probabilities = lane.probabilities(lane.input.height, lane.input.width)
            self._release(packet)
            began = time.monotonic()
            packet.label_map = self._refine(probabilities, image)
            refine_s = time.monotonic() - began
            self._times.add(refine=refine_s)
        elif self._sharp:
            packet.label_map = lane.sized_label_map(height, width, sharp=True)
        else:
            packet.label_map = lane.label_map(packet.labels)
        self._release(packet)
        if self._smooth is not None:
            np.copyto(packet.label_map, self._smooth(image, packet.label_map))
        packet.ready = time.monotonic()
        packet.valid, packet.reason, packet.overlay = True, "", None
        self._times.add(
            capture=packet.capture_s,
            preprocess=packet.preprocess_s,
            invoke=packet.invoke_s,
            postprocess=packet.ready - start - refine_s,
            end_to_end=packet.ready - packet.captured,
        )
        with self._counting:
            self.frame_size = (height, width)
            self.frames += 1
            self._first_ready = self._first_ready or packet.ready
            self._last_ready = packet.ready

    def watch(self) -> None:
        """Notices an accelerator that hangs. Call it every few hundredths of a second."""
        since = self._busy_since
        if self._replace is None or since is None or time.monotonic() - since <= HANG_SECONDS:
            return
        self._generation += 1
        self._busy_since = None
        reason = f"no result for {HANG_SECONDS:.0f} s"
        self._start(lambda generation: self._recover_and_run(reason, generation))

    def _start(self, work: Callable[[int], None]) -> None:
        generation = self._generation
        thread = threading.Thread(
            target=self._guard, args=(work, generation), name=f"edgeseg-inference-{generation}", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _guard(self, work: Callable[[int], None], generation: int) -> None:
        try:
            work(generation)
        except EdgesegError as error:
            if generation == self._generation:
                self._fail(error)
        finally:
            if generation == self._generation:
                self._results.close()

    def _recover_and_run(self, reason: str, generation: int) -> None:
        self._recover(reason)
        if self._in_work is not None:
            self._work_on(self._in_work, generation)
        self._run(generation)

    def _recover(self, reason: str) -> None:
        assert self._replace is not None
        self.failures += 1
        self.fault = f"accelerator failed: {reason}"
        self.segmenter = self._replace(reason)
        self.fault = ""

    def _run(self, generation: int) -> None:
        while generation == self._generation and not self._stopped.is_set() and not self.enough:
            packet = self._captured.get(_TICK)
            if packet is None:
                if self._captured.finished:
                    return
                continue
            self._work_on(packet, generation)

    def _work_on(self, packet: Packet, generation: int) -> None:
        """Makes a result of a packet, however often the accelerator must be replaced for it."""
        self._in_work = packet
        while True:
            try:
                done = self._segment(packet, generation)
                break
            except DelegateError as error:
                if self._replace is None or generation != self._generation:
                    raise
                self._recover(str(error))
        if not done:
            return  # the run is over, or another thread has taken over, this packet included
        if not (packet.lane is not None and self._results.awaited and self._in_any_order):
            self.finish(packet)
        undelivered = self._results.put(packet)
        if undelivered is not None:
            self.recycle(undelivered)

    def _segment(self, packet: Packet, generation: int) -> bool:
        """Runs the network on a packet; False if the run is over, or if it hung and has been replaced meanwhile."""
        segmenter, image = packet.lane or self.segmenter, packet.image
        assert image is not None
        start = time.monotonic()
        if packet.lane is None:
            segmenter = self._load(packet, image)
            if self._twofold and packet.lane is None:
                return False
        loaded = self._busy_since = time.monotonic()
        try:
            segmenter.invoke()
        finally:
            if generation == self._generation:
                self._busy_since = None
        if generation != self._generation:
            return False
        packet.invoke_s = time.monotonic() - loaded
        packet.preprocess_s += loaded - start
        self._invoked += 1
        return True

    def _load(self, packet: Packet, image: Uint8) -> Segmenter:
        """Puts a packet's tensor, made while no lane was free, into one that is; returns it."""
        packet.lane = self._free_lane(wait=True) if self._twofold else None
        segmenter = packet.lane or self.segmenter
        if segmenter.fits(packet.tensor):
            segmenter.load(packet.tensor, (image.shape[0], image.shape[1]))
        else:  # staged for a network that has been replaced
            segmenter.prepare(image)
            packet.tensor = segmenter.staging()
        return segmenter

    def _free_lane(self, *, wait: bool) -> Segmenter | None:
        while not self._stopped.is_set():
            try:
                return self._idle.get(wait, _TICK)
            except Empty:
                if not wait:
                    return None
        return None

    def _release(self, packet: Packet) -> None:
        if packet.lane is not None:
            self._idle.put(packet.lane)
            packet.lane = None
