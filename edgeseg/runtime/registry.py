"""Runtimes by name, and which one opens a model.

Another package adds one by an entry point of the group `edgeseg.runtimes`, whose value is an object with what
`runtime.protocol.Runtime` has. Which opens a file is told by the file's name, or else by its first bytes.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from edgeseg.errors import MissingExtraError
from edgeseg.plugins import Registry
from edgeseg.runtime.litert import LiteRT
from edgeseg.runtime.protocol import Health, Network, OpenOptions, Runtime
from edgeseg.zoo import FLOAT_SUFFIXES

DEFAULT = "litert"
"""Takes what no other recognises, and says what is wrong with it."""


class KerasFiles:
    """The runtime of `.keras` and `.h5` files, where Keras is installed: it is imported when such a file is opened."""

    suffixes: tuple[str, ...] = FLOAT_SUFFIXES

    def recognises(self, content: bytes) -> bool:
        """Whether a file's first bytes are those of a zip archive or of HDF5."""
        return content.startswith((b"PK\x03\x04", b"\x89HDF"))

    def open(self, content: bytes, options: OpenOptions) -> Network:
        """Opens a network; see `keras_model.open_network`.

        Raises:
            MissingExtraError: Keras is not installed.
        """
        network: Network = _keras_half().open_network(content, options)
        return network

    def health(self) -> Health:
        """Tries whether Keras is there."""
        try:
            _keras_half()
        except MissingExtraError as error:
            return Health(ok=False, found=str(error))
        return Health(ok=True, found="Keras")


def _keras_half() -> Any:
    """Imports the module of the other half, as a plug-in is: by its name, when a file asks for it."""
    try:
        return importlib.import_module("edgeseg.keras_model")
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "keras", "train", "running a Keras file") from error


RUNTIMES: Registry[Runtime] = Registry(
    "runtime",
    "edgeseg.runtimes",
    {DEFAULT: LiteRT(), "keras": KerasFiles()},
    Runtime,  # type: ignore[type-abstract]
)


def runtime_of(content: bytes, path: str | None = None) -> Runtime:
    """Returns the runtime that opens a model.

    Args:
        content: The file's bytes.
        path: Its name, if it has one; the suffix decides before the bytes do.
    """
    suffix = "" if path is None else Path(path).suffix.lower()
    runtimes = [RUNTIMES[name] for name in RUNTIMES]
    for runtime in runtimes:
        if suffix and suffix in runtime.suffixes:
            return runtime
    for runtime in runtimes:
        if runtime.recognises(content):
            return runtime
    return RUNTIMES[DEFAULT]


def open_network(content: bytes, options: OpenOptions | None = None) -> Network:
    """Opens a model in the runtime of its kind.

    Raises:
        ModelFileError: Not a model, or one that the runtime cannot run.
        DelegateError: The delegate cannot be loaded.
        UsageError: An option that the runtime does not know.
    """
    options = OpenOptions() if options is None else options
    return runtime_of(content, options.path).open(content, options)
