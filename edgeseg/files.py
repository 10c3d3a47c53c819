"""Writing files so that a crash leaves the old one or the new one, never half of one; and their digests."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from edgeseg.errors import DataError, OutputError


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], flush: bool = True) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it is flushed to disk and renamed over `path`.

    When the block raises (Ctrl-C included), the temporary file and the folders made for it are removed, and `path` is
    as it was.

    Args:
        path: The file to write. Missing parent folders are created. A link is followed, not replaced.
        flush: Whether it has to outlast a power cut; without, it may then be there and hold anything.

    Yields:
        The path to write to. It keeps the suffix of `path`, which some writers go by.

    Raises:
        OutputError: The folder cannot be created or written, the disk is full, or `path` is a folder or a device.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.stem[:40]}-{secrets.token_hex(6)}{target.suffix[:20]}")
    made: list[Path] = []
    try:
        made = _make_parents(target)
        if target.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder; name a file in it")
        if target.exists() and not target.is_file():  # renaming over /dev/null would destroy it
            raise OutputError(f"cannot write {path}: it is no ordinary file; name one")
        mode = target.stat().st_mode & 0o777 if target.exists() else None
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        _remove_folders(made)
        raise OutputError(f"cannot write {path}: {error.strerror}; choose a folder you may write to") from error
    done = False
    try:
        yield temporary
        if flush:
            _flush(temporary)
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(target)
        done = True
        with contextlib.suppress(
            OSError
        ):  # the new name, too, should reach the disk; not every disk can flush a folder
            if flush:
                _flush(target.parent)
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise  # the block's trouble with another file
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
        if not done:
            _remove_folders(made)


def _make_parents(target: Path) -> list[Path]:
    """Creates the folders above `target`; returns those that were not there, innermost first."""
    missing = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_folders(folders: list[Path]) -> None:
    with contextlib.suppress(OSError):  # somebody put something else there
        for folder in folders:
            folder.rmdir()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_text(path: str | os.PathLike[str], what: str) -> str:
    """Reads a text file of a data set or a calibration set.

    Args:
        path: The file.
        what: What it is, for the message.

    Raises:
        DataError: It cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot read {what} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read {what} {path}: it is not text in UTF-8") from error


def read_json(path: str | os.PathLike[str], what: str) -> Any:
    """Reads a JSON file; see `read_text`.

    Raises:
        DataError: It cannot be read, or is not JSON.
    """
    try:
        return json.loads(read_text(path, what))
    except (ValueError, RecursionError) as error:  # nested too deeply
        raise DataError(f"{what} {path} is not JSON: {error}") from error


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes `data` to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes `text` to `path` atomically, as UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes `value` to `path` atomically, as indented JSON; see `json_text`."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """Returns `value` as indented JSON; NaN and infinities, which JSON has not, become null."""
    return json.dumps(_finite(value), indent=2) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_writable(path: str | os.PathLike[str]) -> None:
    """Proves, before long work, that a file or folder could be made at `path`; makes nothing.

    Raises:
        OutputError: It could not.
    """
    target = Path(os.path.realpath(path))
    above = next(folder for folder in (target, *target.parents) if os.path.lexists(folder))
    if above.is_file() and above == target:
        above = above.parent
    if not above.is_dir():
        raise OutputError(f"cannot write {path}: {above} is no folder; choose a folder you may write to")
    if not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: Permission denied in {above}; choose a folder you may write to")


def check_apart(outputs: Iterable[tuple[str, Path]], inputs: Iterable[tuple[str, Path]] = ()) -> None:
    """Proves, before long work, that no output would be written over an input or over another output.

    Links of both kinds and relative names are looked through; devices such as /dev/null may take several outputs.

    Args:
        outputs: (what it is, where it goes), files or folders.
        inputs: (what it is, where it lies).

    Raises:
        OutputError: Two are the same.
    """
    known = {identity: what for what, path in inputs if (identity := _identity(path)) is not None}
    for what, path in outputs:
        identity = _identity(path)
        if identity in known:
            raise OutputError(f"cannot write {what} to {path}: that is {known[identity]}; choose another name")
        if identity is not None:
            known[identity] = f"where {what} goes too"


def _identity(path: Path) -> tuple[int, int] | str | None:
    """What tells a file or folder from all others, whatever leads to it; None for a device."""
    real = os.path.realpath(path)
    try:
        found = os.stat(real)
    except OSError:
        return real
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode) else None


def ensure_folder(path: str | os.PathLike[str]) -> Path:
    """Creates the folder `path` if need be and proves that it can be written.

    Raises:
        OutputError: It cannot be created or written.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}; choose a folder you may write to") from error
    return folder


def digest(data: bytes | memoryview) -> str:
    """Returns the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a file's content as 64 hexadecimal digits.

    Raises:
        DataError: It cannot be read.
    """
    sha = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                sha.update(block)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    return sha.hexdigest()
