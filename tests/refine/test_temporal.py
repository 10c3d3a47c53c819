"""Smoothing over time: flicker goes, edges stay, and what moves is not held back."""

import cv2
import numpy as np
import pytest

from edgeseg.errors import UsageError
from edgeseg.refine.temporal import TemporalSmoother


def scene(frames, drift=0, mover=False, noise=0.06):
    """A textured ground with two classes under a camera that drifts, with sensor noise and noisy masks.

    Yields:
        (frame, noisy label map, true label map) of 240x320 pixels; with `mover`, a red car (class 2) drives through.
    """
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.integers(0, 256, (260, 330 + drift * frames, 3), dtype=np.uint8), (0, 0), 4)
    ground = cv2.normalize(ground, None, 0, 255, cv2.NORM_MINMAX)
    classes = (cv2.GaussianBlur(rng.normal(size=ground.shape[:2]), (0, 0), 20) > 0).astype(np.uint8)
    for step in range(frames):
        window = (slice(10, 250), slice(5 + drift * step, 325 + drift * step))
        frame, truth = ground[window].astype(int), classes[window].copy()
        if mover:
            x = 10 * step
            frame[100:140, x : x + 40], truth[100:140, x : x + 40] = (0, 0, 255), 2
        wrong = cv2.resize((rng.random((60, 80)) < noise).astype(np.uint8), (320, 240), interpolation=cv2.INTER_NEAREST)
        noisy = np.where((wrong > 0) & (truth < 2), 1 - np.minimum(truth, 1), truth).astype(np.uint8)
        yield np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8), noisy, truth


def play(smoother, sequence):
    """Mean share of wrong pixels before and after smoothing, the first frames left out."""
    errors = [((noisy != truth).mean(), (smoother(frame, noisy) != truth).mean()) for frame, noisy, truth in sequence]
    return np.mean(errors[5:], axis=0)


@pytest.mark.parametrize("drift", [0, 2, 7])
def test_flicker_goes_and_the_outlines_stay_where_they_are(drift):
    smoother = TemporalSmoother()
    before, after = play(smoother, scene(25, drift))
    assert after < before / 5
    figures = smoother.figures()
    assert figures.frames == 25
    assert figures.flicker < figures.raw_flicker / 5
    assert figures.mean_ms > 0


def test_what_moves_is_not_held_back():
    smoother = TemporalSmoother()
    for frame, noisy, truth in scene(20, mover=True, noise=0.0):
        car = truth == 2
        assert (smoother(frame, noisy)[car] == 2).mean() > 0.85  # all but its rim


def test_a_cut_is_followed_at_once():
    rng = np.random.default_rng(1)
    smoother = TemporalSmoother()
    for _ in range(5):
        smoother(
            np.full((120, 160, 3), 90, np.uint8) + rng.integers(0, 3, (120, 160, 3), np.uint8),
            np.zeros((60, 80), np.uint8),
        )
    after = smoother(rng.integers(0, 256, (120, 160, 3), np.uint8), np.ones((60, 80), np.uint8))
    assert (after == 1).mean() > 0.95


def test_patience_counts_frames_in_a_row():
    frame = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (120, 160, 3), dtype=np.uint8), (0, 0), 2)
    old, new = np.zeros((12, 16), np.uint8), np.ones((12, 16), np.uint8)
    smoother = TemporalSmoother(patience=3)
    shown = [int(smoother(frame, label_map).max()) for label_map in (old, new, new, old, new, new, new, new)]
    assert shown == [0, 0, 0, 0, 0, 0, 1, 1]


def test_patience_one_changes_nothing():
    rng = np.random.default_rng(3)
    frame = rng.integers(0, 256, (48, 64, 3), np.uint8)
    smoother = TemporalSmoother(patience=1)
    for _ in range(5):
        label_map = rng.integers(0, 5, (24, 32), np.uint8)
        np.testing.assert_array_equal(smoother(frame, label_map), label_map)


def test_another_size_begins_anew():
    smoother = TemporalSmoother()
    smoother(np.zeros((48, 64, 3), np.uint8), np.zeros((24, 32), np.uint8))
    assert (smoother(np.zeros((48, 64, 3), np.uint8), np.ones((12, 16), np.uint8)) == 1).all()


def test_impossible_patience():
    with pytest.raises(UsageError, match="1 to 100"):
        TemporalSmoother(patience=0)
