"""Agreement is told on images that neither calibration nor tuning saw, and refinements are chosen by others again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.conversion.images import AGREEMENT_IMAGES, CHOOSING_IMAGES, divide, divide_arrays, part_numbers
from edgeseg.data.calibration import open_calibration
from edgeseg.errors import DataError, UsageError
from edgeseg.files import file_digest
from edgeseg.image import write_image


@given(st.integers(2, 500), st.integers(0, 300), st.integers(1, 200))
def test_the_parts_share_no_image(count: int, more: int, images: int) -> None:
    calibration, choosing, unseen = part_numbers(count, more, images)
    assert 1 <= len(calibration) <= images
    assert all(n < count for n in calibration)
    assert not set(calibration) & {*choosing, *unseen}
    assert choosing == unseen or not set(choosing) & set(unseen)
    assert all(0 <= n < count + more for n in (*choosing, *unseen))
    assert part_numbers(count, more, images) == (calibration, choosing, unseen)


@pytest.mark.parametrize(
    ("count", "more", "images", "sizes"),
    [
        (367, 0, 100, (100, 10, 20)),  # a folder with plenty: the others come from what calibration leaves
        (100, 267, 100, (100, 10, 20)),  # a manifest in a folder that has more: the set stays whole
        (100, 1000, 100, (100, 10, 20)),  # a renderer
        (100, 0, 100, (80, 7, 13)),  # just enough for calibration: a fifth is kept from it
        (8, 0, 100, (7, 1, 1)),  # one does both
        (1, 0, 100, (1, 1, 1)),
    ],
)
def test_how_many_images_each_part_gets(count: int, more: int, images: int, sizes: tuple[int, int, int]) -> None:
    assert tuple(map(len, part_numbers(count, more, images))) == sizes


def test_a_single_image_has_to_do_for_all_and_that_is_said() -> None:
    images = divide_arrays([np.zeros((4, 4, 3), np.uint8)], "desk")
    assert not images.record.unseen
    assert images.description == "the one image that it was calibrated on (desk has no other)"


def test_beyond_a_manifest_the_other_images_of_its_folder_are_taken(tmp_path: Path) -> None:
    files = [tmp_path / f"train/{shade:02}.png" for shade in range(40)]
    for shade, file in enumerate(files):
        write_image(file, np.full((4, 4, 3), shade, np.uint8))
    pinned = {f"train/{file.name}": file_digest(file) for file in files[:4]}
    manifest = tmp_path / "yard.json"
    manifest.write_text(json.dumps({"kind": "files", "name": "yard", "files": pinned}))
    images = divide(open_calibration(str(manifest), data=tmp_path))
    assert sorted(int(p[0, 0, 0]) for p in images.calibration) == [0, 1, 2, 3]
    assert all(p[0, 0, 0] >= 4 for p in (*images.choosing, *images.unseen))
    assert images.record.source == "yard"


def test_a_renderer_renders_more() -> None:
    images = divide(open_calibration("synthetic:2", size=(32, 48)))
    assert images.synthetic
    assert (len(images.calibration), len(images.choosing), len(images.unseen)) == (
        2, CHOOSING_IMAGES, AGREEMENT_IMAGES,
    )  # fmt: skip
    seen = [p.tobytes() for p in images.calibration]
    assert not any(p.tobytes() in seen for p in (*images.choosing, *images.unseen))


def test_arrays_that_are_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="no images"):
        divide_arrays([])
    with pytest.raises(UsageError, match=r"calibration image 0 is float64 .*expected uint8"):
        divide_arrays([np.zeros((4, 4, 3))])


def test_agreement_by_class_and_quadrant() -> None:
    """Of a file that is its network but for one class in one quadrant."""
    from edgeseg.conversion.agreement import _quarters

    hit = np.ones((4, 6), bool)
    hit[:2, 3:] = False
    assert [float(part.mean()) for part in _quarters(hit)] == [1, 0, 1, 1]
    assert [part.shape for part in _quarters(np.ones((1, 1), bool))] == [(1, 1)] * 4
