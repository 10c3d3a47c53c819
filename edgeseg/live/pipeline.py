"""The live loop: capture, inference and output, each on its own thread.

    capture  --Handoff-->  inference  --Handoff-->  output
       ^-------------------- pool of packets ---------'

From a live source the first handoff keeps only the newest frame, so that the mask is always of the present: what the
later threads cannot take in time is left out before any work is spent on it. From files it waits, and nothing is left
out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from edgeseg.errors import EdgesegError, OutputError, SourceError
from edgeseg.host import temperature, throttling
from edgeseg.image import Uint8
from edgeseg.live.capture import Capture, Loss
from edgeseg.live.outputs.base import Event, Output
from edgeseg.live.overlay import Overlay
from edgeseg.live.packet import Handoff, Packet
from edgeseg.live.sources.base import Source
from edgeseg.live.timing import StageTimes
from edgeseg.runtime.segmenter import Segmenter

_TICK = 0.05
_INVALID_EVERY = 0.2
_FILE_QUEUE = 2
_OUTPUT_QUEUE = 1
_END_SECONDS = 5.0
_CAPTURE_END_SECONDS = 0.3
_PROGRESS_EVERY = 0.5
_MOST_LOSSES = 100

Notify = Callable[[str], None]
Smooth = Callable[[Uint8, Uint8], Uint8]
"""From a frame and its label map to a steadier label map of the same size."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run goes.

    Attributes:
        frames: End after so many; None for no limit.
        seconds: End after so many; None for no limit.
        sharp: Label maps at the frame's size, from upsampled logits.
        exit_on_loss: End with an error when the source is lost, instead of waiting for it.
        legend: Whether the overlay lists the classes.
    """

    frames: int | None = None
    seconds: float | None = None
    sharp: bool = False
    exit_on_loss: bool = False
    legend: bool = False


class Pipeline:
    """Runs a Segmenter on a source.

    Args:
        segmenter: The network.
        source: The source, open.
        reopen: Opens it again after a loss.
        options: See the class.
        notify: Called with lines for people, when something happens.
        progress: Called with a line of figures twice a second.
        smooth: Steadies label maps; None leaves them.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        source: Source,
        reopen: Callable[[], Source],
        *,
        options: RunOptions | None = None,
        notify: Notify = lambda line: None,
        progress: Notify = lambda line: None,
        smooth: Smooth | None = None,
    ) -> None:
        self._segmenter, self._source_name, self.live = segmenter, source.name, source.live
        self._source, self._reopen = source, reopen
        self._options = options or RunOptions()
        self._notify, self._progress, self._smooth = notify, progress, smooth
        self._overlay = Overlay(segmenter.labels, legend=self._options.legend)
        self._pool: SimpleQueue[Packet] = SimpleQueue()
        self._captured = Handoff(1 if self.live else _FILE_QUEUE, drop=self.live)
        self._results = Handoff(_OUTPUT_QUEUE, drop=False)
        self._outputs: list[Output] = []
        self._over = threading.Event()
        self._ended = ""
        self._failure: EdgesegError | None = None
        self.times = StageTimes()
        self.frames = self.invalid = 0
        self._losses: list[Loss] = []
        self._first_ready = self._last_ready = self._begin = self._wall = 0.0
        self._frame_size = (0, 0)
        self._stopped_outputs: list[str] = []
        self._capture: Capture | None = None
        self._threads: list[threading.Thread] = []

    def run(self, outputs: Sequence[Output]) -> dict[str, Any]:
        """Runs until the source ends, a limit is reached, or `stop` is called. Closes the outputs.

        Args:
            outputs: Where results go.

        Returns:
            The stats; see `stats`.

        Raises:
            EdgesegError: The source was lost for good, a picture is broken, or inference failed. `stats` still works.
        """
        self._outputs = list(outputs)
        self._begin = time.monotonic()
        self._capture = Capture(
            self._source,
            self._reopen,
            take=self._take,
            fill=self._fill,
            give=self._pool.put,
            handoff=self._captured,
            on_loss=self._on_loss,
            on_return=self._on_return,
        )
        work = ((self._infer, "edgeseg-inference"), (self._output, "edgeseg-output"))
        self._threads = [
            threading.Thread(target=self._guard, args=(each,), name=name, daemon=True) for each, name in work
        ]
        for thread in self._threads:
            thread.start()
        try:
            self._supervise()
        finally:
            self._over.set()
            self._wall = time.monotonic() - self._begin
            self._captured.close()
            self._threads[0].join(_END_SECONDS)
            self._results.close()
            self._threads[1].join(_END_SECONDS)
            self._capture.stop(_CAPTURE_END_SECONDS)
        if self._failure is not None:
            raise self._failure
        return self.stats()

    def stop(self, why: str) -> None:
        """Ends the run soon. From any thread, or a signal handler.

        Args:
            why: What the stats give as `ended`.
        """
        self._ended = self._ended or why
        self._over.set()

    @property
    def stuck(self) -> bool:
        """Whether a thread is stuck in a call that does not return, so that the process cannot end by itself."""
        if any(thread.is_alive() for thread in self._threads):
            return True
        return self._capture is not None and not self._capture.stop(0.0)

    def fps(self) -> float:
        """Masks per second, from the first to the last."""
        span = self._last_ready - self._first_ready
        return (self.frames - 1) / span if self.frames > 1 and span > 0 else 0.0

    def line(self) -> str:
        """A line of figures for people."""
        invoke, whole = self.times.p50("invoke") or 0.0, self.times.p50("end_to_end") or 0.0
        dropped = self._capture.dropped if self._capture else 0
        return f"{self.fps():.1f} fps  {invoke:.1f} ms net  {whole:.1f} ms from camera to mask  {dropped} dropped"

    def stats(self) -> dict[str, Any]:
        """Returns the figures of the run so far, as `--stats` writes them."""
        capture = self._capture
        now = time.monotonic()
        return {
            "frames": self.frames,
            "dropped": capture.dropped if capture else 0,
            "invalid": self.invalid,
            "reconnects": capture.reconnects if capture else 0,
            "fps": self.fps(),
            "wall_s": self._wall or now - self._begin,
            "stages_ms": self.times.summary(),
            "ended": self._ended or "running",
            "losses": [
                {"at_s": loss.at - self._begin, "lasted_s": loss.lasted, "reason": loss.reason}
                for loss in self._losses[-_MOST_LOSSES:]
            ],
            "source": self._source_name,
            "frame_size": list(self._frame_size),
            "model": self._segmenter.name,
            "delegate": self._segmenter.delegate,
            "threads": self._segmenter.threads,
            "outputs_stopped": list(self._stopped_outputs),
            "temperature_c": temperature(),
            "throttling": throttling(),
        }

    def _take(self) -> Packet:
        try:
            return self._pool.get_nowait()
        except Empty:
            return Packet(self._segmenter.staging(), np.empty(self._segmenter.output_size, np.uint8))

    def _fill(self, packet: Packet) -> None:
        if packet.image is not None:
            self._segmenter.stage(packet.image, packet.tensor)

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except EdgesegError as error:
            self._fail(error)
        except BaseException:
            self.stop("error")
            raise
        finally:
            if self._over.is_set():
                self._captured.close()
                self._results.close()

    def _fail(self, error: EdgesegError) -> None:
        self._failure = self._failure or error
        self.stop(f"error: {error}")

    def _infer(self) -> None:
        while not self._over.is_set():
            packet = self._captured.get(_TICK)
            if packet is None:
                if self._captured.finished:
                    self._results.close()
                    return
                continue
            self._segment(packet)
            undelivered = self._results.put(packet)
            if undelivered is not None:
                self._pool.put(undelivered)
            if self._enough():
                self._results.close()
                return

    def _enough(self) -> bool:
        return self._options.frames is not None and self.frames >= self._options.frames

    def _segment(self, packet: Packet) -> None:
        if packet.image is None:
            return
        segmenter, size = self._segmenter, packet.image.shape[:2]
        start = time.monotonic()
        segmenter.load(packet.tensor, (size[0], size[1]))
        loaded = time.monotonic()
        segmenter.invoke()
        invoked = time.monotonic()
        if self._options.sharp:
            packet.label_map = segmenter.sized_label_map(size[0], size[1], sharp=True)
        else:
            packet.label_map = segmenter.label_map(packet.labels)
        if self._smooth is not None:
            np.copyto(packet.label_map, self._smooth(packet.image, packet.label_map))
        packet.ready, packet.invoke_s = time.monotonic(), invoked - loaded
        packet.valid, packet.reason = True, ""
        packet.overlay = None
        self.times.add(
            capture=packet.capture_s,
            preprocess=packet.preprocess_s + loaded - start,
            invoke=invoked - loaded,
            postprocess=packet.ready - invoked,
            end_to_end=packet.ready - packet.captured,
        )
        self._frame_size = (size[0], size[1])
        self.frames += 1
        self._first_ready = self._first_ready or packet.ready
        self._last_ready = packet.ready

    def _output(self) -> None:
        """Writes results until there are no more, then closes the outputs, on the thread that alone uses them."""
        try:
            self._write_all()
        finally:
            self._broadcast({"event": "end", "ended": self._ended or ("frames" if self._enough() else "end of source")})
            for output in self._outputs:
                output.close()

    def _write_all(self) -> None:
        while True:
            packet = self._results.get(_TICK)
            if packet is None:
                if self._results.finished:
                    return
                continue
            loss = self._capture.loss if self._capture is not None else None
            if packet.valid and loss is not None:
                packet.valid, packet.reason, packet.label_map = False, loss.reason, None
                self.invalid += packet.image is not None
            self._render(packet)
            for output in list(self._outputs):
                self._write(output, packet)
            if packet.valid:
                self.times.add(shown=time.monotonic() - packet.captured)
            if packet.image is not None:
                self._pool.put(packet)

    def _render(self, packet: Packet) -> None:
        if not any(output.wants_overlay for output in self._outputs):
            return
        if not packet.valid:
            packet.overlay = self._overlay.lost(f"NO PICTURE: {packet.reason}")
        elif packet.image is not None and packet.label_map is not None:
            start = time.monotonic()
            packet.overlay = self._overlay.render(packet.image, packet.label_map, self.line())
            self.times.add(render=time.monotonic() - start)

    def _write(self, output: Output, packet: Packet) -> None:
        try:
            output.write(packet)
        except OutputError as error:
            self._outputs.remove(output)
            self._stopped_outputs.append(str(error))
            self._notify(f"{error}; the run goes on without it")
            self._broadcast({"event": "output_stopped", "output": output.name, "reason": str(error)})
            output.close()
        if getattr(output, "closed", False):
            self.stop("window closed")

    def _supervise(self) -> None:
        capture = self._capture
        assert capture is not None
        next_invalid = next_progress = 0.0
        while not self._over.wait(_TICK):
            capture.watch()
            now = time.monotonic()
            if now >= next_progress:
                next_progress = now + _PROGRESS_EVERY
                self._progress(self.line())
            if capture.failure is not None:
                self._fail(capture.failure)
            elif capture.loss is not None and self._options.exit_on_loss:
                self._fail(SourceError(f"source lost: {capture.loss.reason}"))
            elif capture.loss is not None and now >= next_invalid:
                next_invalid = now + _INVALID_EVERY
                self._publish_invalid(capture.loss, now)
            elif self._options.seconds is not None and now - self._begin >= self._options.seconds:
                self.stop("seconds")
            elif self._results.finished and capture.failure is None:
                self.stop("frames" if self._enough() else "end of source")

    def _publish_invalid(self, loss: Loss, now: float) -> None:
        """Sends a packet without a mask through the outputs: what is shown and told must not look alive."""
        packet = Packet(np.empty(0, np.uint8), np.empty((0, 0), np.uint8))
        packet.valid, packet.reason, packet.captured, packet.ready = False, loss.reason, now, now
        if self._results.offer(packet):
            self.invalid += 1

    def _on_loss(self, loss: Loss) -> None:
        self._losses.append(loss)
        self._notify(f"source lost: {loss.reason}; masks are invalid until it is back")
        self._broadcast({"event": "lost", "valid": False, "reason": loss.reason})

    def _on_return(self, loss: Loss) -> None:
        self._notify(f"source back after {loss.lasted:.1f} s")
        self._broadcast({"event": "returned", "lasted_s": loss.lasted})

    def _broadcast(self, event: Event) -> None:
        event = {"event": event["event"], "t": time.monotonic() - self._begin, **event}
        for output in list(self._outputs):
            output.event(event)
