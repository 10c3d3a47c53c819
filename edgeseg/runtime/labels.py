"""Class names for a file without a card: a built-in data set's, or one name a line from a text file."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from edgeseg.card import LabelSet
from edgeseg.data.layouts import LAYOUTS
from edgeseg.errors import DataError, unknown_name


def load_labels(name_or_path: str | os.PathLike[str]) -> LabelSet:
    """Finds class names.

    Args:
        name_or_path: A data set layout that has fixed classes ("camvid"), or a text file with one name a line, class 0
            first. Lines starting with # are skipped; an empty line ends the list, what follows is prose.

    Raises:
        UsageError: It is neither.
        DataError: The file cannot be read as text or holds no names.
    """
    built_in = {name: module.LABELS for name, module in LAYOUTS.items() if hasattr(module, "LABELS")}
    if str(name_or_path) in built_in:
        labels: LabelSet = built_in[str(name_or_path)]
        return labels
    path = Path(name_or_path)
    if not path.exists():
        raise unknown_name("label set", str(name_or_path), [*built_in, "a file with one name a line"])
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read labels {path}: expected a text file with one name a line") from error
    stripped = [line.strip() for line in lines if not line.startswith("#")]
    names = list(itertools.takewhile(bool, itertools.dropwhile(lambda line: not line, stripped)))
    if len(names) < 2:
        raise DataError(f"labels {path} holds {len(names)} names: expected two or more, one a line")
    return LabelSet.from_names(names)


def numbered_labels(num_classes: int) -> LabelSet:
    """Names classes class_0, class_1, ... where nothing is known but how many there are."""
    return LabelSet.from_names([f"class_{index}" for index in range(num_classes)])
