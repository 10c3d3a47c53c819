"""Nothing grows: memory, threads and descriptors over a long run with a source that is lost again and again.

    python benchmarks/live_soak.py MODEL.tflite [--minutes 10] [--lost-every 2]

Prints JSON: resident memory after the first minute and at the end, threads and open files before and after.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from pathlib import Path

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.errors import SourceError
from edgeseg.live.options import RunOptions
from edgeseg.live.outputs import Output
from edgeseg.live.packet import Packet
from edgeseg.live.pipeline import Pipeline
from edgeseg.runtime.segmenter import Segmenter

FRAME = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)


class Flaky:
    """A camera at 30 frames a second that is lost after some seconds, and holds a file open as a device would be."""

    name, live, fps = "flaky", True, 30.0

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._device = open("/dev/zero", "rb")  # noqa: SIM115 - closed in close

    def read(self, into: Uint8 | None) -> tuple[Uint8, float]:
        """Gives a frame, or is lost."""
        time.sleep(1 / self.fps)
        if time.monotonic() > self._end:
            raise SourceError("lost")
        frame = np.empty_like(FRAME) if into is None else into
        np.copyto(frame, FRAME)
        return frame, time.monotonic()

    def frame_name(self) -> str:
        """Frames have numbers only."""
        return ""

    def close(self) -> None:
        """Closes the device."""
        self._device.close()


class Screen(Output):
    """An output that wants the overlay and throws it away."""

    name, wants_overlay = "screen", True

    def write(self, packet: Packet) -> None:
        """Looks at it."""


def rss_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Runs and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--lost-every", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--settle", type=float, default=60.0, metavar="SECONDS", help="before memory is compared")
    options = parser.parse_args()
    segmenter = Segmenter(options.model)
    descriptors = len(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    pipeline = Pipeline(
        segmenter, Flaky(options.lost_every), lambda: Flaky(options.lost_every),
        options=RunOptions(seconds=options.minutes * 60),
    )  # fmt: skip
    memory: list[tuple[float, int]] = []
    watching = threading.Event()

    def watch() -> None:
        start = time.monotonic()
        while not watching.wait(1.0):
            memory.append((time.monotonic() - start, rss_bytes()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    stats = pipeline.run([Screen()])
    watching.set()
    watcher.join()
    settled = [used for at, used in memory if at >= options.settle] or [memory[-1][1]]
    print(
        json.dumps(
            {
                "frames": stats.frames,
                "reconnects": stats.reconnects,
                "rss_settled_mb": settled[0] / 1e6,
                "rss_end_mb": settled[-1] / 1e6,
                "rss_by_minute_mb": [round(used / 1e6, 1) for at, used in memory if int(at) % 60 == 0],
                "growth": settled[-1] / settled[0] - 1,
                "threads": [threads, threading.active_count()],
                "descriptors": [descriptors, len(os.listdir("/proc/self/fd"))],
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
