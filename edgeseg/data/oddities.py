"""What the label maps of a split hold, and what about it is odd enough to say before hours of training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8
from edgeseg.data.dataset import Dataset
from edgeseg.errors import DataError
from edgeseg.files import file_digest

MUCH_IGNORED = 0.5
"""A larger share of ignored pixels is told."""

Counts = npt.NDArray[np.int64]


def count_ids(samples: Iterable[tuple[Uint8, Uint8]]) -> Counts:
    """Returns (256,) how many pixels have each id, over (image, label map) pairs."""
    counts = np.zeros(256, np.int64)
    for _, label_map in samples:
        counts += np.bincount(label_map.ravel(), minlength=256)
    return counts


def oddities(dataset: Dataset, counts: Counts) -> tuple[str, ...]:
    """Tells which classes have no pixel, and whether much is ignored.

    Args:
        dataset: The split.
        counts: Of `count_ids`, over all of it.

    Raises:
        DataError: No pixel has a class.
    """
    labels, where = dataset.labels, f"the {dataset.split} split of {dataset.name}"
    known = counts[: labels.num_classes]
    if not known.sum():
        raise DataError(f"{where} has no labelled pixel: every id is {labels.ignore_index}, the ignored one")
    told = []
    missing = [name for name, count in zip(labels.names, known, strict=True) if not count]
    if missing:
        told.append(f"{where} has no pixel of {', '.join(missing)}: check the ids in its label maps")
    ignored = counts[labels.ignore_index] / counts.sum()
    if ignored > MUCH_IGNORED:
        told.append(f"{where} ignores {100 * ignored:.0f} % of its pixels (id {labels.ignore_index})")
    return tuple(told)


def shared_images(files: Sequence[Path], others: Sequence[Path]) -> dict[Path, Path]:
    """Returns which of `files` are, byte for byte, also among `others`, under another path.

    Raises:
        DataError: One cannot be read.
    """
    known = {file_digest(path): path for path in others}
    found = {path: known.get(file_digest(path), path) for path in files}
    return {path: other for path, other in found.items() if other.resolve() != path.resolve()}


def class_weights(counts: npt.NDArray[np.integer]) -> tuple[float, ...]:
    """Returns 1 / ln(1.1 + frequency) of each class, scaled to mean 1 (Paszke et al., "ENet", 2016, section 5.2).

    Args:
        counts: Pixels of each class; not all 0.
    """
    weights = 1 / np.log(1.1 + counts / counts.sum())
    return tuple(float(w) for w in weights / weights.mean())
