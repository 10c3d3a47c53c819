"""ADE20K as the 2016 scene parsing challenge ships it: `images/`, `annotations/`, and `objectInfo150.txt`.

Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017. In the files 0 is "other", ignored, and 1-150 are the
classes, here 0-149. Names come from `objectInfo150.txt`, which lies beside the folders in the archive; without it the
classes are called class_1 to class_150, as numbered in the files.
"""

from __future__ import annotations

from pathlib import Path

from edgeseg.card import LabelSet
from edgeseg.data.dataset import Dataset, NoSplitError, paired
from edgeseg.data.folder import images_in
from edgeseg.errors import DataError
from edgeseg.files import read_text

NAME = "ade20k"
NUM_CLASSES = 150
NAMES_FILE = "objectInfo150.txt"
_FOLDERS = {"train": "training", "val": "validation"}
_INSIDE = (Path(), Path("ADEChallengeData2016"))
ID_TABLE = (255, *range(NUM_CLASSES), *range(NUM_CLASSES + 1, 256))
"""Ids above 150 stay as they are, so that a file which holds them is refused."""


def matches(root: Path) -> bool:
    """Whether `root` holds this layout: the folder ADEChallengeData2016, or its parent."""
    return _find(root) is not None


def open_split(root: Path, split: str) -> Dataset:
    """Opens "train" or "val"."""
    home = _find(root)
    if home is None:
        raise DataError(f"no ADE20K in {root}: expected ADEChallengeData2016 with images and annotations")
    if split not in _FOLDERS or not (home / "images" / _FOLDERS[split]).is_dir():
        have = [name for name, folder in _FOLDERS.items() if (home / "images" / folder).is_dir()]
        raise NoSplitError(f"ADE20K in {home} has no split '{split}': it has {', '.join(have) or 'none'}")
    images = images_in(home / "images" / _FOLDERS[split])
    label_maps = [home / "annotations" / _FOLDERS[split] / f"{image.stem}.png" for image in images]
    return paired(NAME, split, _labels(home / NAMES_FILE), images, label_maps, ID_TABLE)


def _find(root: Path) -> Path | None:
    for home in (root / inside for inside in _INSIDE):
        if any((home / "images" / f).is_dir() and (home / "annotations" / f).is_dir() for f in _FOLDERS.values()):
            return home
    return None


def _labels(path: Path) -> LabelSet:
    """Reads the class names: a head line, then index, shares and counts, and at the end the names, tab by tab."""
    if not path.is_file():
        return LabelSet.from_names([f"class_{number}" for number in range(1, NUM_CLASSES + 1)])
    lines = [line.split("\t") for line in read_text(path, "list of classes").splitlines() if line.strip()]
    names = {fields[0].strip(): fields[-1].split(",")[0].strip() for fields in lines if fields[0].strip().isdigit()}
    missing = [number for number in range(1, NUM_CLASSES + 1) if not names.get(str(number))]
    if missing:
        raise DataError(
            f"{path} names no class {missing[0]}: expected lines 'number<tab>...<tab>name' for 1-{NUM_CLASSES}"
        )
    return LabelSet.from_names([names[str(number)] for number in range(1, NUM_CLASSES + 1)])
