"""Images to look at: a data set's labels, a network's worst; and scores image by image, as CSV."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.data.calibration import spaced
from edgeseg.data.dataset import Dataset
from edgeseg.files import check_apart, ensure_folder
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


def view_set(
    dataset: Dataset,
    out: str | os.PathLike[str],
    *,
    limit: int | None = None,
    opacity: float = 0.5,
    advance: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Lays a data set's labels over its images: each becomes a JPEG under its own name; ignored pixels stay plain.

    Args:
        dataset: The split.
        out: Folder for them; created if missing.
        limit: Only so many images, evenly spread; all if None.
        opacity: Share of the classes' colours, 0-1.
        advance: Called with (done, total) images.

    Returns:
        The files.

    Raises:
        DataError: An image or label map cannot be read.
        OutputError: The folder is one of the data set's, or cannot be written.
    """
    folders = {path.parent for path in (*dataset.images, *dataset.label_maps)}
    folders.add(Path(os.path.commonpath([folder.absolute() for folder in folders])))
    check_apart([("the overlays", Path(out))], [("a folder of the data set", folder) for folder in folders])
    chosen = spaced(range(len(dataset)), limit or len(dataset))
    folder, written = ensure_folder(out), []
    for done, index in enumerate(chosen, 1):
        image, label_map = dataset.load(index)
        written.append(folder / f"{index:06d}_{dataset.images[index].stem}.jpg")
        write_image(written[-1], Result(label_map=label_map, labels=dataset.labels).overlay(image, opacity))
        if advance:
            advance(done, len(chosen))
    return written
