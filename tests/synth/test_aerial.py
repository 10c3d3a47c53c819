"""The synthetic aerial set: same bytes for the same seed, labels that belong to the image, everything occurs."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from edgeseg.arrays import Uint8
from edgeseg.errors import UsageError
from edgeseg.files import digest
from edgeseg.synth import aerial
from edgeseg.synth.camera import Camera, Pose, fill
from edgeseg.synth.layout import Grid
from edgeseg.synth.world import scene_in

SMALL = {"height": 64, "width": 80}


@pytest.fixture(scope="module")
def images() -> list[tuple[Uint8, Uint8]]:
    return [aerial.render(index, seed=5, **SMALL) for index in range(24)]


def test_shapes_and_types(images: list[tuple[Uint8, Uint8]]) -> None:
    for image, label_map in images:
        assert (image.shape, image.dtype) == ((64, 80, 3), np.uint8)
        assert (label_map.shape, label_map.dtype) == ((64, 80), np.uint8)


@pytest.mark.parametrize("size", [(16, 16), (33, 47), (120, 48)])
def test_any_size(size: tuple[int, int]) -> None:
    image, label_map = aerial.render(1, seed=0, height=size[0], width=size[1])
    assert image.shape == (*size, 3)
    assert label_map.shape == size


def test_same_bytes_again(images: list[tuple[Uint8, Uint8]]) -> None:
    for index in (3, 17):
        again = aerial.render(index, seed=5, **SMALL)
        assert again[0].tobytes() == images[index][0].tobytes()
        assert again[1].tobytes() == images[index][1].tobytes()


def test_same_bytes_in_another_process(python: Any, images: list[tuple[Uint8, Uint8]]) -> None:
    code = (
        "from edgeseg.synth import aerial; from edgeseg.files import digest;"
        "print(*(digest(a.tobytes()) for a in aerial.render(4, seed=5, height=64, width=80)))"
    )
    assert python("-c", code).stdout.split() == [digest(part.tobytes()) for part in images[4]]


def test_seed_and_index_both_matter(images: list[tuple[Uint8, Uint8]]) -> None:
    digests = {image.tobytes() for image, _ in images}
    assert len(digests) == len(images)
    assert aerial.render(0, seed=6, **SMALL)[0].tobytes() not in digests


def test_every_class_occurs(images: list[tuple[Uint8, Uint8]]) -> None:
    seen = np.unique(np.concatenate([label_map.ravel() for _, label_map in images]))
    assert seen.tolist() == list(range(aerial.LABELS.num_classes))


def test_splits_share_no_world() -> None:
    seeds = [{aerial.split_seed(seed, split) for seed in range(50)} for split in aerial.SPLITS]
    assert seeds[0].isdisjoint(seeds[1])
    with pytest.raises(UsageError, match="no split 'test': it has train, val"):
        aerial.split_seed(0, "test")


def test_views_are_nadir_and_oblique() -> None:
    pitches = []
    for index in range(40):
        grid = Grid.draw((5, index, 1))
        pose = aerial._pose(np.random.default_rng([5, index, 2]), grid)
        pitches.append(math.degrees(pose.pitch))
        assert 10 < pose.altitude < 50
    assert sum(pitch > 80 for pitch in pitches) >= 8
    assert sum(pitch < 70 for pitch in pitches) >= 8


def test_labels_lie_on_the_image(images: list[tuple[Uint8, Uint8]]) -> None:
    """Where the class changes, the image changes too: moved by a few pixels, the labels fit it worse."""

    def contrast(shift: int) -> float:
        """Mean step of the image across horizontal neighbours of different class."""
        steps = []
        for image, label_map in images:
            grey = image.astype(np.float32).mean(axis=2)
            moved = np.roll(label_map, shift, axis=1)[:, 8:-8]
            border = moved[:, 1:] != moved[:, :-1]
            steps.append(np.abs(np.diff(grey[:, 8:-8], axis=1))[border])
        return float(np.concatenate(steps).mean())

    assert contrast(0) > 1.5 * max(contrast(-3), contrast(3))


def test_classes_look_different(images: list[tuple[Uint8, Uint8]]) -> None:
    """Low vegetation is greener than the road in every image that shows both."""
    names = aerial.LABELS.names
    road, green = names.index("road"), names.index("low vegetation")
    compared = 0
    for image, label_map in images:
        if min((label_map == road).sum(), (label_map == green).sum()) > 200:
            greenness = image[:, :, 1].astype(np.float32) - image[:, :, 0]
            assert greenness[label_map == green].mean() > greenness[label_map == road].mean() + 8
            compared += 1
    assert compared >= 5


@pytest.mark.parametrize(
    ("index", "seed", "size"), [(-1, 0, (64, 64)), (0, -1, (64, 64)), (0, 0, (15, 64)), (0, 0, (64, 0))]
)
def test_impossible_images_are_refused(index: int, seed: int, size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="expected"):
        aerial.render(index, seed=seed, height=size[0], width=size[1])


def test_a_flight_moves_smoothly_over_one_world() -> None:
    """One second on, an image is alike; half a minute on, it is another place."""
    shots = aerial.flight_shots(900, seed=1, height=48, width=64)
    labels = [aerial.shoot(shots[frame], height=48, width=64)[1] for frame in (0, 1, 899)]
    assert np.mean(labels[0] == labels[1]) > 0.9
    assert np.mean(labels[0] == labels[2]) < 0.8
    steps = [math.hypot(b.pose.x - a.pose.x, b.pose.y - a.pose.y) for a, b in itertools.pairwise(shots)]
    assert max(steps) < 0.2  # metres a frame: below 6 m/s


def test_a_longer_flight_begins_the_same() -> None:
    short = list(aerial.flight(2, seed=3, **SMALL))
    longer = [aerial.shoot(shot, **SMALL) for shot in aerial.flight_shots(40, seed=3, **SMALL)[:2]]
    for (image, label_map), (same_image, same_label_map) in zip(short, longer, strict=True):
        assert image.tobytes() == same_image.tobytes()
        assert label_map.tobytes() == same_label_map.tobytes()


def test_a_world_is_the_same_from_wherever_it_is_seen() -> None:
    grid = Grid.draw((8, 8, 1))
    corner = grid.place(np.array([[0.0, 0.0], [5.0, 5.0]]))
    near, wide = scene_in(grid, corner), scene_in(grid, np.concatenate([corner, corner + 90]))
    assert set(near.buildings) <= set(wide.buildings)
    assert set(near.trees) <= set(wide.trees)


# === Camera ===


def straight_down(altitude: float = 10.0) -> Camera:
    """Looks down from above the origin, the image's top to the north; 100 columns for 2 x 10 m."""
    pose = Pose(x=0, y=0, altitude=altitude, yaw=0, pitch=math.pi / 2, roll=0, fov=math.pi / 2)
    return Camera(pose, 50, 100)


def test_projection_by_hand() -> None:
    pixels = straight_down().project(np.array([[0.0, 0, 0], [5.0, 0, 0], [0.0, 2, 0], [5.0, 0, 5.0]]))
    assert pixels is not None
    # 50 pixels of focal length over 10 m: 5 pixels a metre, from the centre (49.5, 24.5); at 5 m height 10 a metre
    np.testing.assert_allclose(pixels, [[49.5, 24.5], [74.5, 24.5], [49.5, 14.5], [99.5, 24.5]], atol=1e-9)


def test_each_pixel_sees_the_ground_point_that_projects_to_it() -> None:
    pose = Pose(x=30, y=-12, altitude=21, yaw=0.7, pitch=math.radians(50), roll=0.03, fov=math.radians(60))
    camera = Camera(pose, 40, 60)
    rows, columns = np.mgrid[0:40, 0:60]
    points = np.stack([camera.ray_x + 30, camera.ray_y - 12], axis=2).reshape(-1, 2).astype(np.float64)
    pixels = camera.to_pixels(camera.in_view(np.pad(points, ((0, 0), (0, 1)))))
    np.testing.assert_allclose(pixels, np.stack([columns.ravel(), rows.ravel()], axis=1), atol=0.01)


def test_a_polygon_that_reaches_behind_the_camera_is_cut() -> None:
    pose = Pose(x=0, y=0, altitude=10, yaw=0, pitch=math.radians(40), roll=0, fov=math.radians(60))
    camera = Camera(pose, 40, 60)
    strip = np.array([[-2.0, -200], [2, -200], [2, 15], [-2, 15]])
    pixels = camera.project_ground(strip)
    assert pixels is not None
    ids = np.zeros((40, 60), np.uint8)
    fill(ids, pixels, 7)
    middle = ids[:, 30]
    assert middle[-1] == 7  # from the lower edge of the image ...
    ends = camera.to_pixels(camera.in_view(np.array([[0.0, 15, 0]])))[0, 1]
    assert np.flatnonzero(middle)[0] == pytest.approx(ends, abs=1.01)  # ... up to where the strip ends


def test_what_lies_behind_is_not_drawn() -> None:
    assert straight_down().project(np.array([[0.0, 0, 12], [1, 0, 12], [0, 1, 12]])) is None
