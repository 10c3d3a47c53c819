"""What `--refine` names: functions that make a label map from class probabilities and an image."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from edgeseg.arrays import Float32, Uint8
from edgeseg.errors import unknown_name
from edgeseg.refine.crf import CrfParams, refine

REFINERS = ("crf",)


def open_refiner(name: str | None, seconds: list[float] | None = None) -> Callable[[Float32, Uint8], Uint8] | None:
    """Returns a function (class probabilities, image) -> label map, or None for no name.

    Args:
        name: "crf", or None.
        seconds: Where each call's time is appended, if anywhere.

    Raises:
        UsageError: The name is unknown.
    """
    if name is None:
        return None
    if name not in REFINERS:
        raise unknown_name("refinement", name, REFINERS)
    params = CrfParams()

    def refined(probabilities: Float32, image: Uint8) -> Uint8:
        start = time.perf_counter()
        height, width = probabilities.shape[:2]
        if image.shape[:2] != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        labels: Uint8 = refine(probabilities, image, params).argmax(-1).astype(np.uint8)
        if seconds is not None:
            seconds.append(time.perf_counter() - start)
        return labels

    return refined
