"""Pairing images and masks by their names, however the folders are laid out.

Words that tell images from masks are taken out of folders' names and off the ends of files' names; what is left is
the same for an image and its mask. So these are all pairs: `images/train/a.jpg` and `masks/train/a.png`;
`train/a.jpg` and `train_labels/a.png`; `a.jpg` and `a_mask.png`; `a.jpg` and `a.png`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from edgeseg.image import IMAGE_SUFFIXES, LOSSY_SUFFIXES

MASK_SUFFIXES = (IMAGE_SUFFIXES - LOSSY_SUFFIXES) | {".gif"}
_IMAGE = r"images?|imgs?|pics?|photos?|images?|jpegimages|originals?|inputs?|src|rgb"
_MASK = (
    r"masks?|msks?|labels?|lbls?|annotations?|annots?|anns?|gts?|groundtruths?|ground_?truth|segmentations?|segmentationclass|"
    r"seg|targets?|semantic"
)
_IMAGE_WORD = re.compile(rf"(?:^|[_\- ])({_IMAGE})(?=$|[_\- ])")
_MASK_WORD = re.compile(rf"(?:^|[_\- ])({_MASK})(?=$|[_\- ])|(?<=[a-z])(annot)$")
_MASK_END = re.compile(rf"[_\-. ]({_MASK}|l)$")
_IMAGE_END = re.compile(rf"[_\-. ]({_IMAGE}|sat)$")


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """What was found below a folder.

    Attributes:
        found: (image, mask, what is left of the folders' names), in the images' order.
        alone: Images without a mask, and masks without an image.
    """

    found: tuple[tuple[Path, Path, str], ...]
    alone: tuple[Path, ...]


def find_pairs(root: Path) -> Pairs:
    """Pairs the images and masks below a folder."""
    groups = defaultdict[tuple[str, str], list[tuple[bool, Path]]](list)
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.suffix.lower() not in IMAGE_SUFFIXES | MASK_SUFFIXES or any(p.startswith(".") for p in inside.parts):
            continue
        place, stem, is_mask = _key(inside)
        groups[place, stem].append((is_mask and path.suffix.lower() in MASK_SUFFIXES, path))
    found, alone = list[tuple[Path, Path, str]](), list[Path]()
    for (place, _), members in groups.items():
        images = [path for is_mask, path in members if not is_mask]
        masks = [path for is_mask, path in members if is_mask]
        if len(images) == 2 and not masks:  # a.jpg and a.png
            lossy = [path for path in images if path.suffix.lower() in LOSSY_SUFFIXES]
            masks = [path for path in images if path.suffix.lower() in MASK_SUFFIXES]
            images = lossy
        if len(images) == len(masks) == 1:
            found.append((images[0], masks[0], place))
        else:
            alone += [path for _, path in members]
    return Pairs(found=tuple(sorted(found)), alone=tuple(sorted(alone)))


def _key(inside: Path) -> tuple[str, str, bool]:
    """Returns what is left of the folders, of the file's name, and whether a word said that it is a mask."""
    is_mask, places = False, list[str]()
    for part in inside.parts[:-1]:
        bare, count = _MASK_WORD.subn("", part.lower())
        is_mask = is_mask or count > 0
        bare = _IMAGE_WORD.sub("", bare).strip("_- ")
        places += [bare] if bare else []
    stem, count = _MASK_END.subn("", inside.stem.lower())
    is_mask = is_mask or count > 0
    if not is_mask:
        stem = _IMAGE_END.sub("", stem)
    return "/".join(places), stem, is_mask
