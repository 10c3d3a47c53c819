"""Which split each image of an import goes into: the source's own, by names, or by shares, scene by scene."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeseg.errors import DataError, UsageError

DEFAULT_SHARES = (("train", 0.8), ("val", 0.2))


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How to split.

    Attributes:
        shares: Splits and their shares; if empty the source's own splits, or `DEFAULT_SHARES` where it has none.
        patterns: Splits and patterns of file names, in place of shares; what none matches is "train".
        by_scene: Whether images of one scene stay together when shares are drawn.
        seed: Of the drawing; None is 0.
    """

    shares: tuple[tuple[str, float], ...] = ()
    patterns: tuple[tuple[str, str], ...] = ()
    by_scene: bool = True
    seed: int | None = None

    def __post_init__(self) -> None:
        total = sum(share for _, share in self.shares)
        if self.shares and (abs(total - 1) > 1e-6 or min(share for _, share in self.shares) <= 0):
            raise UsageError(f"shares of the splits sum to {total:g}: expected positive ones that sum to 1")
        if self.shares and self.patterns:
            raise UsageError("--splits with --split-names: splits are drawn or go by names, leave one out")

    def check(self, own: Sequence[str]) -> None:
        """Refuses what says how to draw where nothing is drawn.

        Args:
            own: What the source says of each image, "" where it says nothing.

        Raises:
            UsageError: See there.
        """
        if not self.draws(own) and (self.seed is not None or not self.by_scene):
            why = "they go by names here" if self.patterns else "the set has its own; --splits draws new ones"
            raise UsageError(f"--seed and --at-random are for splits that are drawn, and {why}: leave them out")

    def draws(self, own: Sequence[str]) -> bool:
        """Whether shares are to be drawn, for images whose source names these splits."""
        return not self.patterns and bool(self.shares or not any(own))


def parse_shares(text: str) -> tuple[tuple[str, float], ...]:
    """Reads "train=0.8,val=0.2".

    Raises:
        UsageError: It is no such text.
    """
    shares = list[tuple[str, float]]()
    for part in text.split(","):
        name, _, share = part.strip().partition("=")
        try:
            shares.append((_split_name(name), float(share)))
        except ValueError as error:
            raise UsageError(f"splits '{text}': expected shares such as train=0.8,val=0.2") from error
    return tuple(shares)


def parse_pattern(text: str) -> tuple[str, str]:
    """Reads "val=*_night_*".

    Raises:
        UsageError: It is no such text.
    """
    name, _, pattern = text.partition("=")
    if not pattern:
        raise UsageError(f"split pattern '{text}': expected a split and names, such as 'val=*_night_*'")
    return _split_name(name), pattern


def _split_name(name: str) -> str:
    if not name.isidentifier() or name == "all":
        raise UsageError(f"split '{name}': expected a word such as train, val or test")
    return name


def choose_splits(names: Sequence[str], own: Sequence[str], scenes: Sequence[int], options: SplitOptions) -> list[str]:
    """Returns the split of each image.

    Args:
        names: File names.
        own: What the source says, "" where it says nothing.
        scenes: The scene of each, a number; only looked at where shares are drawn.
        options: See there.

    Raises:
        DataError: There are too few images or scenes to give each split some.
    """
    if options.patterns:
        return [next((s for s, p in options.patterns if fnmatch.fnmatch(n, p)), "train") for n in names]
    if not options.draws(own):
        return [split or "train" for split in own]
    return _drawn(scenes if options.by_scene else range(len(names)), options)


def _drawn(scenes: Sequence[int], options: SplitOptions) -> list[str]:
    """Gives scenes to splits, the large ones first, each to the split that lacks most."""
    shares = dict(options.shares or DEFAULT_SHARES)
    sizes = Counter(scenes)
    if len(sizes) < len(shares):
        raise DataError(
            f"{len(scenes)} images show {len(sizes)} scene{'s' * (len(sizes) != 1)}, too few to part into "
            f"{', '.join(shares)}: --at-random parts scenes, too, --split-names goes by names"
        )
    groups = list(sizes)
    np.random.default_rng(options.seed or 0).shuffle(groups)
    groups.sort(key=lambda scene: -sizes[scene])
    lacking = {split: share * len(scenes) for split, share in shares.items()}
    chosen = dict[int, str]()
    for number, scene in enumerate(groups):
        empty = [split for split in shares if split not in chosen.values()]
        open_to = empty if len(groups) - number <= len(empty) else list(shares)
        split = max(open_to, key=lambda name: lacking[name])
        chosen[scene] = split
        lacking[split] -= sizes[scene]
    return [chosen[scene] for scene in scenes]
