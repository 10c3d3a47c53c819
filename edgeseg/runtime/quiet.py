"""Keeping the C++ log lines of a runtime off the user's screen, and having them at hand when something fails.

That redirects a file descriptor of the whole process. So a runtime's log is only taken in where the program asked for
it, once and for all, by `keep_logs_off_the_screen`, as the command line does; in a program that uses edgeseg as a
library nothing is redirected by opening a network. One thread at a time redirects: two that overlapped would put each
other's buffer back for good.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator

_redirecting = threading.RLock()
_asked = False


def keep_logs_off_the_screen(wanted: bool = True) -> None:
    """Lets this module redirect from now on, or no more. For the program to decide, not for a library."""
    global _asked
    _asked = wanted


@contextlib.contextmanager
def captured_stderr() -> Iterator[Callable[[], str]]:
    """Takes in what anything in this process writes to file descriptor 2, for the duration of the block.

    Where the program has not asked for it (`keep_logs_off_the_screen`), lines go where they always go.

    Yields:
        A function that returns the text captured so far; "" where nothing is.
    """
    if not _asked:
        yield str
        return
    with _captured(2) as text:
        yield text


@contextlib.contextmanager
def captured_output() -> Iterator[Callable[[], str]]:
    """Takes in file descriptors 1 and 2 likewise; what this program's own Python code says on stderr still shows.

    Yields:
        A function that returns the text captured so far; "" where nothing is.
    """
    if not _asked:
        yield str
        return
    with _redirecting:
        yield from _captured_output()


def _captured_output() -> Iterator[Callable[[], str]]:
    try:
        shown = os.fdopen(os.dup(2), "w", buffering=1)
    except OSError:
        shown = None
    theirs = sys.stderr
    with _captured(1, 2) as text:
        try:
            if shown is not None and os.isatty(shown.fileno()):
                sys.stderr = shown
            yield text
        finally:
            sys.stderr = theirs
            if shown is not None:
                shown.close()


@contextlib.contextmanager
def _captured(*descriptors: int) -> Iterator[Callable[[], str]]:
    with _redirecting, tempfile.TemporaryFile() as buffer, contextlib.ExitStack() as restore:

        def text() -> str:
            buffer.flush()
            end = os.lseek(buffer.fileno(), 0, os.SEEK_END)
            return os.pread(buffer.fileno(), end, 0).decode(errors="replace")

        _flush()
        for descriptor in descriptors:
            try:
                kept = os.dup(descriptor)
            except OSError:  # a daemon may have closed it: then there is nothing to keep quiet
                continue
            restore.callback(os.close, kept)
            restore.callback(os.dup2, kept, descriptor)
            os.dup2(buffer.fileno(), descriptor)
        restore.callback(_flush)
        yield text


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def telling(log: str) -> str:
    """Picks the line of a runtime's log that says what went wrong: the last error, else the last line; "" if none."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "E0", "F0")) or "error" in line.lower()]
    return (errors or [line for line in lines if not line.startswith(("INFO", "WARNING", "W0", "I0"))] or [""])[-1]
