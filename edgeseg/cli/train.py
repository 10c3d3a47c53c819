"""`edgeseg train`: float training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgeseg.cli.options import OrderOption, parse_per_channel, parse_size
from edgeseg.cli.output import JsonOption, console, emit


def command(
    data: Annotated[Path, typer.Option(help="Folder of the data set.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the weights, the checkpoint and the history.")],
    arch: Annotated[str, typer.Option(help="Architecture, see `edgeseg archs`.")] = "deeplabv3plus",
    backbone: Annotated[
        str | None, typer.Option(help="Backbone, such as mobilenetv2_0.5; that of --init-from if not given.")
    ] = None,
    size: Annotated[str, typer.Option(help="Input size, height x width.")] = "240x320",
    crop: Annotated[str | None, typer.Option(help="Size of the training crops; the input size if not given.")] = None,
    order: OrderOption = None,
    channels: Annotated[
        int | None, typer.Option(help="Input channels: 1 for grey, 3 for colour, or any number as they are.", min=1)
    ] = None,
    mean: Annotated[str | None, typer.Option(help="Input mean, 128 if not given; one for each channel.")] = None,
    std: Annotated[str | None, typer.Option(help="Input std, 128 if not given; one for each channel.")] = None,
    output_stride: Annotated[int, typer.Option(help="8 (finer, slower), 16 or 32.")] = 16,
    split: Annotated[str, typer.Option(help="Split to learn from.")] = "train",
    val_split: Annotated[str, typer.Option(help="Split to choose the best epoch by.")] = "val",
    layout: Annotated[str, typer.Option(help="Data set layout, recognised by its folders if auto.")] = "auto",
    epochs: Annotated[int, typer.Option(help="Passes over the pictures.")] = 100,
    batch: Annotated[int, typer.Option(help="Pictures a step.")] = 8,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-3,
    weight_decay: Annotated[float, typer.Option(help="AdamW's, on kernels.")] = 1e-2,
    loss: Annotated[str, typer.Option(help="ce, focal, dice, or a sum such as ce+dice or 0.7*ce+0.3*dice.")] = "ce",
    class_weights: Annotated[bool, typer.Option(help="Weigh rare classes more.")] = True,
    scale: Annotated[str, typer.Option(help="Smallest and largest random zoom.")] = "0.5,2",
    weights: Annotated[str | None, typer.Option(help="'imagenet': start from keras.applications' weights.")] = None,
    init_from: Annotated[
        Path | None, typer.Option(help="A .tflite file with a backbone, or a .keras file, to start from.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of initial weights, order and augmentation.")] = 0,
    val_every: Annotated[int, typer.Option(help="Epochs between validations.")] = 1,
    mixed_precision: Annotated[bool, typer.Option(help="Compute in bfloat16: for GPUs, slower on CPUs.")] = False,
    licence: Annotated[str, typer.Option(help="Terms of the weights, for the card.")] = "",
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoint in --out.")] = False,
    json: JsonOption = None,
) -> None:
    """Train a network on a data set; the best weights by val mIoU end in OUT/model.keras.

    \b
    Examples:
      edgeseg train --data camvid --out runs/camvid --backbone mobilenetv2_0.5 --epochs 100
      edgeseg train --data camvid --out runs/camvid --init-from deeplab_dm05.tflite --size 352x480 --crop 240x320
      edgeseg train --data camvid --out runs/camvid --epochs 100 --resume
      edgeseg train --data cells --out runs/cells --channels 1 --size 256x256
    """  # noqa: D301
    from edgeseg.cli.quiet import quiet_tensorflow

    quiet_tensorflow()
    from edgeseg.card import InputSpec, input_channels
    from edgeseg.cli.training_display import run_training
    from edgeseg.training.augmentation import Augmentation
    from edgeseg.training.fit import TrainingOptions

    height, width = parse_size(size)
    told: dict[str, Any] = {"mean": parse_per_channel("--mean", mean), "std": parse_per_channel("--std", std)}
    spec = InputSpec(
        height=height, width=width, **input_channels(order, channels),
        **{name: value for name, value in told.items() if value is not None},
    )  # fmt: skip
    options = TrainingOptions(
        epochs=epochs, batch_size=batch, crop=parse_size(crop) if crop else None, learning_rate=lr,
        weight_decay=weight_decay, loss=loss, class_weighting=class_weights, seed=seed, val_every=val_every,
        mixed_precision=mixed_precision, augmentation=Augmentation(scale=parse_scale(scale)),
    )  # fmt: skip
    card = run_training(
        data=data, out=out, arch=arch, backbone=backbone, spec=spec, output_stride=output_stride,
        splits=(split, val_split), layout=layout, weights=weights, init_from=init_from, resume=resume, licence=licence,
        options=options,
    )  # fmt: skip
    model = out / "model.keras"
    score = card.scores[0]
    console.print(f"best val mIoU {score.miou:.4f}, pixel accuracy {score.pixel_accuracy:.4f}: {model}", soft_wrap=True)
    emit({"file": str(model), "name": card.name, "miou": score.miou, "pixel_accuracy": score.pixel_accuracy}, json)


def parse_scale(text: str) -> tuple[float, float]:
    """Reads "0.5,2"."""
    from edgeseg.errors import UsageError

    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not 0 < low <= high:
        raise UsageError(f"--scale {text}: expected the smallest and the largest zoom, such as 0.5,2")
    return low, high
