"""Areas of pixels: in a plane, and on an ellipsoid."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeseg.surveying.ground import WGS84, Ground

DEGREE = math.pi / 180


def test_pixels_of_a_projected_map_are_all_alike() -> None:
    ground = Ground(transform=(0.5, 0, 1000, 0, -0.5, 2000), metres=0.3048, wkt="feet")
    assert ground.pixel_areas(3) == pytest.approx([(0.5 * 0.3048) ** 2] * 3)
    assert ground.resolution(3) == pytest.approx(0.1524)


def test_the_whole_earth_is_as_large_as_published() -> None:
    """In rows of one degree."""
    rows = Ground(transform=(360, 0, -180, 0, -1, 90), radians=DEGREE, wkt="degrees").pixel_areas(180)
    assert rows.sum() / 1e6 == pytest.approx(510_065_621.724, rel=1e-9)  # WGS 84, NGA.STND.0036
    assert rows == pytest.approx(rows[::-1])


def test_a_sphere_needs_no_flattening() -> None:
    rows = Ground(transform=(360, 0, 0, 0, -90, 90), radians=DEGREE, ellipsoid=(1000.0, 0.0), wkt="x").pixel_areas(2)
    assert rows.sum() == pytest.approx(4 * math.pi * 1000**2)


def test_small_pixels_are_not_lost_in_rounding() -> None:
    """Five centimetres at 48 degrees north, against the product of the radii of curvature there."""
    step = 5e-7
    ground = Ground(transform=(step, 0, 11, 0, -step, 48 + step / 2), radians=DEGREE, wkt="degrees")
    flat = 1 / WGS84[1]
    squared = flat * (2 - flat)
    curved = (1 - squared) / (1 - squared * math.sin(48 * DEGREE) ** 2) ** 2
    expected = WGS84[0] ** 2 * curved * math.cos(48 * DEGREE) * (step * DEGREE) ** 2
    assert ground.pixel_areas(1)[0] == pytest.approx(expected, rel=1e-6)


def test_web_mercator_is_measured_on_the_ellipsoid() -> None:
    """Its plane is 2.2 times as large as the ground at 48 degrees north."""
    y = math.log(math.tan(math.pi / 4 + 24 * DEGREE)) * WGS84[0]
    mercator = Ground(transform=(1, 0, 0, 0, -1, y + 0.5), radians=1 / WGS84[0], is_mercator=True, wkt="3857")
    flat = 1 / WGS84[1]
    squared = flat * (2 - flat)
    curved = (1 - squared) / (1 - squared * math.sin(48 * DEGREE) ** 2) ** 2
    assert mercator.pixel_areas(1)[0] == pytest.approx(curved * math.cos(48 * DEGREE) ** 2, rel=1e-6)


def test_a_ring_is_as_large_as_its_pixels() -> None:
    ground = Ground(transform=(2.0, 0, 10, 0, -1.0, 60), radians=DEGREE, wkt="degrees")
    x, y = np.array([10.0, 14, 14, 10, 10]), np.array([60.0, 60, 57, 57, 60])
    assert abs(ground.ring_area(x, y)) == pytest.approx(2 * ground.pixel_areas(3).sum())


def test_a_turned_map_has_the_same_pixels() -> None:
    straight = Ground(transform=(0.1, 0, 0, 0, -0.1, 0), metres=1, wkt="m")
    turned = Ground(transform=(0.06, 0.08, 5, 0.08, -0.06, 7), metres=1, wkt="m")
    assert turned.pixel_areas(2) == pytest.approx(straight.pixel_areas(2))
    assert turned.origin == (0, 0)


def test_parts_of_a_mosaic_agree_on_where_it_begins() -> None:
    whole = Ground(transform=(0.08, 0, 500000.04, 0, -0.08, 5300000.04), metres=1, wkt="m")
    part = Ground(transform=(0.08, 0, 500000.04 + 101 * 0.08, 0, -0.08, 5300000.04 - 57 * 0.08), metres=1, wkt="m")
    assert np.subtract(part.origin, whole.origin).tolist() == [57, 101]


def test_without_a_measure_there_are_no_areas() -> None:
    assert not Ground().is_measured
    assert Ground().resolution(10) == 0
    assert "not measured" in Ground().how
