"""Accuracy of anything that segments, on a data set, at label resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeseg.data.dataset import Dataset
from edgeseg.errors import DataError
from edgeseg.image import Uint8
from edgeseg.metrics import class_iou, confusion_matrix, miou, pixel_accuracy

Segment = Callable[[Uint8, int, int], Uint8]
"""segment(picture, height, width) -> label map of that size."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Scores on a split, as fractions of 1.

    Attributes:
        miou: Mean of the classes' IoU.
        pixel_accuracy: Fraction of labelled pixels that are right.
        class_iou: IoU by class name; NaN for a class that is neither present nor predicted.
        images: Pictures scored.
    """

    miou: float
    pixel_accuracy: float
    class_iou: dict[str, float]
    images: int


def evaluate(
    segment: Segment,
    dataset: Dataset,
    *,
    limit: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Scores `segment` on a data set.

    Args:
        segment: What to score.
        dataset: Pictures and label maps; the label map's size is the size that is scored.
        limit: Score only so many pictures, evenly spread; all if None.
        advance: Called with (done, total) pictures.

    Raises:
        DataError: The data set is empty, or `segment` gives a class that it does not have.
    """
    count = len(dataset) if limit is None else min(limit, len(dataset))
    if count < 1:
        raise DataError(f"the {dataset.name} {dataset.split} split has no image to score")
    labels = dataset.labels
    total = np.zeros((labels.num_classes, labels.num_classes), np.int64)
    for done, index in enumerate(np.linspace(0, len(dataset) - 1, count).round().astype(int), 1):
        image, truth = dataset.load(int(index))
        total += confusion_matrix(truth, segment(image, *truth.shape), labels.num_classes, labels.ignore_index)
        if advance:
            advance(done, count)
    scores = class_iou(total)
    return Evaluation(
        miou=miou(total),
        pixel_accuracy=pixel_accuracy(total),
        class_iou={name: float(score) for name, score in zip(labels.names, scores, strict=True)},
        images=count,
    )
