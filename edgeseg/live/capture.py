"""Reading a source on a thread of its own, noticing its loss, and opening it again.

A live source is lost when reading fails, and also when reading simply never returns, as OpenCV's sometimes does
(opencv/opencv #22677). A thread that is stuck so cannot be stopped: it is left behind, and a new one opens the source
again; should the stuck read return after all, its thread closes what it held and ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgeseg.errors import EdgesegError, SourceError
from edgeseg.live.packet import Handoff, Packet
from edgeseg.live.sources.base import Source

SILENCE_SECONDS = 1.5
"""A live source that gives no frame for so long is lost; longer only for cameras slower than 2 frames a second."""
FIRST_FRAME_SECONDS = 10.0
"""So long may a source take from opening to its first frame: exposure settles, a stream waits for a key frame."""
BACK_OFF_SECONDS = (0.1, 0.2, 0.4, 0.5)
"""Pauses between attempts to open a lost source; the last one repeats."""
MOST_STUCK = 16
_TELLING_FRAMES = 3  # periods of a slow camera that may pass in silence


@dataclass(kw_only=True)
class Loss:
    """One time that the source was away.

    Attributes:
        at: When it was noticed, `time.monotonic`.
        reason: What was noticed.
        lasted: Seconds until the next frame; None while it is away.
    """

    at: float
    reason: str
    lasted: float | None = None


class Capture:
    """Fills packets from a source.

    Args:
        source: The source, open.
        reopen: Opens it again.
        take: Gives an empty packet.
        fill: Called with each packet that holds a new frame: preprocessing.
        give: Called with each packet that did not get through.
        handoff: Where packets go.
        on_loss: Called when the source is lost.
        on_return: Called when a lost source gives frames again.
    """

    def __init__(
        self,
        source: Source,
        reopen: Callable[[], Source],
        *,
        take: Callable[[], Packet],
        fill: Callable[[Packet], None],
        give: Callable[[Packet], None],
        handoff: Handoff,
        on_loss: Callable[[Loss], None],
        on_return: Callable[[Loss], None],
    ) -> None:
        self.live = source.live
        self.fps = source.fps
        self._reopen, self._take, self._fill, self._give = reopen, take, fill, give
        self._handoff, self._on_loss, self._on_return = handoff, on_loss, on_return
        self._silence = max(SILENCE_SECONDS, _TELLING_FRAMES / source.fps) if source.fps else SILENCE_SECONDS
        self._lock = threading.Lock()
        self._generation = 0
        self._stopped = threading.Event()
        self._last_sign = time.monotonic()  # of life: a frame, or an attempt to open
        self._waiting_first = True
        self._threads: list[threading.Thread] = []
        self.frames = 0
        self.dropped = 0
        self.reconnects = 0
        self.loss: Loss | None = None
        self.failure: BaseException | None = None
        self._start_thread(source)

    def watch(self) -> None:
        """Notices a source that has gone silent. Call it every few hundredths of a second."""
        if not self.live or self._stopped.is_set():
            return
        with self._lock:
            limit = FIRST_FRAME_SECONDS if self._waiting_first else self._silence
            quiet = time.monotonic() - self._last_sign
            if quiet <= limit:
                return
            self._generation += 1
            self._last_sign = time.monotonic()
            self._waiting_first = True
        self._lose(f"no frame for {quiet:.1f} s")
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= MOST_STUCK:
            self._fail(
                SourceError(f"the source hung {MOST_STUCK} times and never came back: check it, then start again")
            )
            return
        self._start_thread(None)

    def stop(self, timeout: float) -> bool:
        """Ends the thread.

        Args:
            timeout: Seconds to wait for it.

        Returns:
            Whether all threads have ended; False if one is stuck in a read.
        """
        self._stopped.set()
        self._handoff.close()
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _start_thread(self, source: Source | None) -> None:
        name = f"edgeseg-capture-{self._generation}"
        thread = threading.Thread(target=self._run, args=(source, self._generation), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, source: Source | None, generation: int) -> None:
        try:
            while self._current(generation):
                if source is None:
                    source = self._open_again(generation)
                    continue
                try:
                    if not self._read_one(source, generation):
                        self._handoff.close()
                        return
                except SourceError as error:
                    if not self.live:
                        raise
                    source.close()
                    source = None
                    if self._current(generation):
                        self._lose(str(error))
        except BaseException as error:  # of whatever kind: the run would wait for this thread for ever
            if self._current(generation):
                self._fail(error)
        finally:
            if source is not None:
                source.close()

    def _read_one(self, source: Source, generation: int) -> bool:
        """Reads one frame and hands it on; False at the end of the source, if this thread may say so."""
        packet = self._take()
        start = time.monotonic()
        try:
            read = source.read(packet.image)
        except BaseException:
            self._give(packet)
            raise
        now = time.monotonic()
        if read is None or not self._alive(now, generation):
            self._give(packet)
            return read is not None or not self._current(generation)
        packet.image, packet.captured = read
        packet.capture_s = now - max(start, packet.captured if self.live else start)
        packet.index, packet.name = self.frames, source.frame_name()
        self.frames += 1
        self._fill(packet)
        undelivered = self._handoff.put(packet)
        if undelivered is not None:
            self.dropped += undelivered is not packet  # itself comes back when the run is over
            self._give(undelivered)
        return True

    def _open_again(self, generation: int) -> Source | None:
        attempt = 0
        while self._current(generation):
            with self._lock:
                self._last_sign, self._waiting_first = time.monotonic(), True
            try:
                return self._reopen()
            except EdgesegError:
                pause = BACK_OFF_SECONDS[min(attempt, len(BACK_OFF_SECONDS) - 1)]
                attempt += 1
                self._stopped.wait(pause)
        return None

    def _alive(self, now: float, generation: int) -> bool:
        """Notes a frame; False if the thread that read it was given up before."""
        with self._lock:
            if not self._current(generation):
                return False
            self._last_sign, self._waiting_first = now, False
            loss, self.loss = self.loss, None
        if loss is not None:
            loss.lasted = now - loss.at
            self.reconnects += 1
            self._on_return(loss)
        return True

    def _lose(self, reason: str) -> None:
        with self._lock:
            if self.loss is not None:
                return
            self.loss = Loss(at=time.monotonic(), reason=reason)
        self._on_loss(self.loss)

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._handoff.close()

    def _current(self, generation: int) -> bool:
        return generation == self._generation and not self._stopped.is_set()
