"""`edgeseg eval`: accuracy on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.cli.output import JsonOption, advancing, console, emit, progress_bar


def command(
    model: Annotated[
        str, typer.Argument(help="Zoo name, model folder, .keras/.h5 or .tflite file.", show_default=False)
    ],
    data: Annotated[Path, typer.Option(help="Folder of the data set.", show_default=False)],
    split: Annotated[str, typer.Option(help="Split to score.")] = "val",
    layout: Annotated[str, typer.Option(help="Data set layout, recognised by its folders if auto.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads for inference.", min=1)] = 1,
    delegate: Annotated[str | None, typer.Option(help="edgetpu, xnnpack, none, or a library's path.")] = None,
    limit: Annotated[int | None, typer.Option(help="Score only so many pictures, evenly spread.", min=1)] = None,
    labels: Annotated[str | None, typer.Option(help="Class names of a file without a card: a file, or voc ...")] = None,
    resize: Annotated[str | None, typer.Option(help="stretch or letterbox, for a file without a card.")] = None,
    mean: Annotated[float | None, typer.Option(help="Normalisation of a file without a card.")] = None,
    std: Annotated[float | None, typer.Option(help="Normalisation of a file without a card.")] = None,
    json: JsonOption = None,
) -> None:
    """Score a Keras network or a .tflite file on a data set, at the size of its label maps.

    \b
    Examples:
      edgeseg eval camvid --data camvid --split val
      edgeseg eval runs/camvid/model.keras --data camvid
      edgeseg eval camvid_int8.tflite --data camvid --threads 4 --json scores.json
    """  # noqa: D301
    from edgeseg.cli.models_option import check_classes, open_segment
    from edgeseg.data.layouts import open_dataset
    from edgeseg.measure.evaluate import evaluate

    dataset = open_dataset(data, split, layout)
    preprocessing = {k: v for k, v in (("resize", resize), ("mean", mean), ("std", std)) if v is not None}
    path, segment, names, _ = open_segment(model, threads=threads, delegate=delegate, labels=labels, **preprocessing)
    check_classes(path, names, dataset)
    with progress_bar() as progress:
        scores = evaluate(segment, dataset, limit=limit, advance=advancing(progress, f"scoring {path.name}"))
    width = max(map(len, scores.class_iou))
    for name, iou in scores.class_iou.items():
        console.print(f"  {name:<{width}}  {'not present' if iou != iou else f'{iou:.4f}'}")
    console.print(f"mIoU {scores.miou:.4f}, pixel accuracy {scores.pixel_accuracy:.4f} on {scores.images} images")
    emit(
        {
            "model": str(path),
            "dataset": dataset.name,
            "split": split,
            "miou": scores.miou,
            "pixel_accuracy": scores.pixel_accuracy,
            "class_iou": scores.class_iou,
            "images": scores.images,
        },
        json,
    )
