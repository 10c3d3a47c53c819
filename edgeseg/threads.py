"""Work on helper threads, a bounded stretch ahead of who takes the results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

THREADS = max(2, min(16, (os.cpu_count() or 2) - 1))
"""Helper threads that read and vary images: a GPU takes them faster than two threads make them."""


def prefetched(make: Callable[[Item], Made], items: Iterable[Item], ahead: int) -> Generator[Made, None, None]:
    """Yields `make(item)` of each item, in order; up to `ahead` more are made meanwhile on helper threads.

    What `make` raises is raised here, at its item's turn. Closing the iterator drops what has not begun.
    """
    pool = ThreadPoolExecutor(THREADS)
    jobs = deque[Future[Made]]()
    try:
        for item in items:
            jobs.append(pool.submit(make, item))
            if len(jobs) > ahead:
                yield jobs.popleft().result()
        while jobs:
            yield jobs.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
