"""What the live loop costs beside inference, measured in one run on one machine, as ratios.

    EDGESEG_TEST_DATA=<folder> python benchmarks/live_overhead.py [--model FILE.tflite] [--seconds 5]

- serial: one 1080p frame through everything but `invoke` (resize into the input, label map, overlay), beside the naive
  path (float input, logits resized to 1080p, NumPy blend); each frame is written into the loop's one buffer first, as a
  camera's driver does, and that is not counted;
- pipelined: the period of `Pipeline` on a 1080p source with the overlay drawn, over the period of bare `invoke`, in
  alternating blocks, each compared with those before and after it;
- viewers: masks per second at a 30 frames a second source with five viewers of the browser view, over without;
- age: capture stamp to mask at a 30 frames a second source, against 1.5 (period + invoke).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.live.options import RunOptions
from edgeseg.live.outputs import Output
from edgeseg.live.outputs.browser import BrowserView
from edgeseg.live.overlay import Overlay
from edgeseg.live.packet import Packet
from edgeseg.live.pipeline import Pipeline
from edgeseg.runtime.segmenter import Segmenter

FRAME_SIZE = (1080, 1920)


class Images:
    """A source that gives the same few frames, as fast as it is asked or at a rate.

    `live` sources are timed: each frame exists from its due time on.
    """

    def __init__(self, frames: list[Uint8], *, fps: float | None) -> None:
        self.name, self.fps, self.live = "images", fps, fps is not None
        self._frames, self._next, self._start = frames, 0, time.monotonic()

    def read(self, into: Uint8 | None) -> tuple[Uint8, float]:
        """Gives the next frame: copied into the buffer, as a camera's driver would."""
        frame = self._frames[self._next % len(self._frames)]
        if self.fps:
            due = self._start + self._next / self.fps
            time.sleep(max(0.0, due - time.monotonic()))
        self._next += 1
        stamp = time.monotonic()
        if into is None or into.shape != frame.shape:
            return frame.copy(), stamp
        np.copyto(into, frame)
        return into, stamp

    def frame_name(self) -> str:
        """Frames have numbers only."""
        return ""

    def close(self) -> None:
        """Nothing is open."""


class Screen(Output):
    """An output that wants the overlay and throws it away."""

    name, wants_overlay = "screen", True

    def write(self, packet: Packet) -> None:
        """Looks at it."""


def frames(count: int = 4) -> list[Uint8]:
    """Makes smooth 1080p images that differ."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (count, 9, 16, 3), np.uint8)
    return [cv2.resize(image, FRAME_SIZE[::-1], interpolation=cv2.INTER_CUBIC) for image in small]


def median_ms(seconds: list[float]) -> float:
    """The median of some seconds, in milliseconds."""
    return float(np.median(seconds) * 1000)


def serial(segmenter: Segmenter, images: list[Uint8], rounds: int) -> dict[str, float]:
    """Times everything but invoke for one frame after the other, beside the naive path."""
    overlay = Overlay(segmenter.labels)
    label_map = np.empty(segmenter.output_size, np.uint8)
    frame = np.empty_like(images[0])
    ours, naive = [], []
    for index in range(rounds):
        np.copyto(frame, images[index % len(images)])
        start = time.perf_counter()
        segmenter.prepare(frame)
        prepared = time.perf_counter()
        segmenter.invoke()
        invoked = time.perf_counter()
        overlay.render(frame, segmenter.label_map(label_map), "30.0 fps  14.6 ms")
        ours.append(time.perf_counter() - invoked + prepared - start)
        if index % 8 == 0:
            naive.append(naive_path(segmenter, frame))
    return {
        "ours_ms": median_ms(ours),
        "naive_ms": median_ms(naive),
        "naive_over_ours": np.median(naive) / np.median(ours),
    }


def naive_path(segmenter: Segmenter, frame: Uint8) -> float:
    """Seconds of the path that most examples show: float input, logits to the frame's size, NumPy argmax and blend."""
    height, width = frame.shape[:2]
    rows, columns = segmenter.output_size
    classes = segmenter.labels.num_classes
    palette = np.array(segmenter.labels.colors, np.uint8)[:, ::-1]
    logits = np.random.default_rng(0).random((rows // 8, columns // 8, classes), np.float32)
    start = time.perf_counter()
    resized = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), (segmenter.input.width, segmenter.input.height))
    _ = (resized.astype(np.float32) - 127.5) / 127.5
    large = np.stack([cv2.resize(logits[:, :, i], (width, height)) for i in range(classes)], axis=-1)
    colour = palette[np.argmax(large, axis=-1)]
    _ = (frame * 0.5 + colour * 0.5).astype(np.uint8)
    return time.perf_counter() - start


def bare_period(segmenter: Segmenter, seconds: float) -> float:
    """Milliseconds per invoke, nothing else going on: the mean, as the loop's rate is one."""
    count, start = 0, time.perf_counter()
    while (now := time.perf_counter()) - start < seconds:
        segmenter.invoke()
        count += 1
    return (now - start) * 1000 / count


def pipelined_period(segmenter: Segmenter, images: list[Uint8], seconds: float) -> float:
    """Milliseconds per mask of the whole loop, source as fast as it goes, overlay drawn."""
    pipeline = Pipeline(
        segmenter, Images(images, fps=None), lambda: Images(images, fps=None),
        options=RunOptions(seconds=seconds),
    )  # fmt: skip
    pipeline.run([Screen()])
    return 1000 / pipeline.fps()


def age(segmenter: Segmenter, images: list[Uint8], seconds: float) -> dict[str, float]:
    """Frame age at a 30 frames a second source."""
    pipeline = Pipeline(
        segmenter, Images(images, fps=30), lambda: Images(images, fps=30), options=RunOptions(seconds=seconds)
    )
    stats = pipeline.run([Screen()])
    period, invoke = 1000 / stats.fps, stats.stages_ms["invoke"]["p50"]
    p99 = stats.stages_ms["end_to_end"]["p99"]
    return {"age_p99_ms": p99, "allowed_ms": 1.5 * (period + invoke), "ratio": p99 / (period + invoke)}


VIEWER = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
connection.request("GET", "/stream?view=overlay")
stream = connection.getresponse()
while stream.read(65536): pass
"""


def viewers(segmenter: Segmenter, images: list[Uint8], seconds: float, blocks: int, count: int = 5) -> float:
    """The loop's rate with viewers over its rate without, in alternating blocks; each viewer is a process."""
    ratios = []
    for _ in range(blocks):
        rates = []
        for watching in (0, count):
            view = BrowserView("0", segmenter.labels)
            port = view.url.rstrip("/").rpartition(":")[2]
            processes = [subprocess.Popen([sys.executable, "-c", VIEWER, port]) for _ in range(watching)]
            pipeline = Pipeline(
                segmenter, Images(images, fps=30), lambda: Images(images, fps=30),
                options=RunOptions(seconds=seconds),
            )  # fmt: skip
            rates.append(pipeline.run([view]).fps)
            for process in processes:
                process.kill()
                process.wait()
        ratios.append(rates[1] / rates[0])
    return float(np.median(ratios))


def main() -> None:
    """Measures and prints JSON."""
    data = os.environ.get("EDGESEG_TEST_DATA", "")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(Path(data) / "backbones/deeplabv3_mnv2_dm05_pascal_quant.tflite"))
    parser.add_argument("--seconds", type=float, default=3.0, help="of each block")
    parser.add_argument("--blocks", type=int, default=6)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    sys.setswitchinterval(0.0005)
    segmenter, images = Segmenter(options.model), frames()
    bare_period(segmenter, 0.5)
    bare, pipelined = [bare_period(segmenter, options.seconds)], []
    for _ in range(options.blocks):
        pipelined.append(pipelined_period(segmenter, images, options.seconds))
        bare.append(bare_period(segmenter, options.seconds))
    ratios = [2 * whole / (bare[i] + bare[i + 1]) for i, whole in enumerate(pipelined)]
    result = {
        "serial": serial(segmenter, images, 200),
        "bare_ms": bare,
        "pipelined_ms": pipelined,
        "pipelined_over_bare": float(np.median(ratios)),
        "viewers": viewers(segmenter, images, options.seconds, options.blocks),
        "age": age(segmenter, images, 2 * options.seconds),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
