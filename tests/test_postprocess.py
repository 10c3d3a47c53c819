"""Label maps from logits: exact, and the same as upsampling everything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.errors import UsageError
from edgeseg.postprocess import Argmax, binary_label_map, label_map, probabilities


def brute_force(logits, height, width):
    """Every pixel by the formula of bilinear interpolation, in float64."""
    rows, columns, _ = logits.shape
    y = np.clip((np.arange(height) + 0.5) * rows / height - 0.5, 0, rows - 1)
    x = np.clip((np.arange(width) + 0.5) * columns / width - 0.5, 0, columns - 1)
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    y1, x1 = np.minimum(y0 + 1, rows - 1), np.minimum(x0 + 1, columns - 1)
    down, across = (y - y0)[:, None, None], (x - x0)[None, :, None]
    values = logits.astype(np.float64)
    upper = values[y0][:, x0] * (1 - across) + values[y0][:, x1] * across
    lower = values[y1][:, x0] * (1 - across) + values[y1][:, x1] * across
    return upper * (1 - down) + lower * down


def test_a_two_by_two_map_by_hand():
    logits = np.array([[[8, 0], [0, 8]], [[8, 0], [8, 0]]], np.int8)
    np.testing.assert_array_equal(label_map(logits, 2, 2), [[0, 1], [0, 0]])
    # Rows and columns lie at 0, 1/4, 3/4 and 1 between the two. Class 1 wins where its share exceeds one half: in the
    # top right corner, where it is 1, 3/4 (twice) and 9/16; everywhere else it is 1/4 or less.
    expected = [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(label_map(logits, 4, 4), expected)


def test_ties_go_to_the_lower_id():
    tie = np.array([[[5, 5, 5]]], np.int8)
    assert label_map(tie, 1, 1) == 0
    crossing = np.array([[[8, 0], [0, 8]]], np.int8)  # exactly equal in the middle of an odd width
    np.testing.assert_array_equal(label_map(crossing, 1, 5), [[0, 0, 0, 1, 1]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float32, np.float16, np.int16])
@pytest.mark.parametrize("size", [(9, 14), (36, 56), (37, 51), (5, 6)])
def test_equals_interpolating_every_pixel(dtype, size):
    rng = np.random.default_rng(1)
    logits = rng.integers(0, 100, (9, 14, 5)).astype(dtype)
    mixed = brute_force(logits, *size)
    chosen = np.take_along_axis(mixed, label_map(logits, *size)[:, :, None].astype(int), 2)[:, :, 0]
    assert (mixed.max(2) - chosen).max() <= 100 / 2048  # the weights have 11 bits


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])  # all of the 8 bits: what is mixed must stay inside int32
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_any_shape(dtype, rows, columns, height, width, seed):
    values = np.iinfo(dtype)
    logits = np.random.default_rng(seed).integers(values.min, values.max + 1, (rows, columns, 3)).astype(dtype)
    mixed = brute_force(logits, height, width)
    chosen = np.take_along_axis(mixed, label_map(logits, height, width)[:, :, None].astype(int), 2)[:, :, 0]
    assert (mixed.max(2) - chosen).max() <= 256 / 2048


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float32, np.int32])
@pytest.mark.parametrize("classes", [1, 2, 21, 150, 256])
def test_argmax_equals_numpy(dtype, classes):
    rng = np.random.default_rng(2)
    logits = rng.integers(0, 100, (13, 17, classes)).astype(dtype)
    argmax = Argmax(13, 17, classes, dtype)
    np.testing.assert_array_equal(argmax(logits), logits.argmax(2))
    np.testing.assert_array_equal(argmax(logits[::-1].copy()), logits[::-1].argmax(2))


@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (3, 3, 0), (3, 3, 257)])
def test_sizes_and_classes_that_no_label_map_can_have_are_refused(shape):
    with pytest.raises(UsageError, match="expected"):
        Argmax(*shape, np.int8)


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (4, 2.5)])
def test_a_size_that_no_image_has_is_refused(size):
    logits = np.zeros((2, 2, 2), np.float32)
    for upsample in (label_map, probabilities):
        with pytest.raises(UsageError, match="expected"):
            upsample(logits, *size)


def test_argmax_fills_the_array_it_is_given():
    out = np.full((2, 2), 9, np.uint8)
    logits = np.array([[[1, 2], [2, 1]], [[3, 3], [0, 1]]], np.int8)
    assert Argmax(2, 2, 2, np.int8)(logits, out) is out
    np.testing.assert_array_equal(out, [[1, 0], [0, 1]])


def test_binary():
    logits = np.array([[[-1], [0], [1]]], np.int8)
    np.testing.assert_array_equal(binary_label_map(logits, 0), [[0, 0, 1]])


def softmax(logits):
    powers = np.exp(logits - logits.max(2, keepdims=True))
    return powers / powers.sum(2, keepdims=True)


@pytest.mark.parametrize("largest", [3, 500])  # e^500 is no float32
def test_probabilities_are_the_softmax_of_every_interpolated_pixel(largest):
    logits = np.random.default_rng(3).uniform(-largest, largest, (5, 7, 3)).astype(np.float32)
    shares = probabilities(logits, 12, 23)
    np.testing.assert_allclose(shares, softmax(brute_force(logits, 12, 23)), atol=1e-3)
    assert shares.flags.c_contiguous
    np.testing.assert_array_equal(probabilities(logits, 9, 20, (12, 23)), shares[:9, :20])


def mixed_in_integers(logits, height, width):
    """Every pixel in whole numbers: weights in 1/2048, rounded half up."""
    rows, columns, _ = logits.shape
    y, x = (
        np.maximum((2 * np.arange(there) + 1) * here - there, 0) for here, there in ((rows, height), (columns, width))
    )
    y0, x0 = y // (2 * height), x // (2 * width)
    y1, x1 = np.minimum(y0 + 1, rows - 1), np.minimum(x0 + 1, columns - 1)
    down = ((y % (2 * height) * 2048 + height) // (2 * height))[:, None, None]
    across = ((x % (2 * width) * 2048 + width) // (2 * width))[None, :, None]
    values = logits.astype(np.int64)
    upper = values[y0][:, x0] * (2048 - across) + values[y0][:, x1] * across
    lower = values[y1][:, x0] * (2048 - across) + values[y1][:, x1] * across
    return upper * (2048 - down) + lower * down


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32])
def test_integers_are_mixed_in_integers_to_the_last_pixel(dtype):
    """Few levels and odd sizes: many ties, and many pixels that the rounding of a weight decides."""
    for seed in range(10):
        logits = np.random.default_rng(seed).integers(0, 4, (6, 9, 4)).astype(dtype)
        np.testing.assert_array_equal(label_map(logits, 37, 53), mixed_in_integers(logits, 37, 53).argmax(2))


def test_half_precision_is_mixed_in_single_precision():
    logits = np.random.default_rng(6).uniform(-9, 9, (6, 9, 4)).astype(np.float16)
    np.testing.assert_array_equal(label_map(logits, 37, 53), label_map(logits.astype(np.float32), 37, 53))


@pytest.mark.parametrize("canvas", [(5, 7), (12, 23)])
def test_a_part_of_the_canvas_is_that_part_of_the_whole(canvas):
    logits = np.random.default_rng(4).integers(-128, 128, (5, 7, 3)).astype(np.int8)
    np.testing.assert_array_equal(label_map(logits, 4, 6, canvas), label_map(logits, *canvas)[:4, :6])


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.uint64])
def test_large_integers_do_not_overflow(dtype):
    top = min(np.iinfo(dtype).max, 2**30)
    logits = np.random.default_rng(5).integers(max(-top, np.iinfo(dtype).min), top, (5, 7, 4)).astype(dtype)
    mixed = brute_force(logits, 17, 29)
    chosen = np.take_along_axis(mixed, label_map(logits, 17, 29)[:, :, None].astype(int), 2)[:, :, 0]
    assert (mixed.max(2) - chosen).max() <= 2 * top / 2048
    assert label_map(np.array([[[2**33, 1]]]), 1, 1) == 0
