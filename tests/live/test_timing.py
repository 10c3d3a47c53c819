"""Percentiles in fixed memory."""

import numpy as np
import pytest

from edgeseg.live.timing import Histogram, StageTimes


def test_percentiles_are_within_one_percent():
    times = np.random.default_rng(0).lognormal(-4, 1, 20_000)
    histogram = Histogram()
    for value in times:
        histogram.add(float(value))
    for percent in (50, 90, 99):
        assert histogram.percentile(percent) == pytest.approx(np.percentile(times, percent) * 1000, rel=0.015)
    assert histogram.summary()["mean"] == pytest.approx(times.mean() * 1000)


def test_nothing_counted_is_none():
    assert Histogram().summary() == {"p50": None, "p90": None, "p99": None, "mean": None}


def test_extremes_stay_in_range():
    histogram = Histogram()
    for value in (0.0, -1e-9, 1e9):
        histogram.add(value)
    assert histogram.percentile(1) == pytest.approx(1e-3, rel=0.02)
    assert histogram.percentile(99) > 1e5


def test_one_value_is_every_percentile():
    times = StageTimes()
    times.add(invoke=0.010)
    assert times.p50("invoke") == pytest.approx(10, rel=0.01)
    assert times.summary()["invoke"]["p99"] == pytest.approx(10, rel=0.01)
    assert times.summary()["render"]["p50"] is None
