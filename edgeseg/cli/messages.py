"""What the library logs, shown to who runs a command."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


class _ToConsole(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from edgeseg.cli.output import console  # rich is imported when there is something to show

        console.print(record.getMessage(), soft_wrap=True, markup=False)


@contextlib.contextmanager
def showing_messages() -> Iterator[None]:
    """Prints inside what the library logs: what it found, read in another way, or will leave out."""
    logger, handler = logging.getLogger("edgeseg"), _ToConsole()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
