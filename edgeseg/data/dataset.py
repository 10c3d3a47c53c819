"""A split of a data set on disk: which images, which label maps, and what the ids mean."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.card import LabelSet
from edgeseg.data.mask_files import Colour, read_colour_map
from edgeseg.errors import DataError
from edgeseg.image import read_image, read_label_map


class NoSplitError(DataError):
    """The data set has no such split."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One split: images, their label maps, and what the ids mean. Nothing is read before `load`.

    Attributes:
        name: The data set's name ("camvid").
        split: "train", "val", ...
        labels: The classes.
        images: The images, in a fixed order.
        label_maps: The label map of each image.
        id_table: 256 entries from the id in the file to the class id; empty when they are the same.
        colours: (red, green, blue) of id 0, 1, ... in the files; empty when these hold ids.
    """

    name: str
    split: str
    labels: LabelSet
    images: tuple[Path, ...]
    label_maps: tuple[Path, ...]
    id_table: tuple[int, ...] = ()
    colours: tuple[Colour, ...] = ()

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.images)

    def load(self, index: int) -> tuple[Uint8, Uint8]:
        """Reads image `index` (blue-green-red) and its label map (class ids), both of the same size.

        Raises:
            DataError: A file cannot be read, the sizes differ, or an id is no class.
        """
        image, label_map = read_image(self.images[index]), self._ids(self.label_maps[index])
        if image.shape[:2] != label_map.shape:
            raise DataError(
                f"{self.label_maps[index]} is {label_map.shape[0]}x{label_map.shape[1]}, its image "
                f"{self.images[index].name} is {image.shape[0]}x{image.shape[1]}: expected the same height x width"
            )
        if self.id_table:
            label_map = np.asarray(self.id_table, np.uint8)[label_map]
        known = np.zeros(256, bool)
        known[: self.labels.num_classes] = known[self.labels.ignore_index] = True
        if not known[label_map].all():
            raise DataError(
                f"{self.label_maps[index]} holds id {int(label_map[~known[label_map]][0])}: expected "
                f"0-{self.labels.num_classes - 1}, or {self.labels.ignore_index} to ignore"
            )
        return image, label_map

    def __getitem__(self, index: int) -> tuple[Uint8, Uint8]:
        """Does what `load` does."""
        return self.load(index)

    def _ids(self, path: Path) -> Uint8:
        return read_colour_map(path, self.colours) if self.colours else read_label_map(path)

    def __iter__(self) -> Iterator[tuple[Uint8, Uint8]]:
        """Yields every (image, label map) in order."""
        for index in range(len(self)):
            yield self.load(index)


def paired(
    name: str,
    split: str,
    labels: LabelSet,
    images: list[Path],
    label_maps: list[Path],
    id_table: tuple[int, ...] = (),
    colours: tuple[Colour, ...] = (),
) -> Dataset:
    """Makes a Dataset after checking that there is something, and a label map for every image.

    Raises:
        DataError: No image, or one without its label map.
    """
    if not images:
        raise DataError(f"the {name} data set has no images in split '{split}': check the folder")
    for image, label_map in zip(images, label_maps, strict=True):
        if not label_map.is_file():
            raise DataError(f"image {image} has no label map: expected {label_map}")
    return Dataset(
        name=name, split=split, labels=labels, images=tuple(images), label_maps=tuple(label_maps), id_table=id_table,
        colours=colours,
    )  # fmt: skip


def check_folder(root: str | os.PathLike[str]) -> Path:
    """Returns `root` as a Path.

    Raises:
        DataError: It is no folder.
    """
    path = Path(root)
    if not path.is_dir():
        raise DataError(f"data folder {path}: no such folder")
    return path
