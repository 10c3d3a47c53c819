"""Scoring a network on a data set whose classes are others: which of its classes stands for which of the data's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8
from edgeseg.card import LabelSet
from edgeseg.data.dataset import Dataset
from edgeseg.errors import UsageError, unknown_name
from edgeseg.scoring.evaluate import Segment

UNKNOWN = 255
"""The id of what a network takes for something that the data set has not."""


@dataclass(frozen=True, kw_only=True)
class ClassMap:
    """Which class of the data set each class of a network is.

    Attributes:
        table: (256,) uint8, from a network's id to an id of `labels`, or `UNKNOWN`.
        labels: The classes that are scored: those of the data set that the network knows, in its order.
        ignored: The data set's other classes, whose pixels do not count.
    """

    table: Uint8
    labels: LabelSet
    ignored: tuple[str, ...]

    def dataset(self, dataset: Dataset) -> Dataset:
        """Returns the data set with the classes that are scored; pixels of all others are ignored."""
        ids = {name: number for number, name in enumerate(self.labels.names)}
        ignore = self.labels.ignore_index
        known = dataset.labels.names
        new = np.full(256, ignore, np.uint8)
        new[: len(known)] = [ids.get(name, ignore) for name in known]
        before = np.asarray(dataset.id_table or range(256), np.uint8)
        return replace(dataset, labels=self.labels, id_table=tuple(int(i) for i in new[before]))

    def segment(self, segment: Segment) -> Segment:
        """Returns `segment` with the data set's classes in its label maps."""

        def mapped(image: Uint8, height: int, width: int) -> Uint8:
            return np.asarray(self.table[segment(image, height, width)], np.uint8)

        return mapped


def make_class_map(names: Mapping[str, str | None], network: LabelSet, data: LabelSet) -> ClassMap:
    """Decides which class is which.

    Args:
        names: The data set's class for classes of the network; None for one that the data set has not. Classes that
            are not named stand for the data set's class of the same name.
        network: The network's classes.
        data: The data set's.

    Raises:
        UsageError: A name is unknown, a class of the network stands for nothing, or fewer than two classes are left.
    """
    for name, new in names.items():
        if name not in network.names:
            raise unknown_name("class of the network", name, network.names)
        if new is not None and new not in data.names:
            raise unknown_name("class of the data set", new, data.names)
    meant = {name: names.get(name, name) for name in network.names}
    missing = [name for name, new in meant.items() if new is not None and new not in data.names]
    if missing:
        raise UsageError(
            f"the map says nothing of {', '.join(missing)}, which the data set has not: map each to one of "
            f"{', '.join(data.names)}, or to null"
        )
    kept = [name for name in data.names if name in meant.values()]
    if len(kept) < 2:
        raise UsageError(f"{len(kept)} of the data set's classes are left to score: expected 2 or more")
    labels = LabelSet(
        names=tuple(kept), colors=tuple(data.colors[data.names.index(name)] for name in kept),
        ignore_index=data.ignore_index,
    )  # fmt: skip
    table: npt.NDArray[np.uint8] = np.full(256, UNKNOWN, np.uint8)
    for number, new in enumerate(meant.values()):
        table[number] = UNKNOWN if new is None else kept.index(new)
    return ClassMap(table=table, labels=labels, ignored=tuple(n for n in data.names if n not in kept))
