"""One thread for NumPy's matrix products, where many small ones follow each other.

A BLAS that spreads a small product over all cores spends its time on waking threads and waiting for them: the CRF took
ten times as long as on one core. How many threads it takes is a setting of the whole process (OpenBLAS, MKL), or of the
calling thread (where OpenMP does the threading); both are set and put back here.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

import numpy as np  # noqa: F401  (its BLAS must be loaded before it is looked for)
from threadpoolctl import ThreadpoolController

from edgeseg.process import SharedSetting


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Lets matrix products run on the calling thread alone; for any number of threads at once.

    Products elsewhere in the process stay on one thread meanwhile.
    """
    with _libraries().select(user_api="openmp").limit(limits=1), _one_for_the_process():
        yield


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def _limit_the_process() -> Callable[[], None]:
    _let_any_thread_set()
    limit = _libraries().select(user_api="blas").limit(limits=1)

    def put_back() -> None:
        _let_any_thread_set()
        limit.restore_original_limits()
        _let_any_thread_set()

    return put_back


_one_for_the_process = SharedSetting(_limit_the_process)


def _let_any_thread_set() -> None:
    """Newer threadpoolctl ignores, without a word, all threads but the first that set something: make way."""
    for library in _libraries().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)
