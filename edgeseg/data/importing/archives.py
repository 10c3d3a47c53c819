"""Exports as tools hand them out: one `.zip` or `.tar` file, read as the folder that it holds."""

from __future__ import annotations

import contextlib
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from edgeseg.errors import DataError

SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")


@contextlib.contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """Yields a folder with an archive's content, which is gone afterwards; what is no archive as it is.

    Args:
        source: A folder or a file. Links, devices and names that lead out of the archive are left out.

    Raises:
        DataError: The archive is damaged, encrypted, or larger than the disk has room for.
    """
    if not source.is_file() or not source.name.lower().endswith(SUFFIXES):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="edgeseg-import-") as folder:
        try:
            for name, size, content in _members(source):
                if size > shutil.disk_usage(folder).free:
                    raise DataError(f"{source} holds more than {folder} has room for: unpack it elsewhere")
                target = Path(folder) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with content, target.open("wb") as written:
                    shutil.copyfileobj(content, written)
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise DataError(f"{source} cannot be unpacked: {error}") from error
        try:
            yield _inner(Path(folder))
        except DataError as error:
            raise DataError(str(error).replace(folder, str(source))) from error


def _members(source: Path) -> Iterator[tuple[PurePosixPath, int, IO[bytes]]]:
    """Yields name, size and content of each plain file."""
    if source.suffix.lower() == ".zip":
        with zipfile.ZipFile(source) as archive:
            for entry in archive.infolist():
                name = _safe(entry.filename)
                if name and not entry.is_dir() and not stat.S_ISLNK(entry.external_attr >> 16):
                    yield name, entry.file_size, archive.open(entry)
        return
    with tarfile.open(source) as tar:
        for member in tar:
            name, content = _safe(member.name), tar.extractfile(member) if member.isreg() else None
            if name and content is not None:
                yield name, member.size, content


def _safe(name: str) -> PurePosixPath | None:
    """Returns a member's path if it stays inside the archive's folder; None for what systems leave in archives."""
    path = PurePosixPath(name.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or ":" in name
    return None if outside or not path.parts or path.parts[0] == "__MACOSX" else path


def _inner(folder: Path) -> Path:
    """Returns the one folder that an archive holds, if it holds nothing else."""
    found = list(folder.iterdir())
    return _inner(found[0]) if len(found) == 1 and found[0].is_dir() else folder
