"""How long the dense CRF takes on the one core that it keeps to.

Neither OMP_NUM_THREADS nor its like need be set; "blas_threads" says what NumPy's BLAS would take by itself.

    python benchmarks/crf_speed.py [--image IMAGE] [--size 360x480] [--classes 11] [--runs 10]

Without an image, one is made up: patches of many colours under light, texture and noise.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
from threadpoolctl import threadpool_info

from edgeseg.arrays import Float32, Uint8
from edgeseg.image import read_image
from edgeseg.refine.crf import CrfParams, refine


def main() -> None:
    """Times `refine` and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--size", default="360x480")
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    height, width = map(int, arguments.size.split("x"))
    rng = np.random.default_rng(0)
    image = made_up(height, width, rng) if arguments.image is None else read_image(arguments.image)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    probabilities = coarse_probabilities(height, width, arguments.classes, rng)
    wall, cpu = [], []
    for _ in range(arguments.runs + 1):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        refine(probabilities, image, CrfParams())
        wall.append(time.perf_counter() - wall_start)
        cpu.append(time.process_time() - cpu_start)
    print(
        json.dumps(
            {
                "size": arguments.size,
                "classes": arguments.classes,
                "iterations": CrfParams().iterations,
                "blas_threads": [library["num_threads"] for library in threadpool_info()],
                "wall_s": summary(wall[1:]),
                "cpu_s": summary(cpu[1:]),
            },
            indent=2,
        )
    )


def summary(seconds: list[float]) -> dict[str, float]:
    """Returns the least and the median, in seconds."""
    return {"min": round(min(seconds), 4), "p50": round(float(np.median(seconds)), 4)}


def made_up(height: int, width: int, rng: np.random.Generator) -> Uint8:
    """Returns an image with about as many colours as a street scene: patches, gradients, texture, noise."""
    ids = cv2.resize(rng.integers(0, 40, (12, 16), np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    image = rng.uniform(20, 230, (40, 3))[ids]
    light = cv2.resize(rng.uniform(0.6, 1.3, (5, 6)), (width, height), interpolation=cv2.INTER_CUBIC)
    image = image * light[..., None] + rng.normal(0, 6, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def coarse_probabilities(height: int, width: int, num_classes: int, rng: np.random.Generator) -> Float32:
    """Returns what a network of stride 16 might say: random logits, upsampled."""
    logits = [
        cv2.resize(rng.normal(0, 3, (height // 16, width // 16)), (width, height), interpolation=cv2.INTER_LINEAR)
        for _ in range(num_classes)
    ]
    raised = np.exp(np.stack(logits, axis=-1))
    return (raised / raised.sum(-1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    main()
