"""Images of one source in three parts: what sets ranges, what refinements are chosen by, what agreement is told on.

The parts share no image, so that neither the choice nor the figure flatters the file. Where the source has more
images than calibration asks for, the others come from those; else a fifth is kept from calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.data.calibration import CalibrationSet
from edgeseg.errors import DataError, UsageError
from edgeseg.provenance import AgreementRecord

AGREEMENT_IMAGES = 20
"""Images on which a file is compared with the network it came from."""
CHOOSING_IMAGES = 10
"""Images by which refinements are kept or not."""
CALIBRATION_IMAGES = 100


@dataclass(frozen=True, kw_only=True)
class Images:
    """Blue-green-red images of one source.

    Attributes:
        source: Where they come from.
        calibration: Set ranges and biases; read while iterating, which may be done again.
        choosing: Tell whether a refinement helps.
        unseen: Tell what the finished file is worth.
        disjoint: Whether `choosing` and `unseen` have no image of `calibration`; a single image has to do for all.
        synthetic: Whether they are made, not taken.
        distilled: Whether they are made of the network's own statistics.
        files: What they are read from.
    """

    source: str
    calibration: Lazy
    choosing: tuple[Uint8, ...]
    unseen: tuple[Uint8, ...]
    disjoint: bool
    synthetic: bool = False
    distilled: bool = False
    files: tuple[Path, ...] = ()

    @property
    def record(self) -> AgreementRecord:
        """What a card says about the images that agreement is measured on."""
        return AgreementRecord(source=self.source, count=len(self.unseen), unseen=self.disjoint)

    @property
    def description(self) -> str:
        """The same for people: "20 images that calibration and tuning did not see (folder train)"."""
        count = len(self.unseen)
        if not self.disjoint:
            return f"the one image that it was calibrated on ({self.source} has no other)"
        return f"{count} image{'s' * (count > 1)} that neither calibration nor tuning saw ({self.source})"


class Lazy:
    """Images that are read whenever they are iterated over.

    Args:
        read: Reads the image of a number.
        chosen: The numbers.
    """

    def __init__(self, read: Callable[[int], Uint8], chosen: Sequence[int]) -> None:
        self._read, self._chosen = read, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __iter__(self) -> Iterator[Uint8]:
        return map(self._read, self._chosen)


def divide(whole: CalibrationSet, images: int = CALIBRATION_IMAGES) -> Images:
    """Divides a calibration set.

    Args:
        whole: The set.
        images: Calibrate on at most so many of them, evenly spread.
    """
    parts = part_numbers(whole.count, whole.more, images)
    divided = _parts(whole.record_source, whole.image, *parts)
    return replace(divided, synthetic=whole.is_synthetic, files=(*whole.files, *whole.others))


def divide_arrays(images: Sequence[Uint8], source: str = "images given") -> Images:
    """Divides images that are in memory.

    Raises:
        DataError: There is none.
        UsageError: One is not (H, W, 3) uint8.
    """
    if not len(images):
        raise DataError("the calibration set has no images: expected at least one, better 100")
    for number, image in enumerate(images):
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim not in (2, 3):
            described = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise UsageError(f"calibration image {number} is {described}: expected uint8 (H, W, channels)")
    return _parts(source, lambda index: images[index], *part_numbers(len(images), 0, len(images)))


def _parts(
    source: str,
    read: Callable[[int], Uint8],
    calibration: Sequence[int],
    choosing: Sequence[int],
    unseen: Sequence[int],
) -> Images:
    return Images(
        source=source,
        calibration=Lazy(read, calibration),
        choosing=tuple(map(read, choosing)),
        unseen=tuple(map(read, unseen)),
        disjoint=not set(calibration) & {*choosing, *unseen},
    )


def part_numbers(count: int, more: int, images: int) -> tuple[list[int], list[int], list[int]]:
    """Divides image numbers, evenly spread.

    Args:
        count: Images of a set, numbered from 0.
        more: Images of the same source beyond it, numbered from `count`.
        images: Calibrate on at most so many of the set.

    Returns:
        The numbers for calibration, choosing and agreement. Two images kept apart choose and tell; one does both;
        where there is only one in all, it does all.
    """
    apart = CHOOSING_IMAGES + AGREEMENT_IMAGES
    share = max(count - images, count // 5, 1)
    beyond = more >= min(apart, share)
    kept = spread(range(count, count + more), apart) if beyond else spread(range(count), min(apart, share))
    rest = [n for n in range(count) if n not in set(kept)]
    calibration = spread(rest, images) or [0]
    choosing = [n for i, n in enumerate(kept) if i % 3 == 0]
    unseen = [n for i, n in enumerate(kept) if i % 3 != 0] or choosing
    return calibration, choosing, unseen


def spread(numbers: Sequence[int], count: int) -> list[int]:
    """Returns `count` of some numbers, evenly spread; all if they are fewer."""
    count = min(count, len(numbers))
    return [numbers[i * len(numbers) // count] for i in range(count)]
