"""Reading the values of options that several commands share."""

from __future__ import annotations

import re

from edgeseg.errors import UsageError


def parse_size(text: str) -> tuple[int, int]:
    """Reads "HxW" into (height, width)."""
    match = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text.strip())
    if not match or not all(int(n) for n in match.groups()):
        raise UsageError(f"size '{text}': expected height x width, such as 240x320")
    return int(match[1]), int(match[2])
