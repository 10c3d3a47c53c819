"""Images to look at: the data set's, its labels, and what each model makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.data.dataset import Dataset
from edgeseg.report.results import Example, Panel
from edgeseg.runtime.result import Result

_WIDTH = 480
_JPEG_QUALITY = 85

Segment = Callable[[Uint8, int, int], Uint8]
"""segment(image, height, width) -> label map of that size."""


def make_examples(dataset: Dataset, models: Sequence[tuple[str, Segment]], count: int) -> tuple[Example, ...]:
    """Runs the models on `count` images, evenly spread over the data set.

    Args:
        dataset: Images and labels.
        models: Caption and segmentation of each model.
        count: How many images; 0 for none.
    """
    count = min(count, len(dataset))
    examples = []
    for index in np.linspace(0, len(dataset) - 1, count + 2)[1:-1].round().astype(int):
        image, truth = dataset.load(int(index))
        panels = [Panel(caption="image", jpeg=jpeg(image))]
        panels.append(Panel(caption="labels", jpeg=jpeg(Result(label_map=truth, labels=dataset.labels).overlay(image))))
        for caption, segment in models:
            result = Result(label_map=segment(image, *truth.shape), labels=dataset.labels)
            panels.append(Panel(caption=caption, jpeg=jpeg(result.overlay(image))))
        examples.append(Example(name=dataset.images[int(index)].name, panels=tuple(panels)))
    return tuple(examples)


def jpeg(image: Uint8) -> bytes:
    """Returns an image as JPEG, no wider than a page shows it."""
    height, width = image.shape[:2]
    if width > _WIDTH:
        size = (_WIDTH, max(1, round(height * _WIDTH / width)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return data.tobytes()
