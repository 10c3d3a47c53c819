"""Cityscapes: `leftImg8bit/<split>/<city>/*_leftImg8bit.png` and `gtFine/<split>/<city>/*_gtFine_labelIds.png`.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016. The 34 label ids in the files
become the 19 classes of the benchmark as `cityscapesScripts/helpers/labels.py` defines their train ids; all others,
the ego vehicle and unlabelled pixels among them, are ignored.
"""

from __future__ import annotations

from pathlib import Path

from edgeseg.card import LabelSet
from edgeseg.data.dataset import Dataset, NoSplitError, paired
from edgeseg.errors import DataError

NAME = "cityscapes"
# label id in the files, name, colour; in the order of the train ids
_CLASSES: tuple[tuple[int, str, tuple[int, int, int]], ...] = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
LABELS = LabelSet(names=tuple(name for _, name, _ in _CLASSES), colors=tuple(color for _, _, color in _CLASSES))
_TRAIN_ID = {label_id: train_id for train_id, (label_id, _, _) in enumerate(_CLASSES)}
ID_TABLE = tuple(_TRAIN_ID.get(label_id, LABELS.ignore_index) for label_id in range(256))
_IMAGE, _LABEL = "_leftImg8bit.png", "_gtFine_labelIds.png"


def matches(root: Path) -> bool:
    """Whether `root` holds this layout."""
    return (root / "leftImg8bit").is_dir() and (root / "gtFine").is_dir()


def open_split(root: Path, split: str) -> Dataset:
    """Opens one split, cities in alphabetical order."""
    if not matches(root):
        raise DataError(f"no Cityscapes in {root}: expected the folders leftImg8bit and gtFine")
    folder = root / "leftImg8bit" / split
    if not folder.is_dir():
        have = sorted(path.name for path in folder.parent.iterdir() if path.is_dir())
        raise NoSplitError(f"Cityscapes in {root} has no split '{split}': it has {', '.join(have) or 'none'}")
    images = sorted(folder.glob(f"*/*{_IMAGE}"))
    label_maps = [
        root / "gtFine" / split / image.parent.name / (image.name.removesuffix(_IMAGE) + _LABEL) for image in images
    ]
    return paired(NAME, split, LABELS, images, label_maps, ID_TABLE)
