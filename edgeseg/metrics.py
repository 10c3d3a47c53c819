"""Scores: IoU, mIoU, pixel accuracy, Dice from one confusion matrix; boundary F; calibration of probabilities."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.errors import DataError, UsageError

Confusion = npt.NDArray[np.int64]
Ratios = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def confusion_matrix(
    truth: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer], num_classes: int, ignore_index: int = 255
) -> Confusion:
    """Counts pixels by true class (rows) and predicted class (columns).

    Args:
        truth: Ids of any shape; pixels with `ignore_index` are left out.
        predicted: Ids of the same shape.
        num_classes: Ids run from 0 to num_classes - 1.
        ignore_index: See `truth`.

    Returns:
        (num_classes, num_classes) int64.

    Raises:
        DataError: The shapes differ, or an id is out of range.
        UsageError: The ids are not whole numbers.
    """
    for name, ids in (("truth", truth), ("prediction", predicted)):
        if ids.dtype.kind not in "iub":
            raise UsageError(f"the {name} holds {ids.dtype}: expected class ids, whole numbers")
    if truth.shape != predicted.shape:
        raise DataError(f"label maps of different sizes: truth {truth.shape}, predicted {predicted.shape}")
    kept = truth != ignore_index
    rows, columns = truth[kept].astype(np.int64), predicted[kept].astype(np.int64)
    for name, ids in (("truth", rows), ("prediction", columns)):
        wrong = ids[(ids < 0) | (ids >= num_classes)]
        if wrong.size:
            raise DataError(
                f"the {name} holds class id {wrong[0]}: expected 0-{num_classes - 1}, or {ignore_index} to ignore"
            )
    counts = np.bincount(rows * num_classes + columns, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def _hits(confusion: Confusion) -> Ratios:
    """Returns the diagonal, after checking that there is one."""
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1] or not confusion.size:
        raise UsageError(f"a confusion matrix of shape {confusion.shape}: expected (classes, classes)")
    diagonal: Ratios = np.diag(confusion).astype(np.float64)
    return diagonal


def class_iou(confusion: Confusion) -> Ratios:
    """Intersection over union of each class; NaN for one that is neither present nor predicted.

    Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective", section 4.3.
    """
    hit = _hits(confusion)
    union = confusion.sum(0) + confusion.sum(1) - hit
    scores: Ratios = np.divide(hit, union, out=np.full(len(hit), np.nan), where=union > 0)
    return scores


def miou(confusion: Confusion) -> float:
    """Mean of `class_iou` over the classes that occur in truth or prediction; 0 if none does."""
    return mean_known(class_iou(confusion))


def mean_known(scores: Ratios) -> float:
    """Mean of the scores of the classes that have one; 0 if none has."""
    return 0.0 if np.isnan(scores).all() else float(np.nanmean(scores))


def pixel_accuracy(confusion: Confusion) -> float:
    """Fraction of the counted pixels whose class is right; 0 if no pixel was counted."""
    total, hits = int(confusion.sum()), _hits(confusion)
    return float(hits.sum() / total) if total else 0.0


def class_dice(confusion: Confusion) -> Ratios:
    """Dice coefficient 2|A∩B| / (|A|+|B|) of each class; NaN for one that is neither present nor predicted."""
    hit = _hits(confusion)
    size = (confusion.sum(0) + confusion.sum(1)).astype(np.float64)
    scores: Ratios = np.divide(2 * hit, size, out=np.full(len(hit), np.nan), where=size > 0)
    return scores


def boundary_f(
    truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], class_id: int, tolerance: int = 2
) -> float:
    """F score of a class's boundary pixels, matched within `tolerance` pixels.

    Csurka et al., "What is a good evaluation measure for semantic segmentation?", BMVC 2013, section 2.2.

    Returns:
        0-1; NaN when the class has no boundary in either map.

    Raises:
        DataError: The shapes differ.
        UsageError: They are not (H, W), or the tolerance is negative.
    """
    if truth.shape != predicted.shape:
        raise DataError(f"label maps of different sizes: truth {truth.shape}, predicted {predicted.shape}")
    if truth.ndim != 2 or tolerance < 0:
        raise UsageError(f"label maps {truth.shape}, tolerance {tolerance}: expected (height, width) and 0 or more")
    true_edge, predicted_edge = _boundary(truth == class_id), _boundary(predicted == class_id)
    if not true_edge.any() and not predicted_edge.any():
        return float("nan")
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tolerance + 1, 2 * tolerance + 1))
    precision = _covered(predicted_edge, cv2.dilate(true_edge.astype(np.uint8), disc) > 0)
    recall = _covered(true_edge, cv2.dilate(predicted_edge.astype(np.uint8), disc) > 0)
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def _boundary(mask: Mask) -> Mask:
    eroded = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    edge: Mask = mask & (eroded == 0)
    return edge


def _covered(edge: Mask, near: Mask) -> float:
    total = int(edge.sum())
    return float((edge & near).sum() / total) if total else 0.0


class CalibrationError:
    """How far a network's confidence is from its accuracy: the expected calibration error (ECE) over many images.

    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, equation 3, with 15 bins of
    equal width; a pixel's confidence is the probability of the class that is chosen.

    Args:
        bins: Into how many the confidence is divided.
        ignore_index: The label of pixels that do not count.
    """

    def __init__(self, bins: int = 15, ignore_index: int = 255) -> None:
        self._ignore_index = ignore_index
        self._pixels = np.zeros(bins, np.int64)
        self._confidence = np.zeros(bins)
        self._right = np.zeros(bins)

    def add(self, probabilities: npt.NDArray[np.floating], truth: npt.NDArray[np.integer]) -> None:
        """Counts an image.

        Args:
            probabilities: (H, W, classes), each pixel's sum to 1.
            truth: (H, W) class ids.

        Raises:
            DataError: The sizes differ.
        """
        if probabilities.ndim != 3 or probabilities.shape[:2] != truth.shape:
            raise DataError(
                f"probabilities {probabilities.shape}, truth {truth.shape}: expected (H, W, classes), (H, W)"
            )
        counted = truth != self._ignore_index
        chosen = probabilities.argmax(2)[counted]
        confidence = probabilities.max(2)[counted].astype(np.float64)
        bins = len(self._pixels)
        place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # the paper's bins are open below
        self._pixels += np.bincount(place, minlength=bins)
        self._confidence += np.bincount(place, confidence, bins)
        self._right += np.bincount(place, chosen == truth[counted], bins)

    @property
    def value(self) -> float:
        """The error, 0-1; NaN before any pixel is counted."""
        total = int(self._pixels.sum())
        return float(np.abs(self._right - self._confidence).sum() / total) if total else float("nan")
