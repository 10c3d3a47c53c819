"""PASCAL VOC 2012: `JPEGImages/`, `SegmentationClass/` and `ImageSets/Segmentation/<split>.txt`.

Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective", IJCV 2015; the devkit's documentation
gives the class order. Label maps are palette PNGs: 0 background, 1-20 classes, 255 the border of objects, ignored.
`trainaug` and any other list work as splits when their files are there.
"""

from __future__ import annotations

from pathlib import Path

from edgeseg.card import LabelSet
from edgeseg.data.dataset import Dataset, NoSplitError, paired
from edgeseg.errors import DataError
from edgeseg.files import read_text

NAME = "voc"
LABELS = LabelSet.from_names(
    (
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
        "dining table", "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv monitor",
    )
)  # fmt: skip
_LISTS = Path("ImageSets", "Segmentation")
_INSIDE = (Path(), Path("VOC2012"), Path("VOCdevkit", "VOC2012"))


def matches(root: Path) -> bool:
    """Whether `root` holds this layout: the folder VOC2012, or one of its two parents."""
    return _find(root) is not None


def open_split(root: Path, split: str) -> Dataset:
    """Opens the images that the split's list names."""
    home = _find(root)
    if home is None:
        raise DataError(f"no PASCAL VOC in {root}: expected VOC2012 with {_LISTS} and SegmentationClass")
    path = home / _LISTS / f"{split}.txt"
    if not path.is_file():
        have = sorted(p.stem for p in path.parent.glob("*.txt"))
        raise NoSplitError(f"PASCAL VOC in {home} has no split '{split}': it has {', '.join(have) or 'none'}")
    names = read_text(path, "list of images").split()
    images = [home / "JPEGImages" / f"{name}.jpg" for name in names]
    label_maps = [home / "SegmentationClass" / f"{name}.png" for name in names]
    return paired(NAME, split, LABELS, images, label_maps)


def _find(root: Path) -> Path | None:
    homes = (root / inside for inside in _INSIDE)
    return next((home for home in homes if (home / _LISTS).is_dir() and (home / "SegmentationClass").is_dir()), None)
