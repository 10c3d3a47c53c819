"""Segments an image tile by tile and blends what the tiles say, strip by strip: memory does not grow with the height.

What is blended is each class's score where the network gives it, before anything is upsampled: sums of whole numbers
of integer networks, and sums in one fixed order of float networks. So the label map has the same bytes on every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8
from edgeseg.image import content_size, padding
from edgeseg.postprocess import label_map
from edgeseg.runtime.scores import class_scores
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.surveying.raster import Raster, Rolling, Valid
from edgeseg.surveying.tiling import Axis, mirrored

Advance = Callable[[int, int], None]
Scores = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Strip:
    """Finished rows of a survey.

    Attributes:
        top: Its first row in the image.
        image: (rows, width, channels) uint8.
        labels: (rows, width) uint8 class ids; the ignored id where the image has no data.
    """

    top: int
    image: Uint8
    labels: Uint8


def segment_strips(
    segmenter: Segmenter, raster: Raster, rows: Axis, columns: Axis, advance: Advance | None = None
) -> Iterator[Strip]:
    """Segments an image of any size.

    Args:
        segmenter: The network.
        raster: The image.
        rows: Its height, in tiles.
        columns: Its width, in tiles.
        advance: Called with (tiles done, tiles in all) after each row of tiles.

    Yields:
        Strips from the top to the bottom, which together are the image.

    Raises:
        DataError: The image is damaged.
        UsageError: It is none that the network takes.
        DelegateError: Inference failed.
    """
    rolling = Rolling(raster)
    done = 0
    for labels in _upsampled(_blended(segmenter, rolling, rows, columns, advance), rows, columns):
        first, last = max(done, rows.lead), min(done + len(labels), rows.lead + rows.pixels)
        if first < last:
            inside = labels[first - done : last - done, columns.lead : columns.lead + columns.pixels]
            image, valid = rolling.rows(first - rows.lead, last - rows.lead)
            ids = np.where(valid, inside, np.uint8(segmenter.labels.ignore_index))
            yield Strip(top=first - rows.lead, image=image, labels=ids)
            rolling.forget(max(0, last - rows.lead - rows.span * rows.cell))  # what may be mirrored stays
        done += len(labels)


def _blended(
    segmenter: Segmenter, rolling: Rolling, rows: Axis, columns: Axis, advance: Advance | None
) -> Iterator[Scores]:
    """Yields the blended scores, (some rows of cells, all columns of cells, classes), from the top."""
    ends = (*rows.starts[1:], rows.cells)
    band = _empty_band(segmenter, columns)
    for index, (start, end) in enumerate(zip(rows.starts, ends, strict=True)):
        image, valid = _row_of_tiles(segmenter, rolling, start, rows, columns)
        for column, across in zip(columns.starts, columns.weights, strict=True):
            pixels = slice(column * columns.cell, (column + columns.span) * columns.cell)
            if not valid[:, pixels].any():
                continue
            weights = rows.weights[index][:, None] * across
            part = band[:, column : column + columns.span]
            part += _scores(segmenter, image[:, pixels]) * weights[:, :, None].astype(band.dtype)
        if advance is not None:
            advance((index + 1) * len(columns.starts), len(rows.starts) * len(columns.starts))
        count = end - start
        yield band[:count].copy()
        band[: len(band) - count] = band[count:]
        band[len(band) - count :] = 0


def _scores(segmenter: Segmenter, tile: Uint8) -> Scores:
    """Returns what the network gives for a tile, (rows.span, columns.span, classes)."""
    if content_size(tile.shape[0], tile.shape[1], segmenter.input) != segmenter.input.inner:
        # Letterboxing would leave cells empty.
        height, width = segmenter.input.inner
        tile = cv2.resize(tile, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    segmenter.prepare(np.ascontiguousarray(tile))
    segmenter.invoke()
    return class_scores(segmenter)


def _empty_band(segmenter: Segmenter, columns: Axis) -> Scores:
    """Returns zeros for the scores of one row of tiles, of a type that holds `UNITY` squared times a score."""
    segmenter.invoke()
    scores = class_scores(segmenter)
    integer = np.int32 if scores.dtype.itemsize <= 2 else np.int64
    dtype = integer if scores.dtype.kind in "iu" else np.float32
    return np.zeros((scores.shape[0], columns.cells, scores.shape[2]), dtype)


def _row_of_tiles(segmenter: Segmenter, rolling: Rolling, start: int, rows: Axis, columns: Axis) -> tuple[Uint8, Valid]:
    """Reads what a row of tiles sees: the image, mirrored beyond its edges, and where it is and has data."""
    top = start * rows.cell - rows.lead
    down = mirrored(top, top + rows.span * rows.cell, rows.pixels)
    across = mirrored(-columns.lead, columns.cells * columns.cell - columns.lead, columns.pixels)
    first = int(down.min())
    image, valid = rolling.rows(first, int(down.max()) + 1)
    if not valid.all():
        image = np.where(valid[:, :, None], image, _blank(segmenter))
    seen = image.take(down - first, axis=0).take(across, axis=1)
    return seen, valid.take(down - first, axis=0).take(across, axis=1)


def _blank(segmenter: Segmenter) -> Uint8:
    """Returns the pixel that says least to a network, in an image's order of channels."""
    channels = padding(segmenter.input)
    return np.array(channels[::-1] if segmenter.input.order == "rgb" else channels, np.uint8)


def _upsampled(finished: Iterator[Scores], rows: Axis, columns: Axis) -> Iterator[Uint8]:
    """Makes label maps of rows of scores, as if of all of them at once: each row waits for the one below it."""
    width, bottom, emitted = columns.cells * columns.cell, 0, False
    waiting: Scores | None = None
    for scores in finished:
        bottom += len(scores)
        waiting = scores if waiting is None else np.concatenate([waiting, scores])
        labels = label_map(waiting, len(waiting) * rows.cell, width)
        last = len(waiting) if bottom == rows.cells else len(waiting) - 1
        yield labels[int(emitted) * rows.cell : last * rows.cell]
        emitted = emitted or last > 0
        waiting = waiting[max(0, last - 1) :]
