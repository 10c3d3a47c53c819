"""What `edgeseg train` does between its options and the library: opens the data, shows progress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edgeseg.card import InputSpec, ModelCard, Recipe
from edgeseg.card_file import read_model
from edgeseg.cli.output import console
from edgeseg.errors import UsageError
from edgeseg.host import tool_versions

DEFAULT_BACKBONE = "mobilenetv2_0.5"


def run_training(
    *,
    data: Path,
    out: Path,
    arch: str,
    backbone: str | None,
    spec: InputSpec,
    output_stride: int,
    splits: tuple[str, str],
    layout: str,
    weights: str | None,
    init_from: Path | None,
    resume: bool,
    licence: str,
    options: Any,
) -> ModelCard:
    """Trains as the options say, with a live progress line; Ctrl-C says how to go on."""
    from edgeseg.data.layouts import open_dataset
    from edgeseg.keras_model import load_model, network_spec
    from edgeseg.training.fit import train
    from edgeseg.training.initial_weights import init_from_imagenet, init_from_keras
    from edgeseg.training.tflite_weights import init_from_tflite, matching_backbone

    if weights not in (None, "imagenet"):
        raise UsageError(f"--weights {weights}: expected imagenet")
    if weights and init_from:
        raise UsageError("--weights and --init-from were both given: choose one")
    tflite = init_from is not None and init_from.suffix == ".tflite"
    if backbone is None and tflite and init_from:
        backbone = matching_backbone(init_from)
    elif backbone is None and init_from and (donor := read_model(init_from)[1]):
        backbone = donor.backbone
    backbone = backbone or DEFAULT_BACKBONE
    train_set, val_set = (open_dataset(data, split, layout) for split in splits)
    card = ModelCard(
        name=f"{arch}_{backbone}_{train_set.name}_{spec.height}x{spec.width}", architecture=arch, backbone=backbone,
        output_stride=output_stride, input=spec, labels=train_set.labels, recipe=Recipe(name="float32"),
        licence=licence, tools=tool_versions(),
    )  # fmt: skip
    network_spec(card)

    def initialise(network: Any) -> None:
        if tflite and init_from:
            count = init_from_tflite(network, init_from, backbone, spec, train_set)
            console.print(f"{count} convolutions start from {init_from}", soft_wrap=True, markup=False)
        elif init_from:
            taken = init_from_keras(network, load_model(init_from)[0])
            console.print(f"{taken} start from {init_from}", soft_wrap=True, markup=False)
        elif weights:
            init_from_imagenet(network, backbone, spec.order)

    init = init_from.name if init_from else weights or "random"
    started = f"{card.name}: {len(train_set)} training and {len(val_set)} validation images, weights from {init}"
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as display:
        task = display.add_task("starting", total=None)

        def report(p: Any) -> None:
            nonlocal started
            if started:  # not before it is certain that everything fits together
                console.print(started, soft_wrap=True)
                started = ""
            scores = "" if p.val_miou is None else f" val mIoU {p.val_miou:.4f} (best {p.best_miou:.4f})"
            text = f"epoch {p.epoch + 1}/{p.epochs} loss {p.loss:.4f}{scores}"
            done, total = p.epoch * p.steps + p.step, p.epochs * p.steps
            display.update(task, description=text, completed=done, total=total)
            if not console.is_terminal and p.step == p.steps:
                console.print(text)

        try:
            return train(
                card, train_set, val_set, out, options, initialise=initialise, init=init, resume=resume, report=report
            )
        except KeyboardInterrupt:
            console.print(f"stopped; the same command with --resume goes on from {out}")
            raise
