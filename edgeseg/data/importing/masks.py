"""Images and masks in any folders that pair by name: ids, 0 and 255, or colours with a file that names them.

What `edgeseg.data.masks` reads in place; importing copes with images that have no mask, makes splits, and takes masks
whose colours are not clear everywhere: shrunk ones mix colours along edges, JPEG shifts all of them a little.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.data import masks
from edgeseg.data.class_tables import ClassTable
from edgeseg.data.importing.records import UNLABELLED, Indices, Sample, Source, Tally
from edgeseg.data.mask_files import UNKNOWN, colour_ids, read_mask
from edgeseg.data.pairs import find_pairs
from edgeseg.data.split_names import split_named
from edgeseg.errors import DataError

NAME = "masks"
NEARLY = 16
"""How far each channel of a colour may be off for it to be nearly a class's."""
MOST_MIXED = 0.1
"""Share of a mask's pixels that may have mixed colours."""
TITLE = "images and masks that pair by name (images/ and masks/, a.jpg and a_mask.png, ...)"


def matches(root: Path) -> bool:
    """Whether `root` holds this format."""
    return root.is_dir() and masks.matches(root)


def read(root: Path) -> Source:
    """Reads every pair below `root`."""
    pairs = find_pairs(root)
    if not pairs.found:
        raise DataError(f"{root} has no images and masks that pair by name, such as a.jpg and a_mask.png")
    tally = Tally()
    for path in pairs.alone:
        tally.add("image", "no mask or image has its name", path.relative_to(root).as_posix())
    table = masks.table_of(root, pairs)
    samples = [
        Sample(image=image, split=split_named(place), draw=partial(drawn, mask, table, tally))
        for image, mask, place in pairs.found
    ]
    colours = dict(zip(table.names, table.colours, strict=True)) if table.colours else {}
    return Source(names=table.names, samples=tuple(samples), tally=tally, sparse=False, colours=colours)


def drawn(path: Path, table: ClassTable, tally: Tally, height: int, width: int) -> Indices:
    """Reads a mask as indices of the table's names; 255, where it is no class, is no label."""
    mask = read_mask(path, palette_colours=bool(table.colours))
    if mask.shape[:2] != (height, width):
        raise DataError(f"its mask is {mask.shape[0]}x{mask.shape[1]}, but the image is {height}x{width}")
    if table.colours:
        indices = colour_ids(mask, table.colours)
        wrong = indices == UNKNOWN
        if wrong.any():
            indices = cleared(mask, indices, table)
            if not (indices == UNKNOWN).any():
                tally.remark("masks have unclear colours: such pixels took the nearest class", path.name)
            wrong = indices == UNKNOWN
    else:
        if mask.ndim == 3:
            raise DataError("its mask is drawn with colours, others hold ids")
        lookup = np.full(256, len(table.names), np.int16)
        lookup[masks.IGNORED] = UNLABELLED
        lookup[list(table.ids or range(len(table.names)))] = range(len(table.names))
        indices = lookup[mask]
        wrong = indices == len(table.names)
    if wrong.any():
        row, column = (int(n[0]) for n in np.nonzero(wrong))
        raise DataError(f"its mask holds {mask[row, column].tolist()}, which no class has")
    return indices


def cleared(mask: Uint8, indices: Indices, table: ClassTable) -> Indices:
    """Gives pixels of no class's colour a class: of a colour that is nearly theirs, else of the nearest pixel.

    Args:
        mask: (H, W, 3) red-green-blue, or (H, W) grey.
        indices: (H, W) classes, `UNKNOWN` where the colour is none's.
        table: The classes' colours.

    Returns:
        The indices; with `UNKNOWN` still in them where more than `MOST_MIXED` of the pixels are mixed, since then they
        are rather a class that the table lacks.
    """
    unknown = np.nonzero(indices == UNKNOWN)
    colours = np.asarray(table.colours, np.int16)
    seen = mask[unknown].astype(np.int16).reshape(len(unknown[0]), -1)
    kinds, which = np.unique(seen, axis=0, return_inverse=True)
    distances = np.abs(kinds[:, None] - colours[None]).max(-1)
    nearly = np.where(distances.min(1) <= NEARLY, distances.argmin(1), UNKNOWN).astype(np.int16)
    found = indices.copy()
    found[unknown] = nearly[which.ravel()]
    mixed = found == UNKNOWN
    if not mixed.any() or mixed.mean() > MOST_MIXED:
        return found
    _, nearest = cv2.distanceTransformWithLabels(
        mixed.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    class_of = np.full(int(nearest.max()) + 1, UNKNOWN, np.int16)
    class_of[nearest[~mixed]] = found[~mixed]
    found[mixed] = class_of[nearest[mixed]]
    return found
