"""Accuracy of anything that segments, on a data set, at label resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8
from edgeseg.card import LabelSet
from edgeseg.data.dataset import Dataset
from edgeseg.errors import DataError, UsageError
from edgeseg.metrics import Confusion, Ratios, class_dice, class_iou, confusion_matrix, mean_known, pixel_accuracy
from edgeseg.provenance import Score
from edgeseg.runtime.segmenter import Segmenter

Segment = Callable[[Uint8, int, int], Uint8]
"""segment(image, height, width) -> label map of that size."""

Watch = Callable[[int, Uint8, Uint8, Uint8], None]
"""watch(index, image, truth, predicted), called after each image, while the network still holds its output."""


@dataclass(frozen=True, kw_only=True)
class ImageCounts:
    """What was counted in each image, in their order: enough for every score of any choice of them.

    Attributes:
        names: File names of the images.
        indices: Their places in the data set.
        hits: (images, classes) pixels of each class that were found.
        truth: (images, classes) labelled pixels of each class.
        predicted: (images, classes) labelled pixels that were taken for each class.
    """

    names: tuple[str, ...]
    indices: tuple[int, ...]
    hits: npt.NDArray[np.int64]
    truth: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]

    @property
    def class_iou(self) -> Ratios:
        """(images, classes) IoU; NaN where a class is neither present nor predicted."""
        union = self.truth + self.predicted - self.hits
        scores: Ratios = np.divide(self.hits, union, out=np.full(union.shape, np.nan), where=union > 0)
        return scores

    @property
    def miou(self) -> Ratios:
        """(images,) mean IoU of the classes that occur in each; 0 where none does."""
        iou = self.class_iou
        means: Ratios = np.nansum(iou, 1) / np.maximum(1, (~np.isnan(iou)).sum(1))
        return means

    @property
    def pixel_accuracy(self) -> Ratios:
        """(images,) fraction of the labelled pixels that are right; 0 where none is labelled."""
        shares: Ratios = self.hits.sum(1) / np.maximum(1, self.truth.sum(1))
        return shares


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Scores on a split, as fractions of 1.

    Attributes:
        dataset: The data set's name.
        split: Which split of it.
        miou: Mean of the classes' IoU.
        pixel_accuracy: Fraction of labelled pixels that are right.
        class_iou: IoU by class name; NaN for a class that is neither present nor predicted.
        images: Images scored.
        class_dice: Dice coefficient by class name; NaN likewise.
        confusion: (classes, classes) pixels by true class (rows) and predicted class; None if it was not kept.
        per_image: What was counted in each image; None if it was not kept.
    """

    dataset: str
    split: str
    miou: float
    pixel_accuracy: float
    class_iou: dict[str, float]
    images: int
    class_dice: dict[str, float] = field(default_factory=dict)
    confusion: Confusion | None = field(default=None, compare=False, repr=False)
    per_image: ImageCounts | None = field(default=None, compare=False, repr=False)

    @property
    def pictures(self) -> ImageCounts | None:
        """The former name of `per_image`."""
        return self.per_image

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
    watch: Watch | None = None,
    unknown: int | None = None,
) -> Evaluation:
    """Scores a network on a data set: every label map is compared at its own size.

    Args:
        segment: A Segmenter, or a function from (image, height, width) to a label map of that size.
        dataset: Images and label maps.
        limit: Score only so many images, evenly spread; all if None.
        advance: Called with (done, total) images.
        watch: Called after each image, for what else is to be measured or shown.
        unknown: An id that `segment` gives where it sees what the data set has no class for: the pixel's true class is
            missed, and no other is charged with it.

    Raises:
        DataError: The data set is empty or has another number of classes, or `segment` gives a class that it has not.
        UsageError: The limit is below 1.
    """
    indices = chosen_indices(dataset, limit)
    call = segment.segment if isinstance(segment, Segmenter) else segment
    if isinstance(segment, Segmenter):
        check_classes(segment, dataset)
    labels, classes, count = dataset.labels, dataset.labels.num_classes, len(indices)
    total = np.zeros((classes + 1, classes + 1), np.int64)  # the last column is `unknown`, the last row stays empty
    counts = np.zeros((3, count, classes), np.int64)
    for done, index in enumerate(indices):
        image, truth = dataset.load(index)
        predicted = call(image, *truth.shape)
        ids = predicted if unknown is None else np.where(predicted == unknown, classes, predicted)
        found = confusion_matrix(truth, ids, classes + (unknown is not None), labels.ignore_index)
        found = np.pad(found, (0, classes + 1 - len(found)))
        counts[:, done] = np.stack([np.diag(found), found.sum(1), found.sum(0)])[:, :classes]
        total += found
        if watch:
            watch(index, image, truth, predicted)
        if advance:
            advance(done + 1, count)
    names = tuple(dataset.images[index].name for index in indices)
    per_image = ImageCounts(names=names, indices=indices, hits=counts[0], truth=counts[1], predicted=counts[2])
    return evaluation_of(total, dataset, count, per_image)


def chosen_indices(dataset: Dataset, limit: int | None) -> tuple[int, ...]:
    """Returns the places of the images that are scored: all, or `limit` of them, evenly spread.

    Raises:
        DataError: There are none.
        UsageError: The limit is below 1.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit {limit}: expected 1 image or more")
    count = len(dataset) if limit is None else min(limit, len(dataset))
    if count < 1:
        raise DataError(f"the {dataset.name} {dataset.split} split has no image to score")
    return tuple(np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist())


def evaluation_of(total: Confusion, dataset: Dataset, count: int, per_image: ImageCounts | None = None) -> Evaluation:
    """Returns the scores that a confusion matrix gives.

    Args:
        total: (classes, classes) pixels by true class (rows) and predicted class; a row and a column more where there
            is an id for what the data set has no class for.
        dataset: What was scored.
        count: Images scored.
        per_image: What was counted in each.
    """
    labels, classes = dataset.labels, dataset.labels.num_classes
    return Evaluation(
        dataset=dataset.name,
        split=dataset.split,
        miou=mean_known(class_iou(total)[:classes]),
        pixel_accuracy=pixel_accuracy(total),
        class_iou=_by_name(labels, class_iou(total)[:classes]),
        images=count,
        class_dice=_by_name(labels, class_dice(total)[:classes]),
        confusion=total[:classes, :classes],
        per_image=per_image,
    )


def _by_name(labels: LabelSet, scores: Ratios) -> dict[str, float]:
    return {name: float(score) for name, score in zip(labels.names, scores, strict=True)}


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
