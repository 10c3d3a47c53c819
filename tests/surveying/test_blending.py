"""Label maps made of tiles: exact where one tile is all, without seams, in bounded pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from painting import make_photo, make_photo_labels
from tiny_models import COLORS_BGR, binary_model, colour_model

from edgeseg.arrays import Uint8
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.surveying.blending import segment_strips
from edgeseg.surveying.ground import Ground
from edgeseg.surveying.raster import Valid
from edgeseg.surveying.tiling import Axis


class Painted:
    """A raster in memory, which counts how often each row is read."""

    def __init__(self, image: Uint8, valid: Valid | None = None) -> None:
        self.image, self.ground = image, Ground()
        self.valid = np.ones(image.shape[:2], np.bool_) if valid is None else valid
        self.height, self.width = image.shape[:2]
        self.reads = np.zeros(self.height, int)

    def read(self, top: int, bottom: int) -> tuple[Uint8, Valid]:
        self.reads[top:bottom] += 1
        return self.image[top:bottom], self.valid[top:bottom]


def surveyed(segmenter: Segmenter, raster: Painted, *, cell: int, overlap: float = 0.25, origin=(0, 0)) -> Uint8:
    axes = [
        Axis(pixels=pixels, cell=cell, span=span, overlap=int(overlap * span), origin=begin)
        for pixels, span, begin in zip(raster.image.shape, segmenter.output_size, origin, strict=False)
    ]
    strips = list(segment_strips(segmenter, raster, *axes))
    assert [strip.top for strip in strips] == np.cumsum([0, *(len(s.labels) for s in strips)])[:-1].tolist()
    assert (np.concatenate([strip.image for strip in strips]) == raster.image).all()
    return np.concatenate([strip.labels for strip in strips])


@pytest.fixture
def segmenter(tiny_model: Path) -> Segmenter:
    return Segmenter(tiny_model)


def cells(segmenter: Segmenter) -> int:
    return segmenter.input.height // segmenter.output_size[0]


def test_a_image_of_one_tile_is_segmented_as_ever(segmenter: Segmenter, photo: Uint8) -> None:
    labels = surveyed(segmenter, Painted(photo), cell=cells(segmenter))
    assert (labels == segmenter.segment(photo)).all()


def test_a_large_image_is_as_right_as_a_small_one(segmenter: Segmenter, photo: Uint8) -> None:
    raster = Painted(np.tile(photo, (4, 5, 1)))
    truth = np.tile(make_photo_labels(*photo.shape[:2]), (4, 5))
    alone = (segmenter.segment(photo) == make_photo_labels(*photo.shape[:2])).mean()
    assert (surveyed(segmenter, raster, cell=cells(segmenter)) == truth).mean() > alone - 0.01
    assert (raster.reads == 1).all()


@pytest.mark.parametrize("size", [(1, 1), (10, 7), (47, 300), (200, 63), (131, 173)])
def test_any_size(segmenter: Segmenter, size: tuple[int, int]) -> None:
    raster = Painted(make_photo(200, 300)[: size[0], : size[1]])
    assert surveyed(segmenter, raster, cell=3, origin=(7, -5)).shape == size


def test_a_network_that_sees_a_pixel_alone_has_no_seams_at_all() -> None:
    """Its output hangs on nothing but the pixel: so whatever the tiles are, the map must be the same."""
    truth = np.random.default_rng(1).integers(0, 4, (150, 210)).astype(np.uint8)
    segmenter = Segmenter(colour_model(32, 48, stride=1))
    for overlap, origin in ((0.0, (0, 0)), (0.25, (3, 5)), (0.5, (-100, 17))):
        assert (surveyed(segmenter, Painted(COLORS_BGR[truth]), cell=1, overlap=overlap, origin=origin) == truth).all()


def test_networks_that_give_labels_or_one_channel() -> None:
    truth = np.random.default_rng(2).integers(0, 2, (70, 100)).astype(np.uint8)
    painted = Painted(COLORS_BGR[truth])
    assert (surveyed(Segmenter(colour_model(32, 48, stride=1, output="labels")), painted, cell=1) == truth).all()
    assert (surveyed(Segmenter(binary_model(32, 48)), painted, cell=1) == truth).all()


def test_a_part_gives_what_the_whole_gives(segmenter: Segmenter, photo: Uint8) -> None:
    """More than a tile from its edges, where it lacks what lies beyond them, not a pixel differs."""
    image, side = np.tile(photo, (6, 6, 1)), cells(segmenter)
    whole = surveyed(segmenter, Painted(image), cell=side)
    part = surveyed(segmenter, Painted(image[13:, 21:]), cell=side, origin=(13, 21))
    assert (part[48:-48, 64:-64] == whole[13:, 21:][48:-48, 64:-64]).all()
    assert (part == whole[13:, 21:]).mean() > 0.99


def test_where_there_is_no_data_there_is_no_class(segmenter: Segmenter) -> None:
    image, valid = make_photo(200, 300), np.ones((200, 300), np.bool_)
    valid[:150, 40:], valid[170:, 299] = False, False
    labels = surveyed(segmenter, Painted(image, valid), cell=cells(segmenter))
    assert ((labels == segmenter.labels.ignore_index) == ~valid).all()


def test_what_lies_under_no_data_makes_no_difference(segmenter: Segmenter) -> None:
    image, valid = make_photo(100, 100), np.ones((100, 100), np.bool_)
    valid[30:50, 30:60] = False
    other = image.copy()
    other[~valid] = 255
    maps = [surveyed(segmenter, Painted(p, valid), cell=cells(segmenter)) for p in (image, other)]
    assert (maps[0] == maps[1]).all()
