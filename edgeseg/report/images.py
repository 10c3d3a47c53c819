"""Scores image by image: as CSV, and the worst of them to look at."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.data.dataset import Dataset
from edgeseg.files import ensure_folder
from edgeseg.image import write_image
from edgeseg.runtime.result import Result
from edgeseg.scoring.evaluate import Evaluation, Segment


def image_table(scores: Evaluation) -> str:
    """Returns a CSV table, a row for each image: its mIoU, pixel accuracy and `iou_<class>`, empty where none is."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "miou", "pixel_accuracy", *(f"iou_{name}" for name in scores.class_iou)])
    if scores.per_image is not None:
        rows = zip(
            scores.per_image.names, scores.per_image.miou, scores.per_image.pixel_accuracy, scores.per_image.class_iou,
            strict=True,
        )  # fmt: skip
        for name, miou, accuracy, iou in rows:
            figures = [float(figure) for figure in (miou, accuracy, *iou)]
            writer.writerow([name, *("" if math.isnan(figure) else round(figure, 6) for figure in figures)])
    return text.getvalue()


def write_overlays(folder: Path, dataset: Dataset, segment: Segment, images: Iterable[tuple[int, float]]) -> list[Path]:
    """Writes images side by side with their labels and with what a network makes of them.

    Args:
        folder: Created if missing.
        dataset: Images and labels.
        segment: The network.
        images: (index, mIoU) of each, in the order of their file names.

    Returns:
        The files.
    """
    ensure_folder(folder)
    written = []
    for place, (index, miou) in enumerate(images, 1):
        image, truth = dataset.load(index)
        found = segment(image, *truth.shape)
        panels: list[Uint8] = [image if image.shape[2] == 3 else np.repeat(image[:, :, :1], 3, 2)]
        panels += [Result(label_map=ids, labels=dataset.labels).overlay(panels[0]) for ids in (truth, found)]
        path = folder / f"{place:03}_{dataset.images[index].stem}_miou{miou:.3f}.png"
        write_image(path, np.hstack(panels))
        written.append(path)
    return written
