"""What each part of the training recipe is worth: one change at a time, several seeds, the same epochs.

    python benchmarks/training_recipe.py --data camvid/ --init-from deeplab_dm05.tflite -o out/recipe
    python benchmarks/training_recipe.py --data camvid/ --init-from deeplab_dm05.tflite -o out/recipe --only base,ema

Trains DeepLab v3+ by `edgeseg train`, once for each change and seed, each in a folder of its own; stopped and called
again, it goes on. Prints a Markdown table: val mIoU by seed, and by how much the change moves it, seed by seed.
Differences that change their sign between seeds, or are smaller than those between the seeds of `base`, are chance.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from edgeseg.errors import EdgesegError
from edgeseg.keras_model import load_model

CHANGES: dict[str, dict[str, str | None]] = {
    "base": {},
    "random weights": {"--init-from": None, "--backbone": "mobilenetv2_0.5_exact"},
    "no class weights": {"--no-class-weights": ""},
    "ce+dice": {"--loss": "ce+dice"},
    "focal": {"--loss": "focal"},
    "ohem": {"--loss": "ohem"},
    "ohem+dice": {"--loss": "ohem+dice"},
    "ema": {"--ema": "0.99"},
    "transfer rate": {"--transfer-rate": "0.3"},
    "balanced crops": {"--balanced-crops": "0.5"},
    "copy-paste": {"--copy-paste": "0.5"},
    "narrow scale": {"--scale": "0.75,1.5"},
    "teacher": {"--teacher": "street"},
}
"""What each change gives `edgeseg train` beside the options of `base`, or in their place; None takes one away."""


def train(options: argparse.Namespace, change: str, seed: int) -> float:
    """Trains one network, or takes it as it is, and returns its val mIoU after the last epoch."""
    out = options.out / change.replace(" ", "_") / str(seed)
    model = out / "model.keras"
    given = {"--init-from": options.init_from, **CHANGES[change]}
    words = [
        "--data", options.data, "--out", out, "--size", options.size, "--epochs", options.epochs,
        "--val-every", options.epochs, "--seed", seed,
        *(word for flag, value in given.items() if value is not None for word in (flag, value) if word),
    ]  # fmt: skip
    try:
        _, card = load_model(model)
    except EdgesegError:
        command = [sys.executable, "-m", "edgeseg", "train", *map(str, words), "--resume"]
        if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
            raise SystemExit(f"{change}, seed {seed}: the training failed") from None
        _, card = load_model(model)
    assert card is not None
    return float(card.scores[0].miou)


def main() -> None:
    """Prints the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--init-from", required=True, help="a .tflite file on MobileNetV2 0.5, to start from")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--size", default="176x240")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default=",".join(CHANGES), help="changes, in order; base is always first")
    options = parser.parse_args()
    changes = ["base", *(name for name in options.only.split(",") if name != "base")]
    if unknown := [name for name in changes if name not in CHANGES]:
        parser.error(f"unknown change {unknown[0]}: expected some of {', '.join(CHANGES)}")
    scores: dict[str, list[float]] = {name: [] for name in changes}
    for seed in range(options.seeds):
        for name in changes:
            scores[name].append(train(options, name, seed))
            print(f"  seed {seed}, {name}: {scores[name][-1]:.4f}", flush=True)
    print("| change | val mIoU | mean | points against base, by seed |\n|---|---|---|---|")
    for name, found in scores.items():
        against = ", ".join(f"{100 * (a - b):+.1f}" for a, b in zip(found, scores["base"], strict=True))
        print(f"| {name} | {', '.join(f'{score:.3f}' for score in found)} | {mean(found):.3f} | {against} |")


if __name__ == "__main__":
    main()
