"""Measures the memory of a training on many images: `python benchmarks/stream_memory.py --data DIR [--count 50000]`.

The train split of a plain folder, such as `edgeseg data synth` writes, is linked again and again into a scratch folder
until it holds so many images. Training then scans all of them and takes its first steps, reading each image when it
is needed; the most memory that the process ever held is printed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from edgeseg.data.dataset import Dataset
from edgeseg.data.layouts import open_dataset
from edgeseg.host import peak_rss_bytes
from edgeseg.training.options import Progress, TrainingOptions
from edgeseg.training.train import train


class Enough(Exception):
    """Ends the training."""


def linked(root: Path, count: int, folder: Path) -> None:
    """Fills `folder` with `count` links to the training images of `root`, and the rest of it as it is."""
    dataset: Dataset = open_dataset(root, "train")
    for place in ("images", "labels"):
        (folder / place / "train").mkdir(parents=True)
        (folder / place / "val").symlink_to((root / place / "val").resolve())
    shutil.copy(root / "labels.json", folder)
    pairs = zip(dataset.images, dataset.label_maps, strict=True)
    for number, (image, label_map) in enumerate(itertools.islice(itertools.cycle(pairs), count)):
        for place, file in (("images", image), ("labels", label_map)):
            (folder / place / "train" / f"{number:06d}{file.suffix}").symlink_to(file.resolve())


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()

    def report(progress: Progress) -> None:
        if progress.step == given.steps:
            raise Enough

    with tempfile.TemporaryDirectory(prefix="edgeseg-") as scratch:
        linked(given.data, given.count, Path(scratch) / "many")
        try:
            train(
                Path(scratch) / "many", Path(scratch) / "run", input=(240, 320), report=report,
                options=TrainingOptions(in_memory=False),
            )  # fmt: skip
        except Enough:
            print(f"{given.count} images, {given.steps} steps: at most {(peak_rss_bytes() or 0) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
