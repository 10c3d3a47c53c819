"""The live loop: capture, inference and output, each on its own thread.

    capture  --Handoff-->  inference  --Handoff-->  output
       ^----------- pool of packets, and of lanes ----'

From a live source the first handoff keeps only the newest frame, so that the mask is always of the present: what the
later threads cannot take in time is left out before any work is spent on it. From files it waits, and nothing is left
out.

On a CPU there are two lanes, interpreters of the same network: while one runs, the capture thread resizes the next
frame straight into the other's input, and the output thread reads the labels of the one before. The inference thread
does nothing but run them in turn.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from edgeseg.errors import SourceError
from edgeseg.host import temperature, throttling
from edgeseg.live.capture import Capture, Loss
from edgeseg.live.device import OneDevice, Replace
from edgeseg.live.inference import TICK, Inference, Wiring
from edgeseg.live.lanes import TwoLanes
from edgeseg.live.masks import MaskMaker
from edgeseg.live.options import RunOptions
from edgeseg.live.outputs.base import Output
from edgeseg.live.outputs.group import OutputGroup
from edgeseg.live.overlay import Overlay
from edgeseg.live.packet import Handoff, Packet
from edgeseg.live.sources.base import Source
from edgeseg.live.stats import LossRecord, RunStats
from edgeseg.live.timing import StageTimes
from edgeseg.live.writing import Writer
from edgeseg.runtime.segmenter import Segmenter

_INVALID_EVERY = 0.2
_FILE_QUEUE = 1  # one more waits to be put: each further frame is 6 MB at 1080p that push the network out of the cache
_OUTPUT_QUEUE = 1
_END_SECONDS = 5.0
_CAPTURE_END_SECONDS = 0.3
_PROGRESS_EVERY = 0.5
_MOST_LOSSES = 100

Notify = Callable[[str], None]


class Pipeline:
    """Runs a Segmenter on a source.

    Args:
        segmenter: The network.
        source: The source, open.
        reopen: Opens it again after a loss.
        options: See the class.
        masks: Makes label maps; the strongest class if None.
        notify: Called with lines for people, when something happens.
        progress: Called with a line of figures twice a second.
        replace: Replaces a Segmenter whose accelerator failed; None lets the failure end the run.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        source: Source,
        reopen: Callable[[], Source],
        *,
        options: RunOptions | None = None,
        masks: MaskMaker | None = None,
        notify: Notify = lambda line: None,
        progress: Notify = lambda line: None,
        replace: Replace | None = None,
    ) -> None:
        self._source_name, self.live = source.name, source.live
        self._source, self._reopen = source, reopen
        self._options = options or RunOptions()
        self._notify, self._progress = notify, progress
        self._overlay = Overlay(segmenter.labels, legend=self._options.legend)
        self._captured = Handoff(1 if self.live else _FILE_QUEUE, drop=self.live)
        self._results = Handoff(_OUTPUT_QUEUE, drop=False)
        self._outputs = OutputGroup((), notify)
        self._over = threading.Event()
        self._ended = ""
        self._failure: BaseException | None = None
        self.times = StageTimes()
        self._told_invalid = 0
        self._losses: deque[Loss] = deque(maxlen=_MOST_LOSSES)
        self._begin = self._wall = 0.0
        self._capture: Capture | None = None
        self._output_thread: threading.Thread | None = None
        wiring = Wiring(
            captured=self._captured,
            results=self._results,
            times=self.times,
            fail=self._fail,
            limit=self._options.frames,
            masks=masks or MaskMaker(),
        )
        self._inference = _inference(segmenter, replace, wiring)
        self._writer = self._new_writer()

    @property
    def frames(self) -> int:
        """Masks so far."""
        return self._inference.frames

    def run(self, outputs: Sequence[Output], until: Callable[[], str] = str) -> RunStats:
        """Runs until the source ends, a limit is reached, or `stop` is called. Closes the outputs.

        Args:
            outputs: Where results go.
            until: Asked every few hundredths of a second; a word ends the run, and becomes the stats' `ended`.

        Returns:
            The run's figures.

        Raises:
            EdgesegError: The source was lost for good, an image is broken, or inference failed. `stats` still works.
        """
        self._outputs = OutputGroup(outputs, self._notify)
        self._writer = self._new_writer()
        self._begin = time.monotonic()
        self._outputs.begin(self.stats)
        self._capture = Capture(
            self._source,
            self._reopen,
            take=self._inference.take,
            fill=self._inference.fill,
            give=self._inference.recycle,
            handoff=self._captured,
            on_loss=self._on_loss,
            on_return=self._on_return,
        )
        self._output_thread = threading.Thread(target=self._output, name="edgeseg-output", daemon=True)
        self._inference.start()
        self._output_thread.start()
        try:
            self._supervise(until)
        except BaseException as error:  # Ctrl-C, for one
            self.stop(type(error).__name__)
            raise
        finally:
            self._over.set()
            self._wall = time.monotonic() - self._begin
            self._inference.stop(_END_SECONDS)
            self._results.close()
            self._output_thread.join(_END_SECONDS)
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
        if self._inference.alive or (self._output_thread is not None and self._output_thread.is_alive()):
            return True
        return self._capture is not None and not self._capture.stop(0.0)

    def fps(self) -> float:
        """Masks per second, from the first to the last."""
        return self._inference.fps()

    def line(self) -> str:
        """A line of figures for people."""
        invoke, whole = self.times.p50("invoke") or 0.0, self.times.p50("end_to_end") or 0.0
        dropped = self._capture.dropped if self._capture else 0
        return f"{self.fps():.1f} fps  {invoke:.1f} ms net  {whole:.1f} ms from camera to mask  {dropped} dropped"

    def stats(self) -> RunStats:
        """Returns the figures of the run so far."""
        capture = self._capture
        now = time.monotonic()
        losses = (
            LossRecord(at_s=at.at - self._begin, lasted_s=at.lasted, reason=at.reason) for at in tuple(self._losses)
        )
        inference = self._inference
        return RunStats(
            frames=self.frames,
            dropped=capture.dropped if capture else 0,
            invalid=self._writer.invalid + self._told_invalid,
            reconnects=capture.reconnects if capture else 0,
            fps=self.fps(),
            wall_s=self._wall or now - self._begin,
            stages_ms=self.times.summary(),
            ended=self._ended or "running",
            losses=tuple(losses),
            source=self._source_name,
            frame_size=inference.frame_size,
            model=inference.segmenter.name,
            delegate=inference.segmenter.delegate,
            delegate_failures=inference.failures,
            threads=inference.segmenter.threads,
            outputs_stopped=tuple(self._outputs.stopped),
            temperature_c=temperature(),
            throttling=throttling(),
            stuck=bool(self._wall) and self.stuck,
        )

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self.stop(f"error: {error}")

    def _new_writer(self) -> Writer:
        return Writer(
            self._results,
            self._inference,
            self._outputs,
            overlay=self._overlay,
            times=self.times,
            loss=lambda: self._capture.loss if self._capture is not None else None,
            line=self.line,
        )

    def _output(self) -> None:
        """Writes results until there are no more, then closes the outputs, on the thread that alone uses them."""
        try:
            self._writer.write_all(self.stop)
        except BaseException as error:  # of whatever kind: the run must not seem to have gone well
            self._fail(error)
        finally:
            self._results.close()
            self._outputs.event({"event": "end", "ended": self._ended or self._natural_end()})
            self._outputs.close()

    def _supervise(self, until: Callable[[], str]) -> None:
        capture = self._capture
        assert capture is not None
        next_invalid = next_progress = 0.0
        while not self._over.wait(TICK):
            capture.watch()
            self._inference.watch()
            now = time.monotonic()
            if now >= next_progress:
                next_progress = now + _PROGRESS_EVERY
                self._progress(self.line())
            if word := until():
                self.stop(word)
            elif capture.failure is not None:
                self._fail(capture.failure)
            elif capture.loss is not None and self._options.exit_on_loss:
                self._fail(SourceError(f"source lost: {capture.loss.reason}"))
            elif (trouble := capture.loss.reason if capture.loss else self._inference.fault) and now >= next_invalid:
                next_invalid = now + _INVALID_EVERY
                self._publish_invalid(trouble, now)
            elif self._options.seconds is not None and now - self._begin >= self._options.seconds:
                self.stop("seconds")
            elif self._results.finished and capture.failure is None:
                self.stop(self._natural_end())

    def _natural_end(self) -> str:
        return "frames" if self._inference.enough else "end of source"

    def _publish_invalid(self, reason: str, now: float) -> None:
        """Sends a packet without a mask through the outputs: what is shown and told must not look alive."""
        packet = Packet(np.empty(0, np.uint8), np.empty((0, 0), np.uint8))
        packet.valid, packet.reason, packet.captured, packet.ready = False, reason, now, now
        if self._results.offer(packet):
            self._told_invalid += 1

    def _on_loss(self, loss: Loss) -> None:
        self._losses.append(loss)
        self._notify(f"source lost: {loss.reason}; masks are invalid until it is back")
        self._outputs.event({"event": "lost", "valid": False, "reason": loss.reason})

    def _on_return(self, loss: Loss) -> None:
        self._notify(f"source back after {loss.lasted:.1f} s")
        self._outputs.event({"event": "returned", "lasted_s": loss.lasted})


def _inference(segmenter: Segmenter, replace: Replace | None, wiring: Wiring) -> Inference:
    """Two lanes on a CPU; one device where something can replace it, or where the network runs on an accelerator."""
    twin = segmenter.twin() if replace is None else None
    return OneDevice(segmenter, replace, wiring) if twin is None else TwoLanes(segmenter, twin, wiring)
