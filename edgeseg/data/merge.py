"""Coarser classes than those that were drawn: `"merge"` in a plain folder's `labels.json`.

`"merge": {"building": ["roof", "wall", "window"], "person": ["person"]}` makes two classes of the ids that `"names"`
calls so; ids of all other names are ignored, like `ignore_index`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeseg.errors import DataError, quoted


def merge_table(merge: Any, names: Sequence[str], ignore_index: int) -> tuple[int, ...]:
    """Returns 256 entries from the id in the file to the class id.

    Args:
        merge: The value of "merge".
        names: What the ids in the files mean, in order.
        ignore_index: What becomes of the ids that no class takes.

    Raises:
        DataError: It is no such object, a class is empty, or a name is unknown or taken twice.
    """
    if not isinstance(merge, dict) or len(merge) < 2:
        raise DataError('"merge" is no object of two classes or more: expected {"building": ["roof", "wall"], ...}')
    table, taken = [ignore_index] * 256, dict[str, str]()
    for number, (name, parts) in enumerate(merge.items()):
        if not isinstance(parts, list) or not parts:
            raise DataError(f'"merge" gives {quoted(name)} no list of names: expected ["roof", "wall"]')
        for part in parts:
            if part not in names:
                raise DataError(f'"merge" takes {quoted(part)} into {quoted(name)}: it is none of "names"')
            if part in taken:
                raise DataError(f'"merge" takes {quoted(part)} into {quoted(taken[part])} and into {quoted(name)}')
            taken[part] = name
            table[list(names).index(part)] = number
    return tuple(table)
