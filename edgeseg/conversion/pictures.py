"""Pictures of one source in three parts: what sets ranges, what refinements are chosen by, what agreement is told on.

The parts share no picture, so that neither the choice nor the figure flatters the file. Where the source has more
pictures than calibration asks for, the others come from those; else a fifth is kept from calibration.
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
"""Pictures on which a file is compared with the network it came from."""
CHOOSING_IMAGES = 10
"""Pictures by which refinements are kept or not."""
CALIBRATION_IMAGES = 100


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Blue-green-red pictures of one source.

    Attributes:
        source: Where they come from.
        calibration: Set ranges and biases; read while iterating, which may be done again.
        choosing: Tell whether a refinement helps.
        unseen: Tell what the finished file is worth.
        disjoint: Whether `choosing` and `unseen` have no picture of `calibration`; a single picture has to do for all.
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
        """What a card says about the pictures that agreement is measured on."""
        return AgreementRecord(source=self.source, count=len(self.unseen), unseen=self.disjoint)

    @property
    def description(self) -> str:
        """The same for people: "20 pictures that calibration and tuning did not see (folder train)"."""
        count = len(self.unseen)
        if not self.disjoint:
            return f"the one picture that it was calibrated on ({self.source} has no other)"
        return f"{count} picture{'s' * (count > 1)} that neither calibration nor tuning saw ({self.source})"


class Lazy:
    """Pictures that are read whenever they are iterated over.

    Args:
        picture: Reads the picture of a number.
        chosen: The numbers.
    """

    def __init__(self, picture: Callable[[int], Uint8], chosen: Sequence[int]) -> None:
        self._picture, self._chosen = picture, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __iter__(self) -> Iterator[Uint8]:
        return map(self._picture, self._chosen)


def divide(pictures: CalibrationSet, images: int = CALIBRATION_IMAGES) -> Pictures:
    """Divides a calibration set.

    Args:
        pictures: The set.
        images: Calibrate on at most so many of them, evenly spread.
    """
    parts = part_numbers(pictures.count, pictures.more, images)
    divided = _parts(pictures.record_source, pictures.picture, *parts)
    return replace(divided, synthetic=pictures.is_synthetic, files=(*pictures.files, *pictures.others))


def divide_arrays(pictures: Sequence[Uint8], source: str = "pictures given") -> Pictures:
    """Divides pictures that are in memory.

    Raises:
        DataError: There is none.
        UsageError: One is not (H, W, 3) uint8.
    """
    if not len(pictures):
        raise DataError("the calibration set has no images: expected at least one, better 100")
    for number, picture in enumerate(pictures):
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim not in (2, 3):
            described = (
                f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
            )
            raise UsageError(f"calibration picture {number} is {described}: expected uint8 (H, W, channels)")
    return _parts(source, lambda index: pictures[index], *part_numbers(len(pictures), 0, len(pictures)))


def _parts(
    source: str,
    picture: Callable[[int], Uint8],
    calibration: Sequence[int],
    choosing: Sequence[int],
    unseen: Sequence[int],
) -> Pictures:
    return Pictures(
        source=source,
        calibration=Lazy(picture, calibration),
        choosing=tuple(map(picture, choosing)),
        unseen=tuple(map(picture, unseen)),
        disjoint=not set(calibration) & {*choosing, *unseen},
    )


def part_numbers(count: int, more: int, images: int) -> tuple[list[int], list[int], list[int]]:
    """Divides picture numbers, evenly spread.

    Args:
        count: Pictures of a set, numbered from 0.
        more: Pictures of the same source beyond it, numbered from `count`.
        images: Calibrate on at most so many of the set.

    Returns:
        The numbers for calibration, choosing and agreement. Two pictures kept apart choose and tell; one does both;
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
