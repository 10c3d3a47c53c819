"""What a network gives for each class, before anything is decided or upsampled: what may be blended."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.decoder import one_per_class
from edgeseg.runtime.segmenter import Segmenter


def class_scores(segmenter: Segmenter) -> npt.NDArray[Any]:
    """Returns what the last `invoke` gave for each class, at the network's output size.

    Args:
        segmenter: One that was prepared with an image that fills its input.

    Returns:
        (h, w, classes), a copy; the strongest of a pixel is its class. Logits are in the file's own (quantized) units,
        of a network of one channel with its threshold as class 0; class ids become 1 for the class, 0 for the others.
    """
    if segmenter.output_kind == "labels":
        return np.eye(segmenter.labels.num_classes, dtype=np.int8)[segmenter.label_map()]
    return one_per_class(segmenter.logits(), segmenter.output_spec)
