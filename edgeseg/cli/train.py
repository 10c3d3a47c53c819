"""`edgeseg train`: float training."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from edgeseg.card import Form, ModelCard, ResizeMode
from edgeseg.cli.options import OrderOption, parse_per_channel, parse_size
from edgeseg.cli.output import JsonOption, console, emit
from edgeseg.cli.training_group import ready, run_training
from edgeseg.cli.training_page import write_training_page
from edgeseg.cli.training_records import recording
from edgeseg.cli.training_text import showing_training
from edgeseg.errors import UsageError


def command(
    data: Annotated[Path, typer.Option(help="Folder of the data set.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the weights, the checkpoint and the history.")],
    arch: Annotated[
        str, typer.Option(help="Architecture, see `edgeseg archs`; thawed:F.tflite: that file's network as it stands.")
    ] = "deeplabv3plus",
    backbone: Annotated[
        str | None,
        typer.Option(help="Backbone, such as mobilenetv2_0.5; that of --init-from, or the paper's, if not given."),
    ] = None,
    form: Annotated[
        Form, typer.Option(help="edge: small, all of it runs in int8 on every target; paper: the paper's network.")
    ] = "edge",
    size: Annotated[
        str | None, typer.Option(help="Input size, height x width; 240x320, or that of thawed:F.tflite.")
    ] = None,
    resize: Annotated[
        ResizeMode | None,
        typer.Option(help="stretch: an image fills the input; letterbox: it keeps its shape.  [default: stretch]"),
    ] = None,
    crop: Annotated[str | None, typer.Option(help="Size of the training crops; the input size if not given.")] = None,
    order: OrderOption = None,
    channels: Annotated[
        int | None, typer.Option(help="Input channels: 1 for grey, 3 for colour, or any number as they are.", min=1)
    ] = None,
    mean: Annotated[str | None, typer.Option(help="Input mean, 128 if not given; one for each channel.")] = None,
    std: Annotated[str | None, typer.Option(help="Input std, 128 if not given; one for each channel.")] = None,
    output_stride: Annotated[
        int | None, typer.Option(help="8 (finer, slower), 16 or 32; 16, or the paper's, if not given.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split to learn from.")] = "train",
    val_split: Annotated[str, typer.Option(help="Split to choose the best epoch by.")] = "val",
    layout: Annotated[str, typer.Option(help="Data set layout, recognised by its folders if auto.")] = "auto",
    epochs: Annotated[int | None, typer.Option(help="Passes over the images; 100 if not given.")] = None,
    time_budget: Annotated[
        str | None, typer.Option(help="Train as many epochs as fit into this time, such as 30m or 2h.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many validations without a better mIoU.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Images a step.")] = 8,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-3,
    weight_decay: Annotated[float, typer.Option(help="AdamW's, on kernels.")] = 1e-2,
    loss: Annotated[
        str, typer.Option(help="ce, focal, dice, ohem (hard pixels), or a sum such as ce+dice or 0.7*ce+0.3*dice.")
    ] = "ce",
    class_weights: Annotated[bool, typer.Option(help="Weigh rare classes more.")] = True,
    scale: Annotated[str, typer.Option(help="Smallest and largest random zoom.")] = "0.5,2",
    rotation: Annotated[float, typer.Option(help="Largest random turn, in degrees.", min=0, max=180)] = 0.0,
    quarter_turns: Annotated[
        bool, typer.Option("--quarter-turns", help="Turn crops by 90, 180 or 270 degrees too: for views straight down.")
    ] = False,
    elastic: Annotated[
        float, typer.Option(help="Bend crops by about so many pixels: for cells and other soft things.", min=0)
    ] = 0.0,
    balanced_crops: Annotated[
        float, typer.Option(help="Share of crops laid around a class drawn evenly.", min=0, max=1)
    ] = 0.0,
    copy_paste: Annotated[
        float, typer.Option(help="Share of crops into which a small thing of another image is pasted.", min=0, max=1)
    ] = 0.0,
    weights: Annotated[str | None, typer.Option(help="'imagenet': start from keras.applications' weights.")] = None,
    init_from: Annotated[
        str | None, typer.Option(help="Start from it: a zoo name, a folder, a .keras file, a .tflite file's backbone.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of initial weights, order and augmentation.")] = 0,
    val_every: Annotated[int, typer.Option(help="Epochs between validations.")] = 1,
    mixed_precision: Annotated[bool, typer.Option(help="Compute in bfloat16: for GPUs, slower on CPUs.")] = False,
    ema: Annotated[
        float, typer.Option(help="Keep the weights' running average, of this momentum (0.995); 0: not.")
    ] = 0.0,
    transfer_rate: Annotated[
        float, typer.Option(help="Learning rate of backbone and pyramid over that of the rest.")
    ] = 1.0,
    freeze_start: Annotated[
        bool, typer.Option("--freeze-start", help="Leave the backbone to stride 4 and its normalisation as they start.")
    ] = False,
    teacher: Annotated[
        str | None, typer.Option(help="A model of the same classes to learn from, too: zoo name, folder or file.")
    ] = None,
    teacher_weight: Annotated[
        float | None, typer.Option(help="With --teacher: its share of the loss, the labels have the rest; 0.5.")
    ] = None,
    unlabelled: Annotated[
        str | None, typer.Option(help="With --teacher: a folder or glob of more images, without labels.")
    ] = None,
    in_memory: Annotated[
        bool | None,
        typer.Option(
            "--in-memory/--stream",
            show_default=False,
            help="Keep the images in memory, or read each when it is needed; if not given, a quarter of the free "
            "memory is the limit.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep decoded images there, 4 bytes a pixel: for --stream on a GPU."),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that train together, on JAX, started by Ray if several.")
    ] = 1,
    address: Annotated[
        str | None, typer.Option(help="With --workers: a Ray cluster's, all of whose machines see --data and --out.")
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the figures for TensorBoard there, too.")
    ] = None,
    mlflow: Annotated[
        str | None, typer.Option(metavar="STORE", help="Write a run for MLflow: an SQLite file, or a server's address.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Terms of the weights, for the card.")] = "",
    resume: Annotated[
        bool, typer.Option(help="Go on with the training in --out; more --epochs may be asked of it.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the training in --out.")] = False,
    json: JsonOption = None,
) -> None:
    """Train a network on a data set; the best weights by val mIoU end in OUT/model.keras.

    \b
    Examples:
      edgeseg train --data camvid --out runs/camvid --backbone mobilenetv2_0.5 --epochs 100
      edgeseg train --data camvid --out runs/camvid --init-from deeplab_dm05.tflite --size 352x480 --crop 240x320
      edgeseg train --data camvid --out runs/camvid --epochs 100 --resume
      edgeseg train --data mine --out runs/mine --init-from aerial --time-budget 30m
      edgeseg train --data mine --out runs/mine --arch thawed:theirs_int8.tflite --transfer-rate 0.3
      edgeseg train --data camvid --out runs/small --backbone mobilenetv2_0.35 --teacher street --unlabelled flights/
      edgeseg train --data cells --out runs/cells --channels 1 --size 256x256
      KERAS_BACKEND=jax edgeseg train --data mine --out runs/mine --mixed-precision --batch 16
      edgeseg train --data mine --out runs/mine --batch 32 --workers 4 --address auto
      edgeseg train --data cells --out runs/unet --arch unet_unpadded --form paper --size 572x572
    """  # noqa: D301
    from edgeseg.card import InputSpec, input_channels

    leads = ready(workers, address)
    from edgeseg.data.layouts import open_dataset
    from edgeseg.training.augmentation import Augmentation
    from edgeseg.training.blueprint import input_of_file
    from edgeseg.training.options import TrainingOptions
    from edgeseg.training.train import DEFAULT_SIZE, THAWED

    if weights not in (None, "imagenet"):
        raise UsageError(f"--weights {weights}: expected imagenet")
    if weights and init_from:
        raise UsageError("--weights and --init-from were both given: choose one")
    if teacher_weight is not None and teacher is None:
        raise UsageError("--teacher-weight: there is no teacher; name one with --teacher")
    if epochs is not None and time_budget is not None:
        raise UsageError("--epochs and --time-budget were both given: choose one")
    told: dict[str, Any] = {
        "mean": parse_per_channel("--mean", mean), "std": parse_per_channel("--std", std), "resize": resize,
    }  # fmt: skip
    told = {name: value for name, value in told.items() if value is not None} | input_channels(order, channels)
    wanted = parse_size(size) if size else None
    if arch.startswith(THAWED):
        spec = replace(input_of_file(arch.removeprefix(THAWED), wanted), **told)
    else:
        height, width = wanted or DEFAULT_SIZE
        spec = InputSpec(height=height, width=width, **told)
    options = TrainingOptions(
        epochs=100 if epochs is None else epochs, patience=patience, batch_size=batch,
        crop=parse_size(crop) if crop else None, learning_rate=lr,
        weight_decay=weight_decay, loss=loss, class_weighting=class_weights, seed=seed, val_every=val_every,
        mixed_precision=mixed_precision, ema=ema, transfer_rate=transfer_rate, freeze_start=freeze_start,
        teacher_weight=0.5 if teacher_weight is None else teacher_weight, in_memory=in_memory,
        cache=cache.absolute() if cache else None,
        augmentation=Augmentation(
            scale=parse_scale(scale), rotation=rotation, quarter_turns=quarter_turns, elastic=elastic,
            balanced_crops=balanced_crops, copy_paste=copy_paste,
        ),
    )  # fmt: skip
    shape = f"{spec.height}x{spec.width}"
    described = {"data": data, "architecture": arch, "backbone": backbone, "form": form, "size": shape}
    call = {
        "data": data, "out": out, "architecture": arch, "backbone": backbone, "form": form, "input": spec,
        "output_stride": output_stride, "splits": (split, val_split), "layout": layout, "options": options,
        "init": init_from or weights or "random", "teacher": teacher, "unlabelled": unlabelled, "licence": licence,
        "resume": resume, "overwrite": overwrite,
        "time_budget": None if time_budget is None else parse_duration(time_budget),
    }  # fmt: skip
    with recording(out, options, described, tensorboard if leads else None, mlflow if leads else None) as reports:
        with showing_training(out) as shown:
            card = run_training(call, workers, address, shown, reports)
        if not leads:
            return
        page = write_training_page(out, data, val_split, layout)
    folders = [path.parent for path in open_dataset(data, split, layout).images]
    tell_end(out, page, card, data, folders, json)


def tell_end(out: Path, page: Path, card: ModelCard, data: Path, folders: list[Path], json: str | None) -> None:
    """Tells what a training has made, and what comes next.

    Args:
        out: Its folder.
        page: Its page.
        card: Of the best weights.
        data: The data set's folder.
        folders: Where each image that was learnt from lies.
        json: As `emit` takes it.
    """
    model, score = out / "model.keras", card.scores[0]
    console.print(f"best val mIoU {score.miou:.4f}, pixel accuracy {score.pixel_accuracy:.4f}: {model}", soft_wrap=True)
    console.print(f"curves, confusion matrix and the worst images: {page}", soft_wrap=True)
    name, split = out.resolve().name, "" if score.split == "val" else f" --split {score.split}"
    console.print(
        f"next: edgeseg convert {out} --int8 --calibration {os.path.commonpath(folders)} -o {name}_int8.tflite; "
        f"edgeseg report {name}_int8.tflite --data {data}{split} -o {name}_report",
        soft_wrap=True, markup=False,
    )  # fmt: skip
    told = {"file": str(model), "name": card.name, "miou": score.miou, "pixel_accuracy": score.pixel_accuracy}
    emit({**told, "page": str(page)}, json)


def parse_duration(text: str) -> float:
    """Reads "90s", "30m", "1.5h" as seconds."""
    units = {"s": 1, "m": 60, "h": 3600}
    try:
        seconds = float(text[:-1]) * units[text[-1:]]
    except (KeyError, ValueError):
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise UsageError(f"--time-budget {text}: expected a time such as 90s, 30m or 2h")
    return seconds


def parse_scale(text: str) -> tuple[float, float]:
    """Reads "0.5,2"."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not 0 < low <= high:
        raise UsageError(f"--scale {text}: expected the smallest and the largest zoom, such as 0.5,2")
    return low, high
