"""Pictures and masks in any folders that pair by name: ids, 0 and 255, or colours with a file that names them.

What `edgeseg.data.masks` reads in place; importing copes with pictures that have no mask, and makes splits.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from edgeseg.data import masks
from edgeseg.data.class_tables import ClassTable
from edgeseg.data.importing.records import UNLABELLED, Indices, Picture, Source, Tally
from edgeseg.data.mask_files import UNKNOWN, colour_ids, read_mask
from edgeseg.data.pairs import find_pairs
from edgeseg.data.split_names import split_named
from edgeseg.errors import DataError

NAME = "masks"
TITLE = "pictures and masks that pair by name (images/ and masks/, a.jpg and a_mask.png, ...)"


def matches(root: Path) -> bool:
    """Whether `root` holds this format."""
    return root.is_dir() and masks.matches(root)


def read(root: Path) -> Source:
    """Reads every pair below `root`."""
    pairs = find_pairs(root)
    if not pairs.found:
        raise DataError(f"{root} has no pictures and masks that pair by name, such as a.jpg and a_mask.png")
    tally = Tally()
    for path in pairs.alone:
        tally.add("picture", "no mask or picture has its name", path.relative_to(root).as_posix())
    table = masks.table_of(root, pairs)
    pictures = [
        Picture(image=image, split=split_named(place), draw=partial(drawn, mask, table))
        for image, mask, place in pairs.found
    ]
    colours = dict(zip(table.names, table.colours, strict=True)) if table.colours else {}
    return Source(names=table.names, pictures=tuple(pictures), tally=tally, sparse=False, colours=colours)


def drawn(path: Path, table: ClassTable, height: int, width: int) -> Indices:
    """Reads a mask as indices of the table's names; 255, where it is no class, is no label."""
    mask = read_mask(path, palette_colours=bool(table.colours))
    if mask.shape[:2] != (height, width):
        raise DataError(f"its mask is {mask.shape[0]}x{mask.shape[1]}, but the picture is {height}x{width}")
    if table.colours:
        indices = colour_ids(mask, table.colours)
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
