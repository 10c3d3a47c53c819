"""`edgeseg eval`: accuracy on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgeseg.cli.options import MEAN_HELP, STD_HELP, OrderOption
from edgeseg.cli.output import JsonOption, advancing_each, console, emit, progress_bar


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
    limit: Annotated[int | None, typer.Option(help="Score only so many images, evenly spread.", min=1)] = None,
    labels: Annotated[str | None, typer.Option(help="Class names of a file without a card: a file, or voc ...")] = None,
    resize: Annotated[str | None, typer.Option(help="stretch or letterbox, for a file without a card.")] = None,
    mean: Annotated[str | None, typer.Option(help=MEAN_HELP)] = None,
    std: Annotated[str | None, typer.Option(help=STD_HELP)] = None,
    order: OrderOption = None,
    refine: Annotated[
        str | None, typer.Option(help="'crf': sharpen the label maps by the image's colours (dense CRF).")
    ] = None,
    map_classes: Annotated[
        Path | None, typer.Option(help="A YAML or JSON file, network's class: data's class (or null), one a line.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Score this one, too, and tell whether they differ for sure.")
    ] = None,
    boundary: Annotated[
        bool, typer.Option("--boundary", help="Score the classes' boundaries, within 2 pixels.")
    ] = False,
    ece: Annotated[bool, typer.Option("--ece", help="Measure how far confidence is from accuracy.")] = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the scores of each image there.")] = None,
    worst: Annotated[int, typer.Option(metavar="N", help="Name the N worst images.", min=0)] = 0,
    overlays: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the worst images there, beside labels and prediction.")
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
      edgeseg eval street --data camvid --boundary --csv street.csv --worst 5 --overlays worst
      edgeseg eval new.tflite --data camvid --against old.tflite
      edgeseg eval aerial --data yard --map-classes map.yaml
    """  # noqa: D301
    from edgeseg.cli.evaluate_text import as_json, show, write_files
    from edgeseg.cli.models_option import open_segmenter, told_preprocessing
    from edgeseg.data.importing.classes import read_class_map
    from edgeseg.data.layouts import open_dataset
    from edgeseg.errors import UsageError
    from edgeseg.scoring.detail import score_in_detail
    from edgeseg.scoring.record import record_score

    apart = {"--refine": refine, "--map-classes": map_classes, "--resize": resize, "--mean": mean, "--std": std,
             "--order": order, "--labels": labels}  # fmt: skip
    if record and (flags := [flag for flag, value in apart.items() if value is not None]):
        raise UsageError(
            f"--record with {flags[0]}: the card tells what the network scores as the card says, leave one out"
        )
    if overlays and not worst:
        raise UsageError("--overlays without --worst: say of how many images, such as --worst 5")
    if ece and refine:
        raise UsageError("--ece with --refine: the refiner gives no probabilities, leave one out")
    opening: dict[str, Any] = {
        "threads": threads, "delegate": delegate, "size": size, "labels": labels,
        "preprocessing": told_preprocessing(resize, mean, std, order),
    }  # fmt: skip
    segmenter = open_segmenter(model, **opening)
    dataset, names = open_dataset(data, split, layout), read_class_map(map_classes) if map_classes else None
    with progress_bar() as progress:
        advance = advancing_each(progress, f"scoring {segmenter.name}", f"scoring {against}")
        scored = score_in_detail(
            segmenter, dataset, class_map=names, refine=refine, boundary=boundary, ece=ece, limit=limit, advance=advance
        )
        other = None
        if against is not None:
            rival = open_segmenter(against, **opening)
            other = score_in_detail(
                rival, dataset, class_map=names, refine=refine, boundary=boundary, ece=ece, limit=limit, advance=advance
            )
    show(scored, other, worst)
    write_files(scored, csv, worst, overlays)
    if record:
        record_score(Path(segmenter.name), scored.scores)
        console.print(f"recorded in the card of {segmenter.name}", soft_wrap=True)
    emit(as_json(scored, other, worst), json)
