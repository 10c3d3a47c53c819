"""The CRF's matrix products run on one thread, however many the process has, and leave the setting as it was."""

import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from edgeseg.refine import crf
from edgeseg.refine.blas import one_blas_thread


def blas_threads():
    """What each BLAS of this process would take for a product; NumPy's is among them."""
    return {library["num_threads"] for library in ThreadpoolController().select(user_api="blas").info()}


@pytest.fixture
def three_threads():
    """A process whose BLAS takes three threads, as on a machine of three cores."""
    with ThreadpoolController().limit(limits=3, user_api="blas"):
        if blas_threads() != {3}:
            pytest.skip("this NumPy's BLAS has no threads")
        yield


def scene():
    rng = np.random.default_rng(0)
    probabilities = rng.random((40, 60, 4), np.float32)
    return probabilities / probabilities.sum(-1, keepdims=True), rng.integers(0, 256, (40, 60, 3), np.uint8)


def test_one_inside_and_what_was_before_after(three_threads, monkeypatch):
    inside, make = [], crf.bilateral_filter

    def watched(*arguments):
        inside.append(blas_threads())
        return make(*arguments)

    monkeypatch.setattr(crf, "bilateral_filter", watched)
    refined = crf.refine(*scene())
    assert inside == [{1}]
    assert blas_threads() == {3}
    with ThreadpoolController().limit(limits=1, user_api="blas"):
        np.testing.assert_array_equal(crf.refine(*scene()), refined)


def test_an_error_puts_it_back(three_threads, monkeypatch):
    def breaks(*_):
        raise MemoryError

    monkeypatch.setattr(crf, "bilateral_filter", breaks)
    with pytest.raises(MemoryError):
        crf.refine(*scene())
    assert blas_threads() == {3}


def test_two_threads_at_once(three_threads):
    """The first goes in, the second goes in, the first comes out, the second comes out."""
    first_may_leave, first_has_left, seen = threading.Event(), threading.Event(), []

    def first():
        with one_blas_thread():
            first_is_in.set()
            assert first_may_leave.wait(10)
        first_has_left.set()

    first_is_in = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    assert first_is_in.wait(10)
    with one_blas_thread():
        seen.append(blas_threads())
        first_may_leave.set()
        assert first_has_left.wait(10)
        seen.append(blas_threads())
    thread.join()
    assert seen == [{1}, {1}]
    assert blas_threads() == {3}
