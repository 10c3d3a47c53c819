"""Images and masks in any folders that pair by name; see `edgeseg.data.pairs`.

Classes come from a file beside them (`edgeseg.data.class_tables`). Without one, masks of 0 and 255 are the classes
"background" and "foreground", and other ids up to 254 are called class_0, class_1, ..., and a message says so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgeseg.card import LabelSet
from edgeseg.data.class_tables import ClassTable, find_table
from edgeseg.data.dataset import Dataset, NoSplitError, paired
from edgeseg.data.mask_files import GREYS, has_channels, read_mask
from edgeseg.data.pairs import Pairs, find_pairs
from edgeseg.data.split_names import split_named
from edgeseg.errors import DataError, UsageError

NAME = "masks"
IGNORED = 255
_MOST_NAMED = 4
_SOFT = 16
"""Greys at either end that count as black and as white in masks with soft edges; more of them than this are in use."""
_BLACK_AND_WHITE = ((0, 0, 0), (255, 255, 255))

_LOG = logging.getLogger(__name__)


def matches(root: Path) -> bool:
    """Whether `root` holds images and masks that pair by name."""
    return bool(find_pairs(root).found)


def open_split(root: Path, split: str) -> Dataset:
    """Opens one split, or with "all" every pair."""
    pairs = find_pairs(root)
    if not pairs.found:
        raise DataError(f"{root} has no images and masks that pair by name, such as a.jpg and a_mask.png")
    splits = [split_named(place) for _, _, place in pairs.found]
    chosen = [pair for pair, own in zip(pairs.found, splits, strict=True) if split in (own, "all")]
    if not chosen:
        have = ", ".join(sorted({own for own in splits if own})) or "only all"
        raise NoSplitError(f"{root} has no split '{split}': it has {have}; `edgeseg data import` makes splits")
    if pairs.alone:
        _LOG.warning("%s: %d files have no counterpart, such as %s", root, len(pairs.alone), pairs.alone[0].name)
    table = table_of(root, pairs)
    labels, ids = label_set(table)
    images, label_maps = [pair[0] for pair in chosen], [pair[1] for pair in chosen]
    colours = table.colours or (GREYS if has_channels(label_maps[0]) else ())
    return paired(NAME, split, labels, images, label_maps, ids, colours)


def label_set(table: ClassTable) -> tuple[LabelSet, tuple[int, ...]]:
    """Returns a table's classes, and from the ids in files to them; empty if they are the same."""
    try:
        if not table.colours:
            labels = LabelSet.from_names(table.names, IGNORED)
        else:
            labels = LabelSet(names=table.names, colors=table.colours, ignore_index=IGNORED)
    except UsageError as error:
        raise DataError(f"{table.path}: {error}") from error
    count = len(table.names)
    if not table.ids or table.ids == tuple(range(count)):
        return labels, ()
    unknown = min(254, count)  # an id that is refused
    return labels, tuple(table.ids.index(n) if n in table.ids else max(n, unknown) for n in range(256))


def table_of(root: Path, pairs: Pairs) -> ClassTable:
    """Returns the classes that a file tells, or else what the masks themselves show."""
    table = find_table(root)
    if table is not None and not table.colours:
        colourful = next((mask for _, mask, _ in pairs.found[:1] if read_mask(mask).ndim == 3), None)
        if colourful is not None:
            raise DataError(f'{table.path} has no colours, but {colourful} is drawn with some: add "colors"')
    if table is None:
        return _shown([mask for _, mask, _ in pairs.found], root)
    if table.colours and all(read_mask(mask).ndim == 2 for _, mask, _ in pairs.found[:_MOST_NAMED]):
        return ClassTable(path=table.path, names=table.names) if _are_ids(pairs, len(table.names)) else table
    return table


def _are_ids(pairs: Pairs, count: int) -> bool:
    """Whether all masks hold ids of `count` classes, rather than grey colours."""
    return all(
        mask.ndim == 2 and bool(((mask < count) | (mask == IGNORED)).all())
        for mask in (read_mask(path) for _, path, _ in pairs.found)
    )


def _are_soft(counts: npt.NDArray[np.int64]) -> bool:
    """Whether the pixels of each grey are those of black and white with soft edges, rather than ids."""
    black, white = int(counts[:_SOFT].sum()), int(counts[-_SOFT:].sum())
    return int(np.count_nonzero(counts)) > _SOFT and min(black, white) > 0 and black + white > 0.9 * int(counts.sum())


def _shown(masks: Sequence[Path], root: Path) -> ClassTable:
    counts = np.zeros(256, np.int64)
    for path in masks:
        mask = read_mask(path)
        if mask.ndim == 3:
            colours = np.unique(mask.reshape(-1, 3), axis=0)
            told = ", ".join(str(c.tolist()) for c in colours[:_MOST_NAMED])
            raise DataError(
                f"{path} is drawn with {len(colours)} colours ({told}{', ...' * (len(colours) > _MOST_NAMED)}) and no "
                f'file says what they mean: write {root / "labels.json"} with "names" and "colors"'
            )
        counts += np.bincount(mask.ravel(), minlength=256)
    ids = np.flatnonzero(counts).tolist()
    if ids[-1:] == [IGNORED] and (len(ids) <= 2 or _are_soft(counts)):
        _LOG.warning("%s: masks of 0 and 255, read as the classes background and foreground", root)
        return ClassTable(path=root, names=("background", "foreground"), colours=_BLACK_AND_WHITE)
    count = max((n for n in ids if n != IGNORED), default=0) + 1
    _LOG.warning("%s: no file names the classes, so they are called class_0 to class_%d", root, count - 1)
    return ClassTable(path=root, names=tuple(f"class_{n}" for n in range(max(count, 2))))
