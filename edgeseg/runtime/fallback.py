"""Going on when an accelerator dies: open it again, or take the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgeseg.errors import DelegateError, EdgesegError
from edgeseg.naming import COMPILED
from edgeseg.runtime.segmenter import Segmenter

MOST_REOPENINGS = 3


class Fallback:
    """Replaces a Segmenter whose accelerator failed.

    Args:
        model: The file that was running.
        delegate: The delegate that it ran on, as `--delegate` takes it.
        open_model: Opens a file on a delegate (None is the CPU), with everything else as the user asked.
        notify: Called with a line for people.
    """

    def __init__(
        self,
        model: Path,
        delegate: str,
        open_model: Callable[[Path, str | None], Segmenter],
        notify: Callable[[str], None],
    ) -> None:
        self._model, self._delegate, self._open, self._notify = model, delegate, open_model, notify
        self.failures = 0

    def __call__(self, reason: str) -> Segmenter:
        """Finds a replacement: the accelerator again, the first times that it fails; then the CPU.

        Args:
            reason: What happened.

        Returns:
            A Segmenter that has run once.

        Raises:
            DelegateError: The accelerator is gone, and no file runs on the CPU.
        """
        self.failures += 1
        self._notify(f"delegate {self._delegate} failed: {reason}")
        if self.failures <= MOST_REOPENINGS:
            try:
                opened = self._open(self._model, self._delegate)
                opened.invoke()
            except EdgesegError as error:
                self._notify(f"cannot open it again: {error}")
            else:
                self._notify("opened it again")
                return opened
        file = cpu_file(self._model)
        if file is None:
            raise DelegateError(
                f"delegate {self._delegate} failed ({reason}), and {self._model.name} needs it: put the file for the "
                f"CPU beside it, named {self._model.name.replace(COMPILED, '')}"
            )
        opened = self._open(file, None)
        opened.invoke()
        self._notify(f"going on with {file.name} on the CPU")
        return opened


def cpu_file(model: Path) -> Path | None:
    """Returns the file that does a model's work on the CPU: itself, or what an Edge TPU file was compiled from.

    Returns:
        The file; None if it was compiled for the Edge TPU and its original is not beside it.
    """
    if not model.stem.endswith(COMPILED):
        return model
    original = model.with_name(model.stem.removesuffix(COMPILED) + model.suffix)
    return original if original.is_file() else None
