"""What is measured beside the confusion matrix while images are scored: boundaries, and confidence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8
from edgeseg.card import LabelSet
from edgeseg.errors import UsageError
from edgeseg.metrics import CalibrationError, boundary_f, mean_known
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.scoring.evaluate import Evaluation, Watch


class BoundaryScore:
    """The boundary F score of each class, as mean over the images in which it has a boundary.

    Csurka et al., "What is a good evaluation measure for semantic segmentation?", BMVC 2013, section 2.2; see
    `edgeseg.metrics.boundary_f`. Edges that a network draws where no label says what is there do not count.

    Args:
        labels: The classes.
        tolerance: Pixels by which an edge may be off.
    """

    def __init__(self, labels: LabelSet, tolerance: int = 2) -> None:
        self._labels, self._tolerance = labels, tolerance
        self._scores: list[list[float]] = []

    def watch(self, index: int, image: Uint8, truth: Uint8, predicted: Uint8) -> None:
        """Scores an image; for `edgeseg.scoring.evaluate.evaluate`."""
        counted = np.where(truth == self._labels.ignore_index, truth, predicted).astype(np.uint8, copy=False)
        classes = range(self._labels.num_classes)
        self._scores.append([boundary_f(truth, counted, number, self._tolerance) for number in classes])

    @property
    def by_class(self) -> dict[str, float]:
        """0-1 by class name; NaN for a class that has no boundary in any image."""
        scores = np.array(self._scores).reshape(-1, self._labels.num_classes)
        known = ~np.isnan(scores)
        total, count = np.nansum(scores, 0), known.sum(0)
        means = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
        return {name: float(mean) for name, mean in zip(self._labels.names, means, strict=True)}

    @property
    def mean(self) -> float:
        """Mean over the classes that have one."""
        return mean_known(np.array(list(self.by_class.values())))


def calibration_watch(segmenter: Segmenter, ignore_index: int) -> tuple[CalibrationError, Watch]:
    """Returns a calibration error and what measures it of a Segmenter whose images are being scored.

    Raises:
        UsageError: The network gives class ids, and no probabilities.
    """
    if segmenter.output_kind != "logits":
        raise UsageError(
            f"{segmenter.name} gives class ids: the calibration error is of probabilities, leave --ece out"
        )
    error = CalibrationError(ignore_index=ignore_index)

    def watch(index: int, image: Uint8, truth: Uint8, predicted: Uint8) -> None:
        error.add(segmenter.probabilities(*truth.shape), truth)

    return error, watch


def worst_images(scores: Evaluation, number: int) -> tuple[tuple[int, str, float], ...]:
    """Returns (index in the data set, name, mIoU) of the images with the lowest mIoU, lowest first."""
    if scores.per_image is None:
        return ()
    miou: npt.NDArray[np.float64] = scores.per_image.miou
    names, indices = scores.per_image.names, scores.per_image.indices
    return tuple((indices[n], names[n], float(miou[n])) for n in np.argsort(miou, kind="stable")[:number])


worst_pictures = worst_images
"""The former name of `worst_images`."""


def confusions(scores: Evaluation, number: int) -> tuple[tuple[str, str, float], ...]:
    """Returns the commonest mistakes, (true class, taken for, share of the true class's pixels), largest first."""
    if scores.confusion is None:
        return ()
    names = list(scores.class_iou)
    shares = scores.confusion / np.maximum(1, scores.confusion.sum(1, keepdims=True))
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:number]
    pairs = [divmod(int(place), len(names)) for place in order]
    return tuple(
        (names[row], names[column], float(shares[row, column])) for row, column in pairs if shares[row, column]
    )
