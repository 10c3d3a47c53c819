"""Measures how fast the synthetic aerial set is rendered: `python benchmarks/synthetic_speed.py [--images 200]`.

Images of 256x320 are rendered, not written, by one process for each processor, as `edgeseg data synth` does. Prints
images a second over all processes, and the processor time that one image takes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time

import cv2

from edgeseg.synth import aerial


def render(index: int) -> float:
    """Renders one image; returns the processor time, seconds."""
    cv2.setNumThreads(1)
    start = time.process_time()
    aerial.render(index, seed=0, height=256, width=320)
    return time.process_time() - start


def main() -> None:
    """Renders and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        pool.map(render, range(2 * options.processes))  # imports, noise tiles
        start = time.perf_counter()
        busy = pool.map(render, range(options.images), chunksize=4)
        wall = time.perf_counter() - start
    print(
        f"{options.images} images of 256x320 in {wall:.2f} s by {options.processes} processes: "
        f"{options.images / wall:.1f} images/s; {1000 * sum(busy) / len(busy):.1f} ms of processor time each"
    )


if __name__ == "__main__":
    main()
