"""What is in a data set, and what is wrong with it: `edgeseg data check`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.data.dataset import Dataset, NoSplitError
from edgeseg.data.layouts import open_dataset
from edgeseg.data.oddities import class_weights, oddities, shared_images
from edgeseg.data.similar import NEARLY_EQUAL, image_hash, near_pairs
from edgeseg.errors import DataError
from edgeseg.files import file_digest

SPLITS = ("train", "val", "test")
ENOUGH = 1000
"""Training images below which a network should start from another."""
START = "aerial"
"""The zoo's model that is free to start from."""
FEW = 10
"""Fewer training images are told."""
RARE = 1e-4
"""A smaller share of the training pixels is told."""
ODD_SIZE = 2.0
"""Images so many times larger or smaller than the median are told."""
FLAT = 1.0
"""An image whose pixels deviate less from their mean shows nothing."""
UNUSUAL = 24
"""So many of the images whose labels are least like the others' are told."""
_LARGEST_INPUT = 352 * 480
_MULTIPLE = 32
_LARGEST_WHOLE = 240 * 320
"""Pixels of an input above which crops of two thirds of its sides make training go further in the same time."""

Advance = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found.

    Attributes:
        splits: Images of each split.
        classes: Pixels and images of each class, by split.
        ignored: Share of ignored pixels, by split.
        sizes: How many images there are of each size, "HxW".
        mean: Of the training images' pixels, red, green, blue, 0-255.
        std: Likewise.
        warnings: What is wrong or odd.
        suggestions: Options of `train`, each with a reason.
        unusual: The images whose labels are least like the others', most unusual first.
    """

    splits: dict[str, int]
    classes: dict[str, dict[str, dict[str, int]]]
    ignored: dict[str, float]
    sizes: dict[str, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    warnings: tuple[str, ...]
    suggestions: tuple[str, ...]
    unusual: tuple[Unusual, ...]


@dataclass(frozen=True, kw_only=True)
class Unusual:
    """An image whose labels are unlike those of the whole set: rare content, or labels gone wrong.

    Attributes:
        split: Where it is.
        image: Its file.
        distance: Kullback-Leibler divergence of its share of each class, ignored pixels too, from the set's, in nats.
        most: The class that it has most of, beyond its usual share.
    """

    split: str
    image: str
    distance: float
    most: str


@dataclass
class _Seen:
    """What was counted in one split."""

    dataset: Dataset
    pixels: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    images: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    sizes: list[tuple[int, int]] = field(default_factory=list)
    hashes: list[Any] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    counts: list[npt.NDArray[np.int64]] = field(default_factory=list)
    sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 3)))
    wrong: list[str] = field(default_factory=list)

    def look(self, index: int) -> None:
        """Counts one image, or notes why it cannot be read."""
        path, labels = self.dataset.images[index], self.dataset.labels
        try:
            image, label_map = self.dataset.load(index)
        except DataError as error:
            self.wrong.append(str(error))
            return
        counts = np.bincount(label_map.ravel(), minlength=256)
        self.pixels += counts
        self.images += counts > 0
        self.sizes.append(label_map.shape)
        self.files.append(path)
        self.counts.append(counts)
        self.hashes.append(image_hash(image))
        mean, std = (values.ravel()[::-1] for values in cv2.meanStdDev(image))  # red, green, blue
        self.sums += mean, mean**2 + std**2
        if std.max() < FLAT:
            self.wrong.append(f"{path} shows one colour only: take it out")
        if counts[labels.ignore_index] == label_map.size:
            self.wrong.append(f"{self.dataset.label_maps[index]} labels no pixel, all are ignored: take it out")


def check_set(root: str | os.PathLike[str], layout: str = "auto", advance: Advance | None = None) -> Checked:
    """Reads a whole data set and tells what is in it and what is wrong.

    Args:
        root: Its folder.
        layout: See `open_dataset`.
        advance: Called with (done, total) images.

    Raises:
        DataError: The folder is in no known layout, or no image can be read.
    """
    warnings = list[str]()
    datasets = _open(Path(root), layout, warnings)
    if not datasets:
        raise DataError("; ".join(warnings) or f"{root} has no split to check")
    whole = not warnings  # a split that cannot be opened is not missing
    seen = {split: _Seen(dataset=dataset) for split, dataset in datasets.items()}
    total, done = sum(map(len, datasets.values())), 0
    for split, dataset in datasets.items():
        for index in range(len(dataset)):
            seen[split].look(index)
            done += 1
            if advance:
                advance(done, total)
    if not any(one.files for one in seen.values()):
        raise DataError(f"none of {total} images can be used: {next(w for s in seen.values() for w in s.wrong)}")
    learnt = seen.get("train", next(iter(seen.values())))
    for one in seen.values():
        warnings += [*one.wrong, *_of_split(one)]
    warnings += [*_of_training(seen, whole), *_shared(seen), *_sizes(seen)]
    names = learnt.dataset.labels.names
    means = learnt.sums / max(1, len(learnt.files))
    return Checked(
        splits={split: len(one.dataset) for split, one in seen.items()},
        classes={
            name: {
                split: {"pixels": int(one.pixels[number]), "pictures": int(one.images[number])}
                for split, one in seen.items()
            }
            for number, name in enumerate(names)
        },
        ignored={s: float(o.pixels[o.dataset.labels.ignore_index] / max(1, o.pixels.sum())) for s, o in seen.items()},
        sizes={f"{h}x{w}": n for (h, w), n in Counter(x for o in seen.values() for x in o.sizes).most_common()},
        mean=tuple(round(float(v), 2) for v in means[0]),
        std=tuple(round(float(v), 2) for v in np.sqrt(np.maximum(means[1] - means[0] ** 2, 0))),
        warnings=tuple(warnings),
        suggestions=_suggestions(learnt),
        unusual=_unusual(seen),
    )  # fmt: skip


def _open(root: Path, layout: str, warnings: list[str]) -> dict[str, Dataset]:
    found = dict[str, Dataset]()
    for split in (*SPLITS, "all"):
        if split == "all" and (found or warnings):
            break
        try:
            found[split] = open_dataset(root, split, layout)
        except NoSplitError:
            continue
        except DataError as error:
            if not found and split == SPLITS[0] and "in no known data set layout" in str(error):
                raise
            warnings.append(str(error))
    return found


def _of_split(one: _Seen) -> list[str]:
    """Tells classes without pixels and much that is ignored; and label maps that belong to no image."""
    try:
        told = list(oddities(one.dataset, one.pixels))
    except DataError as error:
        told = [str(error)]
    known = {path.resolve() for path in one.dataset.label_maps}
    folders = {path.parent for path in one.dataset.label_maps}
    suffix = one.dataset.label_maps[0].suffix
    own = folders.isdisjoint({path.parent for path in one.dataset.images})
    extra = sorted(p for f in folders for p in f.glob(f"*{suffix}") if p.resolve() not in known) if own else []
    if extra and one.dataset.name not in ("voc", "cityscapes"):  # whose lists and suffixes choose among files
        told.append(f"{len(extra)} label maps belong to no image, such as {extra[0]}: take them out, or add images")
    return told


def _of_training(seen: dict[str, _Seen], whole: bool) -> list[str]:
    told = []
    if whole and "train" in seen and "val" not in seen:
        told.append("there is no split val, by which training chooses its best epoch: `data import --splits` makes one")
    if "train" not in seen:
        return told
    train, names = seen["train"], seen["train"].dataset.labels.names
    if len(train.files) < FEW:
        told.append(f"the train split has {len(train.files)} images: more than {FEW} are needed to learn anything")
    share = train.pixels[: len(names)] / max(1, train.pixels[: len(names)].sum())
    rare = [name for name, value in zip(names, share, strict=True) if 0 < value < RARE]
    if rare:
        told.append(f"{', '.join(rare)}: below {100 * RARE:g} % of the training pixels; merge them, or label more")
    return told


def _shared(seen: dict[str, _Seen]) -> list[str]:
    """Tells images that training shares with what judges it, and images that are twice in one split."""
    told = []
    train = seen.get("train")
    digests = {split: [file_digest(path) for path in one.files] for split, one in seen.items()}
    for split, one in seen.items():
        twice = [d for d, count in Counter(digests[split]).items() if count > 1]
        if twice:
            first = one.files[digests[split].index(twice[0])]
            told.append(f"{len(twice)} images are in the {split} split more than once, such as {first.name}")
        if train is None or split == "train" or not one.files or not train.files:
            continue
        same = shared_images(one.files, train.files)
        if same:
            first, other = next(iter(same.items()))
            told.append(f"{len(same)} images of {split} are in train, too, such as {first} and {other}")
        pairs = near_pairs(np.stack(one.hashes), np.stack(train.hashes), NEARLY_EQUAL).tolist()
        near = {one.files[a]: train.files[b] for a, b in pairs if one.files[a] not in same}
        if near:
            first = next(iter(near))
            told.append(
                f"{len(near)} images of {split} look nearly like one of train, such as {first} and {near[first]}: "
                "scores will flatter; `data import` keeps scenes together"
            )
    return told


def _sizes(seen: dict[str, _Seen]) -> list[str]:
    sizes = np.array([size for one in seen.values() for size in one.sizes], np.float64)
    files = [path for one in seen.values() for path in one.files]
    ratio = sizes / np.median(sizes, axis=0)
    odd = np.flatnonzero((ratio > ODD_SIZE).any(axis=1) | (ratio < 1 / ODD_SIZE).any(axis=1))
    if not odd.size:
        return []
    height, width = sizes[odd[0]].astype(int)
    return [f"{odd.size} images are far from the usual size, such as {files[odd[0]]} of {height}x{width}"]


def _suggestions(learnt: _Seen) -> tuple[str, ...]:
    """Returns options of `train`: size and crops, a loss where classes are rare, a start and steps for few images."""
    height, width = np.median(np.array(learnt.sizes or [(_MULTIPLE, _MULTIPLE)]), axis=0)
    scale = min(1.0, float(np.sqrt(_LARGEST_INPUT / (height * width))))
    size = [max(_MULTIPLE, round(float(side) * scale / _MULTIPLE) * _MULTIPLE) for side in (height, width)]
    told = [f"--size {size[0]}x{size[1]}: the usual image of {height:g}x{width:g}, in steps of {_MULTIPLE}"]
    if size[0] * size[1] > _LARGEST_WHOLE:
        crop = [max(_MULTIPLE, round(side * 2 / 3 / _MULTIPLE) * _MULTIPLE) for side in size]
        told.append(f"--crop {crop[0]}x{crop[1]}: half of the pixels, so twice as many steps in the same time")
    labels = learnt.dataset.labels
    counts = learnt.pixels[: labels.num_classes]
    if counts.sum() and counts[counts > 0].min() < 0.02 * counts.sum():
        weights = zip(labels.names, class_weights(counts), strict=True)
        listed = ", ".join(f"{name} {weight:.2f}" for name, weight in weights)
        told.append(f"--loss ce+dice: some classes are rare; class weights: {listed}")
    if len(learnt.dataset) < ENOUGH:
        told.append(f"--init-from {START}: {len(learnt.dataset)} images are few to learn all from")
        told.append("--lr 2e-3 --ema 0.98: few steps may be larger, where the weights' average is kept")
    return tuple(told)


def _unusual(seen: dict[str, _Seen]) -> tuple[Unusual, ...]:
    usual = sum((one.pixels for one in seen.values()), np.zeros(256, np.int64))
    usual = usual / max(1, usual.sum())
    found = []
    for split, one in seen.items():
        labels = one.dataset.labels
        for path, counts in zip(one.files, one.counts, strict=True):
            share = counts / counts.sum()
            gains = np.zeros(256)
            there = share > 0
            gains[there] = share[there] * np.log(share[there] / usual[there])
            most = int(gains.argmax())
            name = labels.names[most] if most < labels.num_classes else "ignored"
            found.append(Unusual(split=split, image=str(path), distance=round(float(gains.sum()), 4), most=name))
    return tuple(sorted(found, key=lambda one: -one.distance)[:UNUSUAL])
