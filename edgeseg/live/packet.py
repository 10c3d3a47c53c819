"""What travels through the pipeline, and how it is handed from thread to thread.

Packets own buffers (frame, input tensor, label map) that are filled again and again: in steady state a frame costs no
allocation. Whoever takes a packet out of a handoff passes it on or gives it back to the pool.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import numpy.typing as npt

from edgeseg.arrays import Uint8
from edgeseg.runtime.segmenter import Segmenter


class Packet:
    """One frame on its way.

    Attributes:
        index: Number of the frame, counted at capture.
        name: The frame's own name; "" if it has none.
        image: (H, W, 3) uint8, blue-green-red; None for a packet that only says that the source is lost.
        lane: The interpreter that this frame is in, as its input or as its output; None if it is in none.
        tensor: The network's input made of it, where no interpreter was free.
        staged_for: Whose input `tensor` is, where networks may be replaced; None if it holds none.
        labels: Buffer of the label map.
        label_map: The label map, a view of `labels`; None before inference and where the mask is invalid.
        captured: Capture time, on the clock of `time.monotonic`.
        ready: When the mask was ready, same clock.
        capture_s: Seconds spent on reading it.
        preprocess_s: Seconds spent on making `tensor`.
        invoke_s: Seconds that the network took.
        valid: Whether the mask is of a source that is alive.
        reason: Why not.
        overlay: The frame with the mask over it, once rendered.
    """

    __slots__ = (
        "capture_s", "captured", "image", "index", "invoke_s", "label_map", "labels", "lane", "name", "overlay",
        "preprocess_s", "ready", "reason", "staged_for", "tensor", "valid",
    )  # fmt: skip

    def __init__(self, tensor: npt.NDArray[Any], labels: Uint8) -> None:
        self.tensor = tensor
        self.labels = labels
        self.lane: Segmenter | None = None
        self.staged_for: Segmenter | None = None
        self.image: Uint8 | None = None
        self.label_map: Uint8 | None = None
        self.overlay: Uint8 | None = None
        self.index = -1
        self.name = ""
        self.captured = self.ready = 0.0
        self.capture_s = self.preprocess_s = self.invoke_s = 0.0
        self.valid = True
        self.reason = ""


class Handoff:
    """Passes packets from one thread to the next.

    Args:
        capacity: Packets that may wait.
        drop: Whether the oldest makes room for a newer one; else the giver waits.

    Attributes:
        drops: The same.
    """

    def __init__(self, capacity: int, *, drop: bool) -> None:
        self.drops = drop
        self._capacity = capacity
        self._waiting: deque[Packet] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._takers = 0

    def put(self, packet: Packet) -> Packet | None:
        """Hands a packet on.

        Returns:
            One that will not be delivered: an older one that made room, or this one if the handoff is closed.
        """
        with self._changed:
            dropped = None
            while len(self._waiting) >= self._capacity and not self._closed:
                if self.drops:
                    dropped = self._waiting.popleft()
                else:
                    self._changed.wait()
            if self._closed:
                return packet
            self._waiting.append(packet)
            self._changed.notify_all()
            return dropped

    def offer(self, packet: Packet) -> bool:
        """Hands a packet on if there is room now; says whether it did."""
        with self._changed:
            if self._closed or len(self._waiting) >= self._capacity:
                return False
            self._waiting.append(packet)
            self._changed.notify_all()
            return True

    def get(self, timeout: float) -> Packet | None:
        """Waits for a packet; None after `timeout` seconds, or when the handoff is closed and empty."""
        end = time.monotonic() + timeout
        with self._changed:
            while not self._waiting:
                left = end - time.monotonic()
                if self._closed or left <= 0:
                    return None
                self._takers += 1
                self._changed.wait(left)
                self._takers -= 1
            packet = self._waiting.popleft()
            self._changed.notify_all()
            return packet

    def close(self) -> None:
        """Refuses further packets; those that wait can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for a packet right now."""
        return self._takers > 0

    @property
    def finished(self) -> bool:
        """Whether it is closed and empty."""
        with self._changed:
            return self._closed and not self._waiting
