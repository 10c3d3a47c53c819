"""One thread for NumPy's matrix products, where many small ones follow each other.

A BLAS that spreads a small product over all cores spends its time on waking threads and waiting for them: the CRF took
ten times as long as on one core. How many threads it takes is a setting of the whole process (OpenBLAS, MKL), or of the
calling thread (where OpenMP does the threading); both are set and put back here.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np  # noqa: F401  (its BLAS must be loaded before it is looked for)
from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_inside = 0
_process_wide: Any = None  # what puts the process's setting back; while somebody is inside


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Lets matrix products run on the calling thread alone; for any number of threads at once.

    The first thread that comes in limits the process, the last one out puts back what was before: in between nobody
    else's leaving changes it. Products elsewhere in the process stay on one thread meanwhile.
    """
    global _inside, _process_wide
    libraries = _libraries()
    of_this_thread = libraries.select(user_api="openmp").limit(limits=1)
    try:
        with _lock:
            if not _inside:
                _let_any_thread_set(libraries)
                _process_wide = libraries.select(user_api="blas").limit(limits=1)
            _inside += 1
        try:
            yield
        finally:
            with _lock:
                _inside -= 1
                if not _inside:
                    _let_any_thread_set(libraries)
                    _process_wide.restore_original_limits()
                    _let_any_thread_set(libraries)
    finally:
        of_this_thread.restore_original_limits()


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def _let_any_thread_set(libraries: ThreadpoolController) -> None:
    """Newer threadpoolctl ignores, without a word, all threads but the first that set something: make way."""
    for library in libraries.lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)
