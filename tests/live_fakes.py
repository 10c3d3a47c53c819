"""Sources for the live loop that do what a test says: frames from a list, a loss, a read that never returns."""

import threading
import time

from edgeseg.errors import SourceError
from edgeseg.live.outputs import Output


class ListSource:
    """Frames from a list, then the end; not live."""

    live = False

    def __init__(self, frames, fps=None):
        self.name, self.fps = "list", fps
        self.frames, self.next, self.closed = list(frames), 0, False

    def read(self, into):
        if self.next == len(self.frames):
            return None
        self.next += 1
        return self.frames[self.next - 1], time.monotonic()

    def frame_name(self):
        return f"image{self.next - 1}"

    def close(self):
        self.closed = True


class FakeCamera:
    """A live source: `count` frames at `fps`, then what `then` says.

    Args:
        frame: What it sees.
        count: Frames until something happens; None for ever.
        then: "lost" raises SourceError, "hang" blocks until `release` is called.
    """

    live = True

    def __init__(self, frame, count=None, then="lost", fps=50.0):
        self.name, self.fps = "fake camera", fps
        self.frame, self.count, self.then = frame, count, then
        self.given, self.closed = 0, False
        self.released = threading.Event()

    def read(self, into):
        if self.given == self.count:
            if self.then == "hang":
                self.released.wait()
            raise SourceError("fake camera gives no more frames")
        time.sleep(1 / self.fps)
        self.given += 1
        return self.frame, time.monotonic()

    def frame_name(self):
        return ""

    def release(self):
        self.released.set()

    def close(self):
        self.closed = True


class Notebook(Output):
    """An output that writes down what it is given."""

    name = "notebook"

    wants_overlay = False

    def __init__(self, wants_overlay=False, pause=0.0):
        self.wants_overlay, self.pause = wants_overlay, pause
        self.results, self.events, self.overlays, self.closed_down = [], [], [], False

    def write(self, packet):
        time.sleep(self.pause)
        label_map = None if packet.label_map is None else packet.label_map.copy()
        self.results.append((packet.index, packet.valid, label_map))
        if packet.overlay is not None:
            self.overlays.append(packet.overlay.copy())

    def event(self, event):
        self.events.append({**event, "at": time.monotonic()})

    def close(self):
        self.closed_down = True

    def kinds(self):
        return [event["event"] for event in self.events]
