"""How a picture is cut into tiles that overlap, and how much each of them counts where.

The unit is the cell: the square of pixels that one position of the network's output stands for. Tiles begin at cells,
so the outputs of all of them lie on one grid and can be added up there. Along each side the weights of the tiles that
cover a cell are whole numbers that sum to `UNITY`: sums of integer logits stay exact, and nothing has to be divided.

The grid of tiles is tied to the ground, not to the picture's corner (`origin`): a part that is cut out of a
mosaic is tiled as the mosaic is. Only the first and the last tile of a side are moved inwards, to lie in the picture.
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
    """One side of a picture, in tiles.

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
        """Pixels of the first cell that lie before the picture."""
        return self.origin % self.cell

    @property
    def cells(self) -> int:
        """Cells of the side, at least a tile."""
        return max(self.span, -(-(self.lead + self.pixels) // self.cell))

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first cell of each tile, in rising order."""
        step, last = self.span - self.overlap, self.cells - self.span
        first = -(self.origin // self.cell) % step
        return tuple(sorted({0, *range(first, last + 1, step), last}))

    @cached_property
    def weights(self) -> Weights:
        """(tiles, span): what each tile counts along this side; raised cosines where neighbours meet."""
        starts, count = self.starts, len(self.starts)
        weights = np.full((count, self.span), UNITY, np.int32)
        steps = (np.arange(self.overlap) + 0.5) / max(1, self.overlap)
        rising = np.rint(UNITY * (1 - np.cos(np.pi * steps)) / 2).astype(np.int32)
        for after in range(1, count):
            # The last tile takes over as late as it can, the others as early: so the grid's own tiles count most.
            late = after == count - 1 and after > 1
            begin = starts[after - 1] + self.span - self.overlap if late else starts[after]
            end = begin + self.overlap
            weights[after, : begin - starts[after]] = 0
            weights[after, begin - starts[after] : end - starts[after]] = rising
            weights[after - 1, begin - starts[after - 1] : end - starts[after - 1]] = UNITY - rising
            weights[after - 1, end - starts[after - 1] :] = 0
        return weights
