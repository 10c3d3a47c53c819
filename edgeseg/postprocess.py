"""From logits to label maps."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.image import Uint8


def label_map(logits: npt.NDArray[Any], height: int, width: int) -> Uint8:
    """Upsamples logits bilinearly and takes the strongest class of each pixel.

    Args:
        logits: (h, w, classes), float or integer; half-pixel centres.
        height: Rows wanted.
        width: Columns wanted.

    Returns:
        (height, width) uint8 class ids; ties go to the lower id.
    """
    best = np.full((height, width), -np.inf, np.float32)
    labels = np.zeros((height, width), np.uint8)
    for class_id in range(logits.shape[2]):
        plane = np.ascontiguousarray(logits[:, :, class_id], np.float32)
        if plane.shape != (height, width):
            plane = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
        stronger = plane > best
        labels[stronger] = class_id
        np.maximum(best, plane, out=best)
    return labels
