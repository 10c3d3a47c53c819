"""Scores, against label maps small enough to count by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeseg.errors import DataError, UsageError
from edgeseg.metrics import CalibrationError, boundary_f, class_dice, class_iou, confusion_matrix, miou, pixel_accuracy

# One pixel of class 0 is taken for class 1; the last pixel is ignored.
TRUTH = np.array([[0, 0], [1, 255]], np.uint8)
PREDICTED = np.array([[0, 1], [1, 0]], np.uint8)


def test_the_confusion_matrix_of_two_by_two_pixels() -> None:
    assert confusion_matrix(TRUTH, PREDICTED, 3).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_the_scores_of_two_by_two_pixels() -> None:
    confusion = confusion_matrix(TRUTH, PREDICTED, 3)
    assert class_iou(confusion)[:2].tolist() == [1 / 2, 1 / 2]  # each: 1 hit, a union of 2
    assert math.isnan(class_iou(confusion)[2])  # neither there nor predicted
    assert miou(confusion) == 1 / 2
    assert pixel_accuracy(confusion) == 2 / 3
    assert class_dice(confusion)[:2].tolist() == [2 / 3, 2 / 3]  # 2*1 / (2+1) and 2*1 / (1+2)
    assert math.isnan(class_dice(confusion)[2])


def test_a_class_predicted_where_it_is_not_counts_as_zero() -> None:
    confusion = confusion_matrix(np.array([[0, 0]]), np.array([[0, 2]]), 3)
    assert class_iou(confusion)[[0, 2]].tolist() == [1 / 2, 0]
    assert miou(confusion) == 1 / 4


def test_images_add_up_before_the_ratio_is_taken() -> None:
    """mIoU is one ratio over the whole split (PASCAL VOC), not the mean over images."""
    first = confusion_matrix(np.array([[0, 0, 0, 1]]), np.array([[0, 0, 0, 0]]), 2)
    second = confusion_matrix(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 1, 1]]), 2)
    assert class_iou(first + second).tolist() == [3 / 4, 4 / 5]


def test_nothing_counted_scores_zero() -> None:
    confusion = confusion_matrix(np.full((2, 2), 255), np.zeros((2, 2), int), 2)
    assert confusion.tolist() == [[0, 0], [0, 0]]
    assert miou(confusion) == pixel_accuracy(confusion) == 0.0


def test_another_ignored_id() -> None:
    assert confusion_matrix(np.array([11, 0]), np.array([0, 0]), 11, ignore_index=11).sum() == 1


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([[0, 1]], [[0], [1]], r"different sizes: truth \(1, 2\), predicted \(2, 1\)"),
        ([[0, 2]], [[0, 0]], "the truth holds class id 2: expected 0-1, or 255 to ignore"),
        ([[0, -1]], [[0, 0]], "the truth holds class id -1"),
        ([[0, 1]], [[0, 255]], "the prediction holds class id 255"),
    ],
)
def test_what_cannot_be_compared_is_told(truth, predicted, message: str) -> None:
    with pytest.raises(DataError, match=message):
        confusion_matrix(np.array(truth), np.array(predicted), 2)


def test_ids_are_whole_numbers_or_truth_values() -> None:
    yes = np.array([True, False])
    assert confusion_matrix(yes, yes, 2).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(UsageError, match="the truth holds float64"):
        confusion_matrix(np.zeros(2), np.zeros(2, int), 2)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 2, 2), (0, 0)])
def test_what_is_no_confusion_matrix_is_refused(shape: tuple[int, ...]) -> None:
    for score in (class_iou, class_dice, miou, pixel_accuracy):
        with pytest.raises(UsageError, match=r"expected \(classes, classes\)"):
            score(np.ones(shape, np.int64))


MAPS = hnp.arrays(np.uint8, (5, 7), elements=st.sampled_from([0, 1, 2, 3, 255]))


@given(truth=MAPS, predicted=hnp.arrays(np.uint8, (5, 7), elements=st.integers(0, 3)))
def test_scores_equal_sets_of_pixels(truth, predicted) -> None:
    confusion = confusion_matrix(truth, predicted, 4)
    counted = truth != 255
    for class_id in range(4):
        a, b = counted & (truth == class_id), counted & (predicted == class_id)
        union = (a | b).sum()
        if union:
            assert class_iou(confusion)[class_id] == (a & b).sum() / union
            assert class_dice(confusion)[class_id] == 2 * (a & b).sum() / (a.sum() + b.sum())
        else:
            assert math.isnan(class_iou(confusion)[class_id])
    assert confusion.sum() == counted.sum()


@given(MAPS)
def test_a_perfect_prediction_scores_one(truth) -> None:
    predicted = np.where(truth == 255, 0, truth)
    confusion = confusion_matrix(truth, predicted, 4)
    assert miou(confusion) == (1.0 if (truth != 255).any() else 0.0)


def square(at: int, size: int = 8) -> np.ndarray:
    mask = np.zeros((32, 32), np.uint8)
    mask[at : at + size, at : at + size] = 1
    return mask


def test_boundary_f_of_equal_far_and_near_boundaries() -> None:
    assert boundary_f(square(10), square(10), 1) == 1.0
    assert boundary_f(square(2), square(22), 1) == 0.0
    assert boundary_f(square(10), square(11), 1, tolerance=2) == 1.0
    assert 0 < boundary_f(square(10), square(12), 1, tolerance=1) < 1


def test_boundary_f_counts_by_hand() -> None:
    truth = np.zeros((9, 9), np.uint8)
    truth[:, :4] = 1  # its boundary is column 3, 9 pixels
    predicted = truth.copy()
    predicted[6:] = 0  # columns 0-3 of rows 0-5: column 3 (6 pixels) and row 5 (3 more)
    # With no tolerance 6 of 9 predicted pixels are on the true boundary, and 6 of 9 true ones are found.
    assert boundary_f(truth, predicted, 1, tolerance=0) == pytest.approx(6 / 9)


def test_boundary_f_of_an_absent_class() -> None:
    assert math.isnan(boundary_f(square(10), square(10), 7))
    assert boundary_f(square(10), np.zeros((32, 32), np.uint8), 1) == 0.0


def band(first: int, last: int, size: int = 32) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[:, first : last + 1] = 1
    return mask


@pytest.mark.parametrize("turned", [False, True], ids=["columns", "rows"])
@pytest.mark.parametrize(
    ("predicted", "tolerance", "score"),
    [
        (band(12, 18), 2, 1.0),  # both boundaries, at 10 and 20, are 2 off
        (band(13, 17), 2, 0.0),  # 3 off, one to either side
        (band(13, 17), 3, 1.0),
        (band(10, 19), 0, 1 / 2),  # a boundary is one pixel thick
        (band(11, 20), 0, 1 / 2),
    ],
)
def test_a_boundary_is_matched_within_the_tolerance_on_both_sides(predicted, tolerance, score, turned) -> None:
    truth = band(10, 20)
    if turned:
        truth, predicted = truth.T.copy(), predicted.T.copy()
    assert boundary_f(truth, predicted, 1, tolerance) == score


def test_the_tolerance_is_two_pixels_if_not_given() -> None:
    assert boundary_f(band(10, 20), band(12, 18), 1) == 1
    assert boundary_f(band(10, 20), band(13, 17), 1) == 0


def test_a_boundary_needs_flat_maps() -> None:
    with pytest.raises(UsageError, match="expected \\(height, width\\)"):
        boundary_f(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8), 1)


def test_the_calibration_error_of_five_pixels_in_four_bins() -> None:
    """Of two images; bins are open below: 0.5 is in the second. A softmax may round to more than 1."""
    error = CalibrationError(bins=4, ignore_index=9)
    assert math.isnan(error.value)
    error.add(np.array([[[0.2] * 5, [0.5, 0.5, 0, 0, 0]]], np.float32), np.array([[3, 0]]))  # wrong, right
    second = [[0.4, 0.3, 0.3, 0, 0], [0.75, 0.25, 0, 0, 0], [1.0000001, 0, 0, 0, 0], [0.3, 0.7, 0, 0, 0]]
    error.add(np.array([second], np.float32), np.array([[1, 0, 1, 9]]))  # wrong, right, wrong, ignored
    assert error.value == pytest.approx((0.2 + (1 - 0.5 - 0.4) + (1 - 0.75) + 1) / 5, abs=1e-6)


def test_the_calibration_error_has_fifteen_bins_and_passes_over_255() -> None:
    error = CalibrationError()
    error.add(np.array([[[0.5, 0.5], [0.47, 0.53], [0.9, 0.1]]]), np.array([[0, 0, 255]]))  # right, wrong, ignored
    assert error.value == pytest.approx(abs(1 - 0.5 - 0.53) / 2)  # both in the eighth bin


@pytest.mark.parametrize("shape", [(4, 5, 2), (4, 6)])
def test_a_calibration_error_needs_probabilities_of_each_pixel(shape) -> None:
    with pytest.raises(DataError, match=r"truth \(4, 6\): expected \(H, W, classes\), \(H, W\)"):
        CalibrationError().add(np.zeros(shape), np.zeros((4, 6), np.uint8))
