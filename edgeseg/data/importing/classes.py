"""From the classes of a source to those of the set that is written: renamed, merged, dropped, with a background.

`--classes map.yaml` (or .json) says for names of the source what becomes of them:

    lane marking: road     # another name, or one class of several
    road: road
    tree: null             # dropped: as if it had not been annotated
    mirror: __ignore__     # left out of training and scores
    "*": other             # all that are not named here

Names that are not mentioned stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.card import LabelSet, voc_color
from edgeseg.data.importing.records import Indices, Source
from edgeseg.data.yaml_file import read_yaml
from edgeseg.errors import DataError, UsageError, quoted, unknown_name

IGNORE = "__ignore__"
BACKGROUND = "background"
IGNORED_NAMES = frozenset({IGNORE, "ignore", "void"})
"""Names of the source that mean pixels without a class, unless the map says otherwise."""
_BACKGROUNDS = frozenset({BACKGROUND, "_background_", "__background__"})
_OTHERS = "*"
_IGNORED_ID = 255

Unlabelled = Literal["background", "ignore"]
ClassMap = Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class Classes:
    """The classes of the set, and how the source's become them.

    Attributes:
        labels: The classes.
        table: The id of each of the source's names, and last that of pixels without annotation.
        dropped: Names of the source that no pixel is given.
    """

    labels: LabelSet
    table: tuple[int, ...]
    dropped: tuple[str, ...]

    def label_map(self, indices: Indices) -> Uint8:
        """Returns ids for indices of the source's names; -1, unlabelled, is the table's last."""
        ids: Uint8 = np.asarray(self.table, np.uint8)[indices]
        return ids


def read_class_map(path: str | Path) -> dict[str, str | None]:
    """Reads a map of names.

    Raises:
        DataError: It is no object of names.
    """
    value = read_yaml(path, "the map of classes")
    if not isinstance(value, dict) or not value:
        raise DataError(f"{path} is no map of classes: expected lines such as 'lane: road', 'tree: null'")
    wrong = next((v for v in value.values() if v is not None and not isinstance(v, str)), None)
    if wrong is not None:
        raise DataError(f"{path} maps a class to {quoted(wrong)}: expected a name or null")
    return {str(key): new for key, new in value.items()}


def make_classes(source: Source, class_map: ClassMap | None = None, unlabelled: Unlabelled = "background") -> Classes:
    """Decides on the classes.

    Args:
        source: What was read.
        class_map: Names of the source and what becomes of them, see above.
        unlabelled: What pixels without annotation are: of the class "background", which then is the first, or ignored.

    Raises:
        UsageError: The map names a class that the source has not.
        DataError: Fewer than two classes remain, or more than 255.
    """
    class_map = class_map or {}
    for name in class_map:
        if name not in (*source.names, _OTHERS):
            raise unknown_name("class in the map", name, source.names)
    news = [_new_name(name, class_map) for name in source.names]
    order = list(dict.fromkeys([new for new in class_map.values() if new in news] + news))
    names = [name for name in order if name not in (None, IGNORE)]
    if unlabelled == "background" and (source.sparse or None in news):
        names = [BACKGROUND, *(name for name in names if name != BACKGROUND)]
    elif BACKGROUND in names:
        names.insert(0, names.pop(names.index(BACKGROUND)))
    ids = {name: number for number, name in enumerate(names)}
    colours = {new: source.colours[old] for old, new in zip(source.names, news, strict=True) if old in source.colours}
    rest = ids[BACKGROUND] if unlabelled == "background" and (source.sparse or None in news) else _IGNORED_ID
    try:
        labels = LabelSet(
            names=tuple(str(name) for name in names),
            colors=tuple(colours.get(name) or voc_color(number) for number, name in enumerate(names)),
        )
    except UsageError as error:
        raise DataError(
            f"{len(names)} classes ({', '.join(map(str, names[:9]))}): {error}; --classes merges"
        ) from error
    table = tuple(rest if new is None else ids.get(new, _IGNORED_ID) for new in news)
    dropped = tuple(old for old, new in zip(source.names, news, strict=True) if new is None or new == IGNORE)
    return Classes(labels=labels, table=(*table, rest), dropped=dropped)


def _new_name(name: str, class_map: ClassMap) -> str | None:
    if name in class_map:
        return class_map[name]
    if _OTHERS in class_map:
        return class_map[_OTHERS]
    if name.lower() in _BACKGROUNDS:
        return BACKGROUND
    return IGNORE if name.lower() in IGNORED_NAMES else name
