"""`edgeseg eval`: accuracy on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.cli.options import MEAN_HELP, STD_HELP, OrderOption
from edgeseg.cli.output import JsonOption, advancing, console, emit, progress_bar

if TYPE_CHECKING:
    from edgeseg.scoring.evaluate import Evaluation


def command(
    model: Annotated[
        str, typer.Argument(help="Zoo name, model folder, .keras/.h5 or .tflite file.", show_default=False)
    ],
    data: Annotated[Path, typer.Option(help="Folder of the data set.", show_default=False)],
    split: Annotated[str, typer.Option(help="Split to score.")] = "val",
    layout: Annotated[str, typer.Option(help="Data set layout, recognised by its folders if auto.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads for inference; 1 if not given.", min=1)] = None,
    delegate: Annotated[
        str | None, typer.Option(help="edgetpu, xnnpack, none, reference, or a library's path.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Input size, height x width, of a network that takes any.")] = None,
    limit: Annotated[int | None, typer.Option(help="Score only so many pictures, evenly spread.", min=1)] = None,
    labels: Annotated[str | None, typer.Option(help="Class names of a file without a card: a file, or voc ...")] = None,
    resize: Annotated[str | None, typer.Option(help="stretch or letterbox, for a file without a card.")] = None,
    mean: Annotated[str | None, typer.Option(help=MEAN_HELP)] = None,
    std: Annotated[str | None, typer.Option(help=STD_HELP)] = None,
    order: OrderOption = None,
    refine: Annotated[
        str | None, typer.Option(help="'crf': sharpen the label maps by the picture's colours (dense CRF).")
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Write the score into the card of MODEL's file.")] = False,
    json: JsonOption = None,
) -> None:
    """Score a Keras network or a .tflite file on a data set, at the size of its label maps.

    \b
    Examples:
      edgeseg eval camvid --data camvid --split val
      edgeseg eval runs/camvid/model.keras --data camvid
      edgeseg eval camvid_int8.tflite --data camvid --threads 4 --json scores.json
      edgeseg eval camvid_int8.tflite --data camvid --record
      edgeseg eval camvid_int8.tflite --data camvid --refine crf
    """  # noqa: D301
    from edgeseg.cli.models_option import open_segmenter, refined, told_preprocessing
    from edgeseg.data.layouts import open_dataset
    from edgeseg.errors import UsageError
    from edgeseg.refine.refiners import open_refiner
    from edgeseg.scoring.evaluate import check_classes, evaluate

    if record and refine:
        raise UsageError("--record with --refine: the card tells what the network scores on its own, leave one out")
    dataset = open_dataset(data, split, layout)
    seconds: list[float] = []
    refiner = open_refiner(refine, seconds)
    segmenter = open_segmenter(
        model, threads=threads, delegate=delegate, size=size, labels=labels,
        preprocessing=told_preprocessing(resize, mean, std, order),
    )  # fmt: skip
    path = Path(segmenter.name)
    check_classes(segmenter, dataset)
    segment = segmenter if refiner is None else refined(segmenter, refiner)
    with progress_bar() as progress:
        scores = evaluate(segment, dataset, limit=limit, advance=advancing(progress, f"scoring {path.name}"))
    width = max(map(len, scores.class_iou))
    for name, iou in scores.class_iou.items():
        console.print(f"  {name:<{width}}  {'not present' if iou != iou else f'{iou:.4f}'}")
    console.print(
        f"mIoU {scores.miou:.4f}, pixel accuracy {scores.pixel_accuracy:.4f} on {scores.images} images", soft_wrap=True
    )
    refine_ms = 1000 * sum(seconds) / len(seconds) if seconds else None
    if refine_ms is not None:
        console.print(f"refined by {refine}: {refine_ms:.0f} ms an image")
    if record:
        record_score(path, scores)
    emit(
        {
            "model": str(path),
            "dataset": dataset.name,
            "split": split,
            "miou": scores.miou,
            "pixel_accuracy": scores.pixel_accuracy,
            "class_iou": scores.class_iou,
            "images": scores.images,
            "refine": refine,
            "refine_ms": refine_ms,
        },
        json,
    )


def record_score(path: Path, scores: Evaluation) -> None:
    """Writes a score into the card of a model's file, in place of an earlier one on the same split.

    Raises:
        UsageError: The file has no card.
    """
    from dataclasses import replace

    from edgeseg.card_file import read_model, write_model
    from edgeseg.errors import UsageError

    content, card = read_model(path)
    if card is None:
        raise UsageError(f"--record: {path} has no card to write into; convert the network with edgeseg")
    others = tuple(s for s in card.scores if (s.dataset, s.split) != (scores.dataset, scores.split))
    write_model(path, content, replace(card, scores=(scores.score, *others)))
    console.print(f"recorded in the card of {path}", soft_wrap=True)
