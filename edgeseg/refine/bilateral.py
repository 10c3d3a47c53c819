"""Fast bilateral filtering: sums over all pixels with a Gaussian weight in position and colour.

`bilateral_filter` prepares, for one image, the product of the N x N matrix

    k_ij = exp(-|x_i - x_j|² / (2 sigma_xy²) - |c_i - c_j|² / (2 sigma_colour²))

with planes of values, without forming it. A permutohedral lattice (Adams et al., 2010) does this with scattered reads
and writes, which NumPy is slow at; here nearly all the work is in matrix products:

1. Pixels of one tile (a square of half a sigma_xy) and of one cell of colours (a cube of one sigma_colour) form a
   group, at the centre of the tile and the mean colour of the cell.
2. The Gaussian over the image's colours is factored: k(c, c') ~ f(c) · f(c'), with features f of R numbers. They come
   from a Cholesky factorisation stopped after R pivots, each the colour that leaves most weight unexplained (Harbrecht
   et al., "On the low-rank approximation by the pivoted Cholesky decomposition", 2012; Williams and Seeger, "Using
   the Nyström method to speed up kernel machines", 2000).
3. Splat: in each tile, features times values. Blur: the Gaussian over positions on the grid of tiles, rows then
   columns. Slice: features times the blurred sums, and from groups to pixels.

Tiles and cells shrink with the image, down to single pixels and colours, and its rank is then not limited in practice:
on small images (24x24) the filter is exact to rounding. On large ones it is as near as the rank lets it be to how many
different colours the image has; white noise, which has no colour twice, is the worst case.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32, Uint8

Index = npt.NDArray[np.int64]

TILE = 0.5
"""Side of a tile, in sigma_xy, at most."""
TILES = 300
"""Tiles are smaller where the image would have fewer than these."""
CELL = 1.0
"""Side of a cell of colours, in sigma_colour, at most."""
COARSE_PIXELS = 50_000
"""Cells are smaller, in proportion, where the image has fewer pixels than these."""
FEATURES = 10_000_000
"""Numbers to spend on features: groups times rank. Time and memory (4 bytes each) grow with it."""
MAX_RANK = 640
CANDIDATES = 2048
"""The most frequent colours, from which pivots are chosen."""
UNEXPLAINED = 1e-6
"""No more pivots are needed when no colour has a larger part of its weight (1) unexplained."""
SUMS = 16_000_000
"""Numbers to hold at once on the grid of tiles: more features than fit are blurred in turns."""


@dataclass(frozen=True, kw_only=True)
class BilateralFilter:
    """One image's kernel, ready to be applied. N pixels in P groups on T tiles, R features.

    Attributes:
        order: (N,) the pixels, group by group.
        starts: (P,) where each group starts in `order`; groups are sorted by tile.
        group: (N,) each pixel's group.
        grid: (rows, columns) of tiles.
        bounds: (T + 1,) where each tile's groups start.
        features: (P, R) float32.
        row_kernel: (rows, rows) Gaussian between rows of tiles.
        column_kernel: (columns, columns) Gaussian between columns of tiles.
        self_weight: (N,) what the factored kernel gives each pixel for itself, at most 1.
    """

    order: Index
    starts: Index
    group: Index
    grid: tuple[int, int]
    bounds: tuple[int, ...]
    features: Float32
    row_kernel: Float32
    column_kernel: Float32
    self_weight: Float32

    def __call__(self, planes: Float32) -> Float32:
        """Filters planes of values.

        Args:
            planes: (C, N) float32, pixels row by row.

        Returns:
            (C, N) float32: sum_{j != i} k_ij planes[:, j] for each pixel i.
        """
        groups = np.add.reduceat(np.take(planes, self.order, axis=1), self.starts, axis=1)
        filtered = np.zeros_like(groups)
        rank = self.features.shape[1]
        turn = max(1, SUMS // (len(planes) * (len(self.bounds) - 1)))
        for first in range(0, rank, turn):
            self._add(groups, self.features[:, first : first + turn], filtered)
        result = np.take(filtered, self.group, axis=1)
        result -= self.self_weight * planes
        return result

    def _add(self, groups: Float32, features: Float32, filtered: Float32) -> None:
        """Adds to `filtered` (C, P) what some of the features carry of `groups` (C, P)."""
        rows, columns = self.grid
        sums = np.empty((rows * columns, len(groups), features.shape[1]), np.float32)
        for tile, (start, stop) in enumerate(pairwise(self.bounds)):
            np.matmul(groups[:, start:stop], features[start:stop], out=sums[tile])
        sums = self.column_kernel @ (self.row_kernel @ sums.reshape(rows, -1)).reshape(rows, columns, -1)
        sums = sums.reshape(rows * columns, len(groups), -1)
        for tile, (start, stop) in enumerate(pairwise(self.bounds)):
            filtered[:, start:stop] += sums[tile] @ features[start:stop].T


def bilateral_filter(image: Uint8, sigma_xy: float, sigma_colour: float) -> BilateralFilter:
    """Prepares the kernel of an image.

    Args:
        image: (H, W, 3) uint8.
        sigma_xy: Standard deviation over positions, in pixels, > 0.
        sigma_colour: Standard deviation over colours, in levels of 0-255, > 0.
    """
    height, width = image.shape[:2]
    side = max(1, int(min(sigma_xy * TILE, math.sqrt(height * width / TILES))))
    rows, columns = -(-height // side), -(-width // side)
    tile = (np.arange(height)[:, None] // side * columns + np.arange(width) // side).ravel()
    cell, colours, counts = _palette(image, max(1.0, sigma_colour * CELL * min(1.0, height * width / COARSE_PIXELS)))

    key = tile * len(colours) + cell
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    starts = np.flatnonzero(begins)
    group = np.empty(len(key), np.int64)
    group[order] = np.cumsum(begins) - 1
    group_tile, group_cell = np.divmod(ordered[starts], len(colours))

    colours /= np.float32(sigma_colour)
    of_colours = _features(colours, counts, min(MAX_RANK, FEATURES // len(starts) + 1))
    self_weight = np.einsum("mr,mr->m", of_colours, of_colours)
    return BilateralFilter(
        order=order,
        starts=starts,
        group=group,
        grid=(rows, columns),
        bounds=tuple(np.searchsorted(group_tile, np.arange(rows * columns + 1)).tolist()),
        features=of_colours[group_cell],
        row_kernel=_gaussian_between_tiles(height, side, sigma_xy),
        column_kernel=_gaussian_between_tiles(width, side, sigma_xy),
        self_weight=self_weight[cell],
    )


def _palette(image: Uint8, side: float) -> tuple[Index, Float32, Index]:
    """Cuts colour space into cubes: each pixel's cube (N,), each cube's mean colour (M, 3) and pixel count (M,)."""
    digits = (np.arange(256) / side).astype(np.int64)
    key = np.zeros(image.shape[:2], np.int64)
    for channel in range(3):
        key = key << 8 | digits[image[..., channel]]
    _, cell, counts = np.unique(key.ravel(), return_inverse=True, return_counts=True)
    sums = [np.bincount(cell, image[..., channel].ravel()) for channel in range(3)]
    return cell, (np.stack(sums, axis=1) / counts[:, None]).astype(np.float32), counts


def _features(colours: Float32, counts: Index, rank: int) -> Float32:
    """Returns (M, R) features, R <= rank, of colours (M, 3) given in units of sigma."""
    frequent = np.argsort(-counts, kind="stable")[:CANDIDATES]
    pivots = colours[frequent[_pivots(colours[frequent], counts[frequent], rank)]]
    among = _kernel(pivots.astype(np.float64), pivots.astype(np.float64))
    root = np.linalg.cholesky(among + UNEXPLAINED * np.eye(len(pivots)))
    features: Float32 = _kernel(colours, pivots) @ np.linalg.inv(root).T.astype(np.float32)
    return features


def _pivots(colours: Float32, counts: Index, rank: int) -> list[int]:
    """Chooses colours by pivoted Cholesky: each the one with the largest unexplained weight times pixel count."""
    columns = np.empty((min(rank, len(colours)), len(colours)), np.float32)
    unexplained = np.ones(len(colours), np.float32)
    pivots: list[int] = []
    for done, column in enumerate(columns):
        pivot = int((unexplained * counts).argmax())
        if unexplained[pivot] < UNEXPLAINED:
            break
        column[:] = _kernel(colours[pivot : pivot + 1], colours)[0]
        column -= columns[:done, pivot] @ columns[:done]
        column /= np.sqrt(unexplained[pivot])
        unexplained -= np.square(column)
        np.maximum(unexplained, 0, out=unexplained)
        unexplained[pivot] = 0
        pivots.append(pivot)
    return pivots


def _kernel(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Returns the Gaussian of unit variance between points (M, 3) and (R, 3): (M, R)."""
    exponents = a @ b.T
    exponents -= np.square(a).sum(1, keepdims=True) / 2
    exponents -= np.square(b).sum(1) / 2
    return np.exp(np.minimum(exponents, 0, out=exponents), out=exponents)


def _gaussian_between_tiles(length: int, side: int, sigma: float) -> Float32:
    """Returns the Gaussian between the centres of runs of `side` pixels, the last of which may be shorter."""
    starts = np.arange(0, length, side)
    centres = (starts + np.minimum(starts + side, length) - 1) / 2
    gaussian: Float32 = np.exp(-np.square(centres[:, None] - centres) / (2 * sigma**2)).astype(np.float32)
    return gaussian
