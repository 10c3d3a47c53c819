"""How an image is cut into tiles that overlap, and how much each of them counts where.

The unit is the cell: the square of pixels that one position of the network's output stands for. Tiles begin at cells,
so the outputs of all of them lie on one grid and can be added up there. Along each side the weights of the tiles that
cover a cell are whole numbers that sum to `UNITY`: sums of integer logits stay exact, and nothing has to be divided.

The grid of tiles is tied to the ground, not to the image's corner (`origin`): a part that is cut out of a mosaic is
tiled as the mosaic is. What a tile sees beyond the image's edges is its mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

UNITY = 64
"""Sum of the weights that a cell gets along one side."""

Weights = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One side of an image, in tiles.

    Attributes:
        pixels: Length of the side.
        cell: Pixels of a cell.
        span: Cells of a tile.
        overlap: Cells that neighbours share, at most half a tile.
        origin: Where the side begins on the ground, in pixels from anywhere that all parts of a mosaic share.
    """

    pixels: int
    cell: int
    span: int
    overlap: int
    origin: int = 0

    @property
    def lead(self) -> int:
        """Pixels of the first tile that lie before the image."""
        return self.origin % (self._step * self.cell)

    @property
    def cells(self) -> int:
        """Cells of all tiles together."""
        needed = -(-(self.lead + self.pixels) // self.cell)
        return self.span + max(0, -(-(needed - self.span) // self._step)) * self._step

    @property
    def starts(self) -> range:
        """The first cell of each tile."""
        return range(0, self.cells - self.span + 1, self._step)

    @cached_property
    def weights(self) -> Weights:
        """(tiles, span): what each tile counts along this side; raised cosines where neighbours meet."""
        steps = (np.arange(self.overlap) + 0.5) / max(1, self.overlap)
        rising = np.rint(UNITY * (1 - np.cos(np.pi * steps)) / 2).astype(np.int32)
        weights = np.full((len(self.starts), self.span), UNITY, np.int32)
        weights[1:, : self.overlap] = rising
        weights[:-1, self.span - self.overlap :] = UNITY - rising
        return weights

    @property
    def _step(self) -> int:
        return self.span - self.overlap


def mirrored(begin: int, end: int, length: int) -> npt.NDArray[np.intp]:
    """Returns which positions of a side of `length` stand at `begin` to `end`, mirrored at both its ends."""
    wrapped = np.arange(begin, end) % (2 * length)
    return np.minimum(wrapped, 2 * length - 1 - wrapped)
