"""What int8 costs on real networks: the zoo's int8 files, or others of the same networks, beside the float networks.

    python benchmarks/int8_zoo.py camvid/ membrane/ drone8/                    # the whole zoo
    python benchmarks/int8_zoo.py camvid/ --models camvid,street --every 4     # two of it, every fourth image
    python benchmarks/int8_zoo.py camvid/ --files new.tflite other.tflite      # files beside the zoo's

Each model is scored on the validation split of every data set that has its classes. Prints a Markdown table: mIoU of
the float network and of the file, the points that the file loses, the class that loses most, and the share of pixels
on which both choose the same class. A file is paired with the zoo's network of the name in its card.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg import zoo
from edgeseg.arrays import Uint8
from edgeseg.card_file import read_model
from edgeseg.data.dataset import Dataset
from edgeseg.data.layouts import open_dataset
from edgeseg.host import usable_cores
from edgeseg.keras_model import load_model
from edgeseg.keras_segmenter import KerasSegmenter
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.scoring.evaluate import Evaluation, evaluate
from edgeseg.zoo import ZooModel

HEAD = """\
| model | file | on | float mIoU | int8 mIoU | points lost | most lost by a class | agreement |
|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A file beside its float network, on one data set.

    Attributes:
        model: The zoo's name of the network.
        file: The file.
        data: Data set's folder and number of images.
        float_miou: 0-1, as the next.
        int8_miou: The file's.
        lost: Points of mIoU that the file loses.
        class_lost: Points of IoU that each class loses, by name.
        agreement: Share of the pixels to which both give the same class, at the label maps' size.
    """

    model: str
    file: str
    data: str
    float_miou: float
    int8_miou: float
    lost: float
    class_lost: dict[str, float]
    agreement: float

    @property
    def line(self) -> str:
        """The row in Markdown."""
        worst = max(self.class_lost, key=lambda name: self.class_lost[name])
        return (
            f"| `{self.model}` | {self.file} | {self.data} | {self.float_miou:.4f} | {self.int8_miou:.4f} | "
            f"{self.lost:+.2f} | {worst} {self.class_lost[worst]:+.2f} | {self.agreement:.2%} |"
        )


def scored(segmenter: Segmenter, dataset: Dataset) -> tuple[Evaluation, list[Uint8]]:
    """Returns a network's scores and its label maps."""
    chosen: list[Uint8] = []
    scores = evaluate(segmenter, dataset, watch=lambda index, image, truth, predicted: chosen.append(predicted.copy()))
    return scores, chosen


def compared(model: ZooModel, files: list[Path], dataset: Dataset, data: str) -> Iterator[Row]:
    """Yields a row for each file of a network."""
    network, card = load_model(zoo.resolve(model.folder, kind="float"))
    assert card is not None
    ours, choices = scored(KerasSegmenter(network, card.input, card.labels), dataset)
    for file in files:
        theirs, others = scored(Segmenter(file, threads=usable_cores()), dataset)
        lost = {name: 100 * (iou - theirs.class_iou[name]) for name, iou in ours.class_iou.items()}
        yield Row(
            model=model.name, file=file.stem if file.parent != model.folder else "the zoo's", data=data,
            float_miou=ours.miou, int8_miou=theirs.miou, lost=100 * (ours.miou - theirs.miou),
            class_lost={name: points for name, points in lost.items() if not math.isnan(points)},
            agreement=float(np.mean([np.mean(a == b) for a, b in zip(choices, others, strict=True)])),
        )  # fmt: skip


def network_name(path: Path) -> str:
    """Returns the name of a file's network, as its card tells."""
    _, card = read_model(path)
    if card is None:
        raise SystemExit(f"{path} has no card, which would name its network")
    return card.name


def wanted(options: argparse.Namespace) -> Iterator[tuple[ZooModel, list[Path]]]:
    """Yields the zoo's models that are asked for, and the files of each to compare: the zoo's, and those named."""
    chosen = options.models.split(",") if options.models else zoo.list_models()
    given = {path: network_name(path) for path in options.files}
    for model in map(zoo.load, chosen):
        others = [path for path, name in given.items() if name == model.files[0][1].name]
        if others or not given:
            yield model, [zoo.resolve(model.folder), *others]


def opened(folder: Path, every: int) -> Dataset:
    """Opens the validation split of a data set, every N-th image of it."""
    whole = open_dataset(folder, "val")
    return replace(whole, images=whole.images[::every], label_maps=whole.label_maps[::every])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="folders of data sets")
    parser.add_argument("--models", help="names of the zoo, with commas; all if not given")
    parser.add_argument("--files", type=Path, nargs="+", default=[], help="other int8 files of the zoo's networks")
    parser.add_argument("--every", type=int, default=1, help="score every N-th image")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    sets = [(folder, opened(folder, options.every)) for folder in options.data]
    rows: list[dict[str, Any]] = []
    print(HEAD, flush=True)
    for model, files in wanted(options):
        for folder, dataset in sets:
            if set(dataset.labels.names) != set(model.files[0][1].labels.names):
                continue
            for row in compared(model, files, dataset, f"{folder.name}, {len(dataset)}"):
                print(row.line, flush=True)
                rows.append(asdict(row))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
