"""Keeping the C++ log lines of a runtime off the user's screen, and having them at hand when something fails."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def captured_stderr() -> Iterator[Callable[[], str]]:
    """Sends what anything in this process writes to file descriptor 2 into a buffer for the duration of the block.

    Yields:
        A function that returns the text captured so far.
    """
    with tempfile.TemporaryFile() as buffer:

        def text() -> str:
            buffer.flush()
            end = os.lseek(buffer.fileno(), 0, os.SEEK_END)
            return os.pread(buffer.fileno(), end, 0).decode(errors="replace")

        sys.stderr.flush()
        try:
            kept = os.dup(2)
        except OSError:  # a daemon may have closed it: then there is nothing to keep quiet
            yield text
            return
        try:
            os.dup2(buffer.fileno(), 2)
            yield text
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def telling(log: str) -> str:
    """Picks the line of a runtime's log that says what went wrong: the last error, else the last line; "" if none."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "E0", "F0")) or "error" in line.lower()]
    return (errors or [line for line in lines if not line.startswith(("INFO", "WARNING", "W0", "I0"))] or [""])[-1]
