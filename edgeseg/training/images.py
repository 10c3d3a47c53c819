"""The images of a training: read once before it begins, and kept in memory or read again as they are needed."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator

import numpy as np

from edgeseg.data.dataset import Dataset
from edgeseg.data.decoded import Decoded
from edgeseg.data.oddities import Counts, count_ids, oddities, shared_images
from edgeseg.host import free_memory_bytes
from edgeseg.threads import THREADS, prefetched
from edgeseg.training.batches import Sample, Samples
from edgeseg.training.group import this_group

_LOG = logging.getLogger(__name__)

IN_MEMORY_SHARE = 0.25
"""Share of the free memory that a set's images may take, in all processes that train together; those of a larger set
are read as they are needed."""
_MEASURED = 16
"""Images, evenly spread, from which a set's size is reckoned."""

Advance = Callable[[int, int], None]
"""Called with (done, total) images."""


def read_checked(
    train_set: Dataset,
    val_set: Dataset,
    in_memory: bool | None = None,
    advance: Advance | None = None,
    more: Samples = (),
    cache: str | os.PathLike[str] | None = None,
) -> tuple[Samples, Counts]:
    """Reads all images, so that nothing unreadable ends a training later, and tells what is odd about them.

    Args:
        train_set: Images to learn from.
        val_set: Images to choose the best epoch by; these are never kept.
        in_memory: Whether to keep the training images; by their size if None, see `IN_MEMORY_SHARE`.
        advance: Called as they are read.
        more: Images to learn from that are in no set.
        cache: A folder to keep the set's decoded images in, see `edgeseg.data.decoded`.

    Returns:
        The training images, `more` behind those of the set, in memory or not; and the pixels of each of the set's
        classes.

    Raises:
        DataError: A split is empty, cannot be read, or has no labelled pixel.
        OutputError: The cache cannot be written.
        UsageError: The cache's disk has no room.
    """
    source: Samples = Decoded(train_set, cache) if cache is not None else train_set
    keep = fits_in_memory(train_set, len(more)) if in_memory is None else in_memory
    total, done = len(train_set) + len(more) + len(val_set), itertools.count(1)

    def read(samples: Samples) -> Iterator[Sample]:
        for sample in prefetched(samples.__getitem__, range(len(samples)), THREADS):
            if advance:
                advance(next(done), total)
            yield sample

    kept = list(read(source)) if keep else []
    counts = count_ids(kept if keep else read(source))
    for sample in read(more):
        kept += [sample] * keep
    for dataset, found in ((train_set, counts), (val_set, count_ids(read(val_set)))):
        for oddity in oddities(dataset, found):
            _LOG.warning("%s", oddity)
    shared = shared_images(val_set.images, train_set.images)
    if shared:
        first, other = next(iter(shared.items()))
        _LOG.warning(
            "%d images of %s are in %s, too, such as %s and %s: `edgeseg data check` tells more", len(shared),
            val_set.split, train_set.split, first, other,
        )  # fmt: skip
    return kept if keep else Joined(source, more), counts[: train_set.labels.num_classes]


class Joined:
    """Images of two sources, one behind the other."""

    def __init__(self, first: Samples, second: Samples) -> None:
        self._first, self._second = first, second

    def __len__(self) -> int:
        """Returns the number of all."""
        return len(self._first) + len(self._second)

    def __getitem__(self, index: int) -> Sample:
        """Returns one of them."""
        before = len(self._first)
        return self._first[index] if index < before else self._second[index - before]


def fits_in_memory(dataset: Dataset, more: int = 0) -> bool:
    """Whether images and their label maps, 4 bytes a pixel, take no more than their share of the free memory.

    Args:
        dataset: The set.
        more: Further images of about the same size.
    """
    some = np.linspace(0, len(dataset) - 1, min(_MEASURED, len(dataset))).round().astype(int)
    each = np.mean([sum(array.nbytes for array in dataset.load(int(index))) for index in some])
    count, free = len(dataset) + more, free_memory_bytes()
    if count * each * this_group().count <= IN_MEMORY_SHARE * free:
        return True
    _LOG.info(
        "%d images would take %.1f GB of the %.1f GB of memory that are free: each is read when it is needed",
        count, count * each / 1e9, free / 1e9,
    )  # fmt: skip
    return False
