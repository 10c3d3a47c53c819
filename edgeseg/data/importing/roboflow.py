"""Roboflow's semantic segmentation masks: folders `train`, `valid`, `test` with `a.jpg`, `a_mask.png`, `_classes.csv`.

Its other export for segmentation is COCO, with `_annotations.coco.json` in each folder: see `coco`.
"""

from __future__ import annotations

from pathlib import Path

from edgeseg.data.importing import masks
from edgeseg.data.importing.records import Source

NAME = "roboflow"
TITLE = "Roboflow's semantic segmentation masks (_classes.csv and *_mask.png)"


def matches(root: Path) -> bool:
    """Whether `root` holds this format."""
    return root.is_dir() and any(next(root.glob(place), None) for place in ("_classes.csv", "*/_classes.csv"))


def read(root: Path) -> Source:
    """Reads every split below `root`."""
    return masks.read(root)
