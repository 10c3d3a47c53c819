"""Every error that edgeseg raises on purpose.

    EdgesegError
    ├── UsageError          an argument names nothing that edgeseg knows, or contradicts another
    ├── DataError           an image, a label map, a data set or a calibration set is unusable
    ├── ModelFileError      a model file is missing, truncated, damaged or not a model
    ├── ConversionError     a network cannot be expressed as asked (float left over, unknown op, ...)
    ├── SourceError         a camera, a video or a stream cannot be opened or was lost
    ├── DelegateError       an accelerator's library cannot be loaded or fails
    ├── OutputError         a result cannot be written
    ├── PluginError         another package's addition cannot be loaded, or has a name that is taken
    └── MissingExtraError   an optional package is needed and absent

A message is one line that says what was received, what was expected and what to do next. The command line
prints it as it stands and exits with 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EdgesegError(Exception):
    """Base of all errors raised on purpose."""


class UsageError(EdgesegError):
    """An argument names nothing that edgeseg knows, or contradicts another one."""


class DataError(EdgesegError):
    """An image, a label map, a data set or a calibration set cannot be used."""


class ModelFileError(EdgesegError):
    """A model file is missing, truncated, damaged, or not a model at all."""


class ConversionError(EdgesegError):
    """A network cannot be converted as asked."""


class SourceError(EdgesegError):
    """A camera, a video or a stream cannot be opened, or was lost."""


class DelegateError(EdgesegError):
    """A delegate's library cannot be loaded, or fails while running."""


class OutputError(EdgesegError):
    """A result cannot be written."""


class PluginError(EdgesegError):
    """What another package adds cannot be loaded, or has a name that is taken."""


class MissingExtraError(EdgesegError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs {package}, which is not installed: pip install "edgeseg[{extra}]"')


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Builds the error for a name that is in no registry, with the nearest known names first.

    Args:
        kind: What was looked for, as the user would call it ("architecture", "backbone").
        name: What was received.
        known: All names that would have been accepted.

    Returns:
        The error, to be raised by the caller.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return UsageError(f"unknown {kind} '{name}': {hint}known: {', '.join(names)}")
