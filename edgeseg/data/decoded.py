"""Decoded images in a folder, so that a set that is read again and again is decoded once.

A file for each image, named by the digest of its two files and of how their ids are read: so any number of sets and
processes may share a folder, and what has changed is decoded anew. Whoever made the folder deletes it.
"""

from __future__ import annotations

import itertools
import os
import shutil
import zlib

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.data.dataset import Dataset
from edgeseg.errors import UsageError
from edgeseg.files import digest, ensure_folder, file_digest, replacing

SUFFIX = ".decoded"
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)  # Windows has the latter
_HEADER = np.dtype("<u4")
_NUMBERS = 4
"""A file is the image's rows, columns and channels, the CRC-32 of what follows, the image, the label map."""


class Decoded:
    """The images of a split, each decoded when it is first asked for, then read as it was kept.

    A file is checked when it is first read; a damaged one is made anew.

    Args:
        dataset: The split.
        folder: Where they are kept; made if missing.

    Raises:
        OutputError: The folder cannot be written.
        UsageError: The disk has no room for them.
    """

    def __init__(self, dataset: Dataset, folder: str | os.PathLike[str]) -> None:
        self._dataset, self._folder = dataset, ensure_folder(folder)
        labels = dataset.labels
        self._meaning = repr((labels.num_classes, labels.ignore_index, dataset.id_table, dataset.colours))
        self._kept: dict[int, str] = {}
        self._check_room()

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[Uint8, Uint8]:
        """Does what `Dataset.load` does.

        Raises:
            DataError: As there.
            OutputError: The folder cannot be written, or the disk is full.
        """
        file = self._kept.get(index)
        sample = _read(file, check=False) if file else None
        if sample is None:
            file = self._file(index)
            sample = _read(file, check=True)
            if sample is None:
                sample = self._dataset.load(index)
                _write(file, *sample)
            self._kept[index] = file
        return sample

    def _file(self, index: int) -> str:
        digests = (file_digest(path) for path in (self._dataset.images[index], self._dataset.label_maps[index]))
        return str(self._folder / (digest(" ".join((*digests, self._meaning)).encode()) + SUFFIX))

    def _check_room(self) -> None:
        there = sum(1 for _ in itertools.islice(self._folder.glob(f"*{SUFFIX}"), len(self)))
        needed = (len(self) - there) * sum(array.nbytes for array in self._dataset.load(0))
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise UsageError(
                f"{len(self)} decoded images need about {needed / 1e9:.1f} GB more in {self._folder}, where "
                f"{free / 1e9:.1f} GB are free: name a folder on a larger disk, or decode each time"
            )


def _read(file: str, check: bool) -> tuple[Uint8, Uint8] | None:
    """Returns an image and its label map; None if there is no such file, or it is damaged."""
    start = _NUMBERS * _HEADER.itemsize
    try:
        handle = os.open(file, _READ)  # half the cost of Python's files
    except OSError:
        return None
    try:
        content = np.frombuffer(os.read(handle, os.fstat(handle).st_size), np.uint8)
    except OSError:
        return None
    finally:
        os.close(handle)
    if content.size < start:
        return None
    rows, columns, channels, checksum = content[:start].view(_HEADER).tolist()
    end = start + rows * columns * channels
    if content.size != end + rows * columns or (check and zlib.crc32(content[start:].data) != checksum):
        return None
    return content[start:end].reshape(rows, columns, channels), content[end:].reshape(rows, columns)


def _write(file: str, image: Uint8, label_map: Uint8) -> None:
    parts = [np.ascontiguousarray(part).data for part in (image, label_map)]
    checksum = zlib.crc32(parts[1], zlib.crc32(parts[0]))
    header = np.array([*image.shape, checksum], _HEADER)
    with replacing(file, flush=False) as temporary, temporary.open("wb") as stream:
        for part in (header.data, *parts):
            stream.write(part)
