"""Splits by the words that folders and files are named with."""

from __future__ import annotations

import re

_SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip


def split_named(text: str) -> str:
    """Returns "train", "val" or "test" if a file's or a folder's name says so, else "".

    Such as `instances_val2017`, `valid`, `training`.
    """
    words = re.split(r"[^a-z]+", text.lower())
    return next((_SPLITS[word] for word in reversed(words) if word in _SPLITS), "")
