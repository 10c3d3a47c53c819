"""Validation by all processes that train together: each scores its share of the images, and the counts are summed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeseg.data.dataset import Dataset
from edgeseg.scoring.evaluate import Evaluation, Segment, chosen_indices, evaluate, evaluation_of
from edgeseg.training.group import Group


def evaluate_together(segment: Segment, dataset: Dataset, group: Group, limit: int | None = None) -> Evaluation:
    """Does what `evaluate` does, but for the counts of each image; all processes of the group have to call it.

    Args:
        segment: As `evaluate` takes it; that of every process says the same.
        dataset: Images and label maps.
        group: This process's place among those that share the images.
        limit: Score only so many images, evenly spread; all if None.
    """
    chosen = chosen_indices(dataset, limit)
    own, classes = chosen[group.rank :: group.count], dataset.labels.num_classes
    counts = np.zeros((classes, classes), np.int64)
    if own:
        part = replace(
            dataset, images=tuple(dataset.images[n] for n in own), label_maps=tuple(dataset.label_maps[n] for n in own)
        )
        found = evaluate(segment, part).confusion
        assert found is not None  # evaluate keeps it
        counts = found
    return evaluation_of(group.total(counts), dataset, len(chosen))
