"""What int8 gains and keeps, for the edge form of every architecture.

    python benchmarks/edge_forms.py runs/forms                       # random weights: speed alone
    python benchmarks/edge_forms.py runs/forms --data camvid/        # trained: agreement and mIoU as well

For each architecture, by the commands a user has: `edgeseg train` (with --data), `edgeseg convert --int8` and
`--float32`, `edgeseg bench` of both files in turns, `edgeseg inspect`, `edgeseg eval`. Prints a Markdown table:

- the share of multiply-accumulates that XNNPACK takes, and in how many nodes;
- int8 and float32 latency, and their ratio, on one thread;
- agreement: the share of pixels of the validation split on which both files choose the same class;
- mIoU of both on the validation split.

What is in the folder already is not made again, so a run that was interrupted goes on. One architecture is trained for
longer (`--first`); the others start from its backbone. Speed is measured at the end, when nothing else runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgeseg.architectures.registry import ARCHITECTURES, build_network
from edgeseg.card import InputSpec, LabelSet, ModelCard, Recipe
from edgeseg.data.layouts import open_dataset
from edgeseg.keras_model import network_spec, save_model
from edgeseg.runtime.segmenter import Segmenter

EDGESEG = (sys.executable, "-m", "edgeseg")


def edgeseg(*arguments: object) -> Any:
    """Runs a command; returns what it says as JSON."""
    command = [*EDGESEG, *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)


def untrained(folder: Path, arch: str, options: argparse.Namespace) -> None:
    """Writes a network with random weights, as `edgeseg train` writes a trained one."""
    height, width = map(int, options.size.split("x"))
    card = ModelCard(
        name=arch, architecture=arch, backbone=options.backbone, output_stride=options.output_stride,
        input=InputSpec(height=height, width=width), labels=LabelSet.from_names([f"class_{i}" for i in range(11)]),
        recipe=Recipe(name="float32"),
    )  # fmt: skip
    save_model(folder / "model.keras", build_network(keras, network_spec(card)), card)


def train(folder: Path, arch: str, start: Path | None, epochs: int, options: argparse.Namespace) -> None:
    """Trains a network, or goes on with it."""
    print(f"training {arch} for {epochs} epochs", file=sys.stderr, flush=True)
    starting = ("--init-from", start) if start else ()
    resume = ("--resume",) if (folder / "checkpoint.npz").exists() else ()
    edgeseg(
        "train", "--data", options.data, "--out", folder, "--arch", arch, "--backbone", options.backbone,
        "--size", options.training_size, "--output-stride", options.output_stride, "--epochs", epochs,
        "--val-every", max(1, epochs // 6), *starting, *resume,
    )  # fmt: skip


def convert(folder: Path, options: argparse.Namespace) -> None:
    """Makes both files."""
    if not (folder / "int8.tflite").exists():
        source = Path(options.data) / options.calibration_folder if options.data else "synthetic"
        common = ("--size", options.size, "--calibration", source, "--images", 100 if options.data else 4)
        edgeseg("convert", folder, "--float32", "-o", folder / "float32.tflite", *common)
        edgeseg("convert", folder, "--int8", "-o", folder / "int8.tflite", *common)


def quality(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Returns how often both files agree, and the mIoU of each."""
    said = folder / "quality.json"
    if not said.exists():
        found = {"agreement": agreement(folder, options.data)}
        for name in ("float32", "int8"):
            found[name] = edgeseg("eval", folder / f"{name}.tflite", "--data", options.data)["miou"]
        said.write_text(json.dumps(found))
    return dict(json.loads(said.read_text()))


def agreement(folder: Path, data: str) -> float:
    """Returns the share of validation pixels, at label resolution, on which both files choose the same class."""
    float32, int8 = Segmenter(folder / "float32.tflite"), Segmenter(folder / "int8.tflite")
    return float(
        np.mean(
            [
                np.mean(float32.coarse_label_map(image) == int8.coarse_label_map(image))
                for image, _ in open_dataset(data, "val")
            ]
        )
    )


def speed(folder: Path) -> tuple[float, float]:
    """Returns the median latencies of int8 and float32, ms, taken in turns."""
    results = edgeseg("bench", folder / "int8.tflite", folder / "float32.tflite", "--runs", 40, "--seconds", 2)
    int8, float32 = (result["latency_ms"]["p50"] for result in results["results"])
    return int8, float32


def main() -> None:
    """Makes what is missing, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where networks and files are kept")
    parser.add_argument("--backbone", default="resnet18_0.25")
    parser.add_argument("--output-stride", type=int, default=8)
    parser.add_argument("--size", default="360x480")
    parser.add_argument("--arch", action="append", help="only this one; may be repeated")
    parser.add_argument("--data", help="a data set to train on")
    parser.add_argument("--calibration-folder", default="train", help="in the data set")
    parser.add_argument("--training-size", default="240x320")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--first", default="deeplabv3plus", help="trained first, for longer")
    parser.add_argument("--first-epochs", type=int, default=60)
    options = parser.parse_args()
    forms = [name for name, a in ARCHITECTURES.items() if a.edge and name in (options.arch or ARCHITECTURES)]
    if options.data:
        first = options.folder / options.first
        for arch in [options.first, *(name for name in forms if name != options.first)]:
            if not (options.folder / arch / "int8.tflite").exists():
                is_first = arch == options.first
                start = None if is_first else first / "model.keras"
                train(options.folder / arch, arch, start, options.first_epochs if is_first else options.epochs, options)
    for arch in forms:
        folder = options.folder / arch
        if not (folder / "model.keras").exists():
            folder.mkdir(parents=True, exist_ok=True)
            untrained(folder, arch, options)
        convert(folder, options)
        if options.data:
            quality(folder, options)
    print("| architecture | MACs in XNNPACK | nodes | int8 ms | float32 ms | ratio | agreement | mIoU float32, int8 |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    ratios = []
    for arch in forms:
        folder = options.folder / arch
        taken = edgeseg("inspect", folder / "int8.tflite")["xnnpack"]
        int8, float32 = speed(folder)
        ratios.append(float32 / int8)
        found = quality(folder, options) if options.data else None
        columns = [
            arch, f"{taken['macs_share']:.1%}", taken["nodes"], f"{int8:.2f}", f"{float32:.2f}", f"{ratios[-1]:.2f}",
            *([f"{found['agreement']:.2%}", f"{found['float32']:.4f}, {found['int8']:.4f}"] if found else ["", ""]),
        ]  # fmt: skip
        print(f"| {' | '.join(map(str, columns))} |", flush=True)
    print(
        f"\n{len(ratios)} forms on {options.backbone}: ratio at least {min(ratios):.2f}, median {np.median(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
