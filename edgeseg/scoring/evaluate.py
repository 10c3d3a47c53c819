"""Accuracy of anything that segments, on a data set, at label resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.card import Score
from edgeseg.data.dataset import Dataset
from edgeseg.errors import DataError, UsageError
from edgeseg.metrics import class_iou, confusion_matrix, miou, pixel_accuracy
from edgeseg.runtime.segmenter import Segmenter

Segment = Callable[[Uint8, int, int], Uint8]
"""segment(picture, height, width) -> label map of that size."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Scores on a split, as fractions of 1.

    Attributes:
        dataset: The data set's name.
        split: Which split of it.
        miou: Mean of the classes' IoU.
        pixel_accuracy: Fraction of labelled pixels that are right.
        class_iou: IoU by class name; NaN for a class that is neither present nor predicted.
        images: Pictures scored.
    """

    dataset: str
    split: str
    miou: float
    pixel_accuracy: float
    class_iou: dict[str, float]
    images: int

    @property
    def score(self) -> Score:
        """What a card tells of it."""
        return Score(
            dataset=self.dataset,
            split=self.split,
            images=self.images,
            miou=self.miou,
            pixel_accuracy=self.pixel_accuracy,
        )


def evaluate(
    segment: Segmenter | Segment,
    dataset: Dataset,
    *,
    limit: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Scores a network on a data set: every label map is compared at its own size.

    Args:
        segment: A Segmenter, or a function from (picture, height, width) to a label map of that size.
        dataset: Pictures and label maps.
        limit: Score only so many pictures, evenly spread; all if None.
        advance: Called with (done, total) pictures.

    Raises:
        DataError: The data set is empty or has another number of classes, or `segment` gives a class that it has not.
        UsageError: The limit is below 1.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit {limit}: expected 1 picture or more")
    call = segment.segment if isinstance(segment, Segmenter) else segment
    if isinstance(segment, Segmenter):
        check_classes(segment, dataset)
    count = len(dataset) if limit is None else min(limit, len(dataset))
    if count < 1:
        raise DataError(f"the {dataset.name} {dataset.split} split has no image to score")
    labels = dataset.labels
    total = np.zeros((labels.num_classes, labels.num_classes), np.int64)
    for done, index in enumerate(np.linspace(0, len(dataset) - 1, count).round().astype(int), 1):
        image, truth = dataset.load(int(index))
        total += confusion_matrix(truth, call(image, *truth.shape), labels.num_classes, labels.ignore_index)
        if advance:
            advance(done, count)
    scores = class_iou(total)
    return Evaluation(
        dataset=dataset.name,
        split=dataset.split,
        miou=miou(total),
        pixel_accuracy=pixel_accuracy(total),
        class_iou={name: float(score) for name, score in zip(labels.names, scores, strict=True)},
        images=count,
    )


def check_classes(segmenter: Segmenter, dataset: Dataset) -> None:
    """Refuses to score a model on a data set with another number of classes.

    Raises:
        DataError: The numbers differ.
    """
    if segmenter.labels.num_classes != dataset.labels.num_classes:
        raise DataError(
            f"{segmenter.name} has {segmenter.labels.num_classes} classes, the {dataset.name} data set has "
            f"{dataset.labels.num_classes}: score it on the data set it was trained for"
        )
