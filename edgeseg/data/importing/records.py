"""What an import reads, whatever the format: images, how to draw their labels, classes, and what was left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.errors import DataError, quoted

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int16]
Colour = tuple[int, int, int]

UNLABELLED = -1
"""The index of a pixel without annotation."""

Draw = Callable[[int, int], Indices]
"""draw(height, width) -> (H, W) indices of `Source.names`, or UNLABELLED; DataError where it cannot."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An image and its labels.

    Attributes:
        image: The file.
        split: The source's own split of it, "" if it names none.
        draw: Draws its labels at the image's size.
    """

    image: Path
    split: str = ""
    draw: Draw


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """Something of the source that the import leaves out: what, why, how often, and where for example."""

    what: str
    why: str
    count: int
    example: str


@dataclass
class Tally:
    """Counts what is left out, by what it is and why, and what is worth a remark."""

    _found: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    _remarks: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, what: str, why: str, example: object) -> None:
        """Counts one: `add("annotation", "no polygon", "a.jpg")`."""
        count, first = self._found.get((what, why), (0, str(example)))
        self._found[what, why] = (count + 1, first)

    def remark(self, text: str, example: object) -> None:
        """Counts one of what is not left out: `remark("masks had soft edges", "a.png")`."""
        count, first = self._remarks.get(text, (0, str(example)))
        self._remarks[text] = (count + 1, first)

    def remarks(self) -> tuple[str, ...]:
        """Returns what was remarked, each as "12 masks had soft edges (such as a.png)"."""
        return tuple(f"{count} {text} (such as {example})" for text, (count, example) in self._remarks.items())

    def dropped(self) -> tuple[Dropped, ...]:
        """Returns what was counted."""
        return tuple(
            Dropped(what=what, why=why, count=count, example=example)
            for (what, why), (count, example) in self._found.items()
        )


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a format's `read` returns.

    Attributes:
        names: The classes, in the tool's order.
        samples: Those that have both a file and labels.
        tally: What was left out while reading; drawing may add to it.
        sparse: Whether objects are annotated one by one, so that pixels between them have no class.
        overlap: Which of two annotations wins a pixel, in words.
        colours: The tool's colours, by class.
    """

    names: tuple[str, ...]
    samples: tuple[Sample, ...]
    tally: Tally
    sparse: bool
    overlap: str = "label maps: nothing overlaps"
    colours: Mapping[str, Colour] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Region:
    """One annotation: the index of its class, and how to draw it as a mask of a given height and width."""

    index: int
    mask: Callable[[int, int], Mask]


def painter(regions: Sequence[Region], size: tuple[int, int] | None = None) -> Draw:
    """Returns a `Draw` that paints regions over each other, the last on top.

    Args:
        regions: From the lowest to the topmost.
        size: Height and width that they were drawn on, if the source tells; another image is refused.
    """

    def draw(height: int, width: int) -> Indices:
        if size is not None and size != (height, width):
            raise DataError(f"labelled at {size[0]}x{size[1]}, but the image is {height}x{width}")
        indices = np.full((height, width), UNLABELLED, np.int16)
        for region in regions:
            indices[region.mask(height, width)] = region.index
        return indices

    return draw


class Names:
    """Class names in the order in which they are met, and their indices."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._index: dict[str, int] = {}
        for name in names:
            self.index(name)

    def index(self, name: Any) -> int:
        """Returns the index of `name`, a new one if it was not met before."""
        text = str(name).strip()
        if not text:
            raise DataError(f"a class is named {quoted(name)}: expected a name")
        return self._index.setdefault(text, len(self._index))

    def tuple(self) -> tuple[str, ...]:
        """Returns the names in order."""
        return tuple(self._index)
