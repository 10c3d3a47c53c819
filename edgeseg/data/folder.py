"""A plain folder: `images/<split>/*`, `labels/<split>/*.png` or `.bmp` (one class id per pixel) and `labels.json`.

`labels.json` says what the ids mean: `{"names": ["road", ...], "colors": [[128, 64, 128], ...], "ignore_index": 255}`;
colours and ignored id may be left out, and `"name"` may name the set. `"merge"` makes coarser classes of the named ones
(`edgeseg.data.merge`); colours are then those of the coarser ones; without it, label maps may also be drawn in the
classes' colours. A folder without splits, with the files right in `images` and `labels`, is the split "all". Of two
classes, label maps that all hold only 0 and 255 are read as 0 and 1, and a message says so. This is what `edgeseg data
synth` and `edgeseg data import` write, and the way to bring images of one's own.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.card import LabelSet
from edgeseg.data.class_tables import LABELS_FILE, find_table
from edgeseg.data.dataset import Dataset, NoSplitError, paired
from edgeseg.data.mask_files import has_channels
from edgeseg.data.merge import merge_table
from edgeseg.errors import DataError, UsageError, quoted
from edgeseg.files import read_json
from edgeseg.image import IMAGE_SUFFIXES, read_label_map

NAME = "folder"
LABEL_SUFFIXES = (".png", ".bmp")
WHITE = 255

_LOG = logging.getLogger(__name__)


def matches(root: Path) -> bool:
    """Whether `root` holds this layout; a folder with another table of classes is of the layout "masks"."""
    if not ((root / "images").is_dir() and (root / "labels").is_dir()):
        return False
    return (root / LABELS_FILE).is_file() or find_table(root) is None


def open_split(root: Path, split: str) -> Dataset:
    """Opens one split, or with "all" the files that lie in no split's folder."""
    for folder in ("images", "labels"):
        if not (root / folder).is_dir():
            raise DataError(
                f"plain data folder {root} has no folder {folder}: expected images, labels and {LABELS_FILE}"
            )
    part = "" if split == "all" else split
    if not (root / "images" / part).is_dir():
        have = sorted(path.name for path in (root / "images").iterdir() if path.is_dir())
        raise NoSplitError(f"{root / 'images'} has no split '{split}': it has {', '.join(have) or 'only all'}")
    images = images_in(root / "images" / part)
    label_maps = [label_map_of(image, root / "labels" / part) for image in images]
    name, labels, id_table = read_labels(root / LABELS_FILE)
    drawn = bool(label_maps) and _is_drawn(label_maps[0], root / LABELS_FILE)
    binary = not drawn and not id_table and labels.num_classes == 2
    if binary and labels.ignore_index == WHITE and _black_and_white(root / "labels"):
        id_table = (*range(WHITE), 1)
        _LOG.warning("%s holds only ids 0 and 255: 255 is read as class 1, %s", root / "labels", labels.names[1])
    return paired(name, split, labels, images, label_maps, id_table, labels.colors if drawn else ())


def _is_drawn(label_map: Path, table: Path) -> bool:
    """Whether label maps are drawn in the colours of `labels.json` instead of holding ids."""
    value = read_json(table, "the classes")
    return "colors" in value and "merge" not in value and label_map.is_file() and has_channels(label_map)


def _black_and_white(folder: Path) -> bool:
    """Whether all label maps below `folder`, of every split, hold only 0 and 255, the way binary masks are drawn.

    It is asked of the whole set, so that all splits are read alike; the first map with another id ends the search.
    """
    white = False
    for path in sorted(p for p in folder.rglob("*") if p.suffix in LABEL_SUFFIXES and not p.name.startswith(".")):
        found = np.flatnonzero(np.bincount(read_label_map(path).ravel(), minlength=256))
        if not set(found.tolist()) <= {0, WHITE}:
            return False
        white = white or WHITE in found
    return white


def label_map_of(image: Path, folder: Path) -> Path:
    """Returns where an image's label map is: the PNG of its name, or the BMP where there is no PNG."""
    png, bmp = folder / f"{image.stem}.png", folder / f"{image.stem}.bmp"
    return bmp if bmp.is_file() and not png.is_file() else png


def images_in(folder: Path) -> list[Path]:
    """Returns a folder's images by name, hidden files (half-written ones among them) left out."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))


def read_labels(path: Path) -> tuple[str, LabelSet, tuple[int, ...]]:
    """Reads `labels.json`.

    Returns:
        The set's name, "folder" if it gives none; its classes; and from the ids in its files to them, empty if they are
        the same.

    Raises:
        DataError: It is missing, is not JSON, or its names and colours make no label set.
    """
    try:
        value = read_json(path, "the classes")
    except DataError as error:
        raise DataError(f'{error}; expected {{"names": ["ground", ...]}}') from error
    names = value.get("names") if isinstance(value, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f'{path} has no list of class names: expected {{"names": ["ground", ...]}}')
    ignore_index = value.get("ignore_index", 255)
    if not isinstance(ignore_index, int) or not 0 <= ignore_index <= 255:
        raise DataError(f"{path} has ignore_index {quoted(ignore_index)}: expected 0-255")
    name = value.get("name", NAME)
    if not isinstance(name, str) or not re.fullmatch(r"[\w-]{1,40}", name):
        raise DataError(f"{path} has name {quoted(name)}: expected up to 40 letters, digits, '-' and '_'")
    try:
        id_table: tuple[int, ...] = ()
        if "merge" in value:
            id_table = merge_table(value["merge"], names, ignore_index)
            names = list(value["merge"])
        if "colors" not in value:
            return name, LabelSet.from_names(names, ignore_index), id_table
        colours = _colours(value["colors"])
        return name, LabelSet(names=tuple(names), colors=colours, ignore_index=ignore_index), id_table
    except (DataError, UsageError) as error:
        raise DataError(f"{path}: {error}") from error


def _colours(value: Any) -> tuple[tuple[int, int, int], ...]:
    def good(colour: Any) -> bool:
        return isinstance(colour, list) and len(colour) == 3 and all(type(c) is int and 0 <= c <= 255 for c in colour)

    if not isinstance(value, list) or not all(good(colour) for colour in value):
        raise DataError("its colours are not [red, green, blue] with values 0-255")
    return tuple((red, green, blue) for red, green, blue in value)


def labels_json(name: str, labels: LabelSet) -> dict[str, Any]:
    """Returns what `labels.json` says about a set and its classes."""
    return {
        "name": name,
        "names": list(labels.names),
        "colors": [list(color) for color in labels.colors],
        "ignore_index": labels.ignore_index,
    }
