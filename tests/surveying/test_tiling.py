"""Tiles along one side of an image: whole, overlapping, and weighted so that every cell gets the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.surveying.tiling import UNITY, Axis, mirrored


@given(
    st.integers(1, 900), st.integers(1, 5), st.integers(1, 40), st.integers(0, 20), st.integers(-999, 999)
)  # fmt: skip
def test_every_cell_counts_the_same(pixels: int, cell: int, span: int, overlap: int, origin: int) -> None:
    axis = Axis(pixels=pixels, cell=cell, span=span, overlap=min(overlap, span // 2), origin=origin)
    sums = np.zeros(axis.cells, int)
    for start, weights in zip(axis.starts, axis.weights, strict=True):
        sums[start : start + span] += weights
    assert (sums == UNITY).all()
    assert axis.weights.min() >= 0
    assert axis.cells * cell - axis.lead >= pixels


def test_a_side_as_long_as_a_tile_is_one_tile() -> None:
    axis = Axis(pixels=256, cell=4, span=64, overlap=16)
    assert (list(axis.starts), axis.cells, axis.lead) == ([0], 64, 0)


def test_a_part_of_a_side_has_the_tiles_of_the_whole() -> None:
    whole = Axis(pixels=2000, cell=4, span=64, overlap=16, origin=10)
    part = Axis(pixels=1500, cell=4, span=64, overlap=16, origin=10 + 301)
    shifted = {(start * 4 - part.lead) + 301 for start in part.starts}
    inner = {start * 4 - whole.lead for start in whole.starts}
    assert shifted <= inner


def test_neighbours_take_turns_gently() -> None:
    first, second = Axis(pixels=60, cell=1, span=40, overlap=20).weights
    assert (np.diff(first[20:]) <= 0).all()
    assert abs(np.diff(second)).max() <= UNITY // 10


def test_what_lies_beyond_an_end_is_mirrored() -> None:
    assert mirrored(-3, 5, 2).tolist() == [1, 1, 0, 0, 1, 1, 0, 0]
    assert mirrored(-2, 3, 1).tolist() == [0] * 5
    assert mirrored(1, 4, 9).tolist() == [1, 2, 3]
