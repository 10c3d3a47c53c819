"""How sure a score is: bootstrap intervals over images, for one network and for the difference of two.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3 (the percentile interval): images are
drawn with replacement, as many as there are, and the score is taken anew each time. Pixels of one image are no
independent observations, images nearly are (frames of one video less so: then the intervals are too narrow).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeseg.errors import DataError
from edgeseg.scoring.evaluate import ImageCounts

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a score would lie with other images of the same kind, with a probability of `LEVEL`."""

    low: float
    high: float


def miou_interval(counts: ImageCounts, seed: int = 0) -> Interval:
    """Returns the interval of the mIoU.

    Args:
        counts: What was counted in each image.
        seed: Of the resampling.
    """
    return _interval(_resampled(counts, _draws(len(counts.names), seed)))


def difference_interval(ours: ImageCounts, theirs: ImageCounts, seed: int = 0) -> Interval:
    """Returns the interval of the difference of two networks' mIoU, ours less theirs, on the same images.

    Both are scored on the same draws, so what makes an image hard for both does not blur the difference.

    Raises:
        DataError: The images are not the same.
    """
    if ours.names != theirs.names:
        raise DataError(f"{len(ours.names)} and {len(theirs.names)} images: expected the same, in the same order")
    draws = _draws(len(ours.names), seed)
    return _interval(_resampled(ours, draws) - _resampled(theirs, draws))


def _draws(count: int, seed: int) -> npt.NDArray[np.int64]:
    """Returns (RESAMPLES, count) how often each image is drawn."""
    random = np.random.default_rng(seed)
    return random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)


def _resampled(counts: ImageCounts, draws: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Returns (RESAMPLES,) the mIoU of each draw."""
    hits, truth, predicted = (draws @ part for part in (counts.hits, counts.truth, counts.predicted))
    union = truth + predicted - hits
    iou = np.divide(hits, union, out=np.zeros(union.shape), where=union > 0)
    mious: npt.NDArray[np.float64] = iou.sum(1) / np.maximum(1, (union > 0).sum(1))
    return mious


def _interval(scores: npt.NDArray[np.float64]) -> Interval:
    low, high = np.quantile(scores, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high))
