"""Settings of the whole process that several threads may want at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class SharedSetting:
    """A setting that holds while anybody wants it: `with setting(): ...`, on any number of threads.

    Saved and put back by each thread for itself, it would be lost: the first to leave would put it back under the
    others, the last would put back what the first had set. Here the first in sets it, the last out puts it back.

    Args:
        make: Sets it; returns what puts back what was before.
    """

    def __init__(self, make: Callable[[], Callable[[], None]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._inside = 0
        self._put_back: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Sets it for the duration of the block."""
        with self._lock:
            if not self._inside:
                self._put_back = self._make()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._put_back()
