"""Every error that edgeseg raises on purpose.

    EdgesegError
    ├── UsageError          an argument names nothing that edgeseg knows, or contradicts another
    ├── DataError           an image, a label map, a data set or a calibration set is unusable
    ├── ModelFileError      a model file is missing, truncated, damaged or not a model
    ├── TrainingError       a training cannot go on: its loss is no number any more
    │   └── LostProcessError    one of the processes that train together has ended
    ├── ConversionError     a network cannot be expressed as asked (float left over, unknown op, ...)
    ├── SourceError         a camera, a video or a stream cannot be opened or was lost
    ├── DelegateError       an accelerator's library cannot be loaded or fails
    ├── OutputError         a result cannot be written
    ├── PluginError         another package's addition cannot be loaded, or has a name that is taken
    └── MissingExtraError   an optional package is needed and absent

A message is one line that says what was received, what was expected and what to do next. The command line
prints it as it stands and exits with 1. What a file says may be long, or hold codes that steer a terminal: `quoted`
makes it fit for a message, and no message holds more than `MOST_SAID` characters or any such code.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

MOST_SAID = 2000
"""Characters of a message."""
MOST_QUOTED = 60
"""Characters of what `quoted` quotes."""
_CONTROLS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class EdgesegError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: One line; cut in the middle beyond `MOST_SAID`, what is no text replaced.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message, MOST_SAID))


class UsageError(EdgesegError):
    """An argument names nothing that edgeseg knows, or contradicts another one."""


class DataError(EdgesegError):
    """An image, a label map, a data set or a calibration set cannot be used."""


class ModelFileError(EdgesegError):
    """A model file is missing, truncated, damaged, or not a model at all."""


class TrainingError(EdgesegError):
    """A training cannot go on."""


class LostProcessError(TrainingError):
    """One of the processes that train together has ended."""


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


def printable(text: str, most: int) -> str:
    """Returns text on one line without control and formatting characters, its middle left out if it is too long.

    Args:
        text: Any text.
        most: Characters that the result may have.
    """
    if len(text) > most:
        end = most // 3
        text = f"{text[: most - end - 3]} … {text[len(text) - end :]}"
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character.isspace():
        return " "
    return "\ufffd" if unicodedata.category(character) in _CONTROLS else character


def quoted(value: object) -> str:
    """Returns what a file, a name or a program said, fit for a message: text in quotes, printable, cut."""
    if isinstance(value, str):
        return f"'{printable(value, MOST_QUOTED)}'"
    return printable(str(value)[: 10 * MOST_QUOTED] if isinstance(value, int | float) else repr(value), MOST_QUOTED)


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
    near = difflib.get_close_matches(name[:MOST_QUOTED], names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return UsageError(f"unknown {kind} {quoted(name)}: {hint}known: {', '.join(names)}")
