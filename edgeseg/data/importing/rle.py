"""Run lengths to masks: COCO's, CVAT's and Label Studio's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.data.importing.records import Mask
from edgeseg.errors import DataError, quoted


def run_mask(counts: Sequence[int], height: int, width: int, *, by_columns: bool) -> Mask:
    """Returns the mask of alternating runs, the first of them unset pixels.

    Args:
        counts: Lengths of the runs.
        height: Rows.
        width: Columns.
        by_columns: Whether the runs go down the columns (COCO) or along the rows (CVAT).

    Raises:
        DataError: They do not fill the mask exactly.
    """
    runs = np.asarray(counts, np.int64)
    if runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        raise DataError(f"run lengths of {quoted(int(runs.sum()))} pixels: expected {height}x{width}")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T if by_columns else flat.reshape(height, width)


def coco_mask(value: Any) -> Mask:
    """Decodes COCO's {"size": [height, width], "counts": [...] or "..."}.

    Raises:
        DataError: It is no such thing.
    """
    try:
        height, width = (int(n) for n in value["size"])
        counts = value["counts"]
        runs = coco_counts(counts) if isinstance(counts, str) else [int(n) for n in counts]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"run lengths {quoted(value)}: expected size and counts") from error
    return run_mask(runs, height, width, by_columns=True)


def coco_counts(text: str) -> list[int]:
    """Decodes COCO's compressed run lengths (cocoapi, `common/maskApi.c`, rleFrString).

    A number is written in groups of 5 bits, the lowest first, each a character above "0"; bit 5 says that more
    follow, bit 4 of the last is the sign. From the fourth on, a number is the difference to the last but one.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"no run length: {character!r}")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def label_studio_mask(values: Any, height: int, width: int) -> Mask:
    """Decodes the bytes of a Label Studio brush: RGBA, of which the opaque pixels count.

    The format is that of @thi.ng/rle-pack: 32 bits for the number of values, 5 for their size, four times 4 for the
    sizes of lengths, then runs (bit 1, length, a value) and stretches (bit 0, length, its values).

    Raises:
        DataError: It is no such thing, or of another size.
    """
    try:
        data = np.asarray(values, np.uint8)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"brush {quoted(values)}: expected bytes") from error
    bits = _Bits(np.unpackbits(data))
    total, word = bits.read(32), bits.read(5) + 1
    sizes = [bits.read(4) + 1 for _ in range(4)]
    if total != 4 * height * width or word != 8:
        raise DataError(f"a brush of {total} values of {word} bits: expected {height}x{width} pixels of 4 bytes")
    out, at = np.zeros(total, np.uint8), 0
    while at < total:
        is_run = bits.read(1)
        length = bits.read(sizes[bits.read(2)]) + 1
        end = min(at + length, total)
        out[at:end] = bits.read(8) if is_run else bits.bytes(length)[: end - at]
        at = end
    mask: Mask = out.reshape(height, width, 4)[..., 3] > 0
    return mask


class _Bits:
    """A reader of bits, the highest first."""

    def __init__(self, bits: npt.NDArray[np.uint8]) -> None:
        self._bits, self._at = bits, 0

    def read(self, count: int) -> int:
        value = 0
        for bit in self._taken(count):
            value = value << 1 | int(bit)
        return value

    def bytes(self, count: int) -> npt.NDArray[np.uint8]:
        return np.packbits(self._taken(8 * count))

    def _taken(self, count: int) -> npt.NDArray[np.uint8]:
        taken = self._bits[self._at : self._at + count]
        if len(taken) < count:
            raise DataError("a brush that ends too early")
        self._at += count
        return taken
