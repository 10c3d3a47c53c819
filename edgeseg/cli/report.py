"""`edgeseg report`: accuracy against latency of several models."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.cli.output import JsonOption, advancing_steps, console, emit, progress_bar
from edgeseg.recipes import RECIPES

if TYPE_CHECKING:
    from edgeseg.data.dataset import Dataset
    from edgeseg.report.results import Report


def command(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Zoo names and model folders, of which all files, or .tflite files."),
    ],
    data: Annotated[Path, typer.Option(help="Folder of the data set.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for report.html, .md, .svg, .csv and .json.")],
    split: Annotated[str, typer.Option(help="Split to score.")] = "val",
    layout: Annotated[str, typer.Option(help="Data set layout, recognised by its folders if auto.")] = "auto",
    limit: Annotated[int | None, typer.Option(help="Score only so many images, evenly spread.", min=1)] = None,
    threads: Annotated[int, typer.Option(help="CPU threads for inference.", min=1)] = 1,
    delegate: Annotated[
        str | None, typer.Option(help="edgetpu, xnnpack, none, reference, or a library's path.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Input size, height x width, of networks that take any.")] = None,
    labels: Annotated[str | None, typer.Option(help="Class names of files without a card: a file, or voc ...")] = None,
    examples: Annotated[int, typer.Option(help="Images to show.", min=0)] = 3,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Chart the quantization noise of int8 files beside their Keras network."),
    ] = False,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Score all models again, also those that an earlier report has scored.")
    ] = False,
    json: JsonOption = None,
) -> None:
    """Score and time models, and write the comparison as HTML, Markdown, SVG, CSV and JSON.

    Scores are kept in OUT: a report that was stopped, or gets one model more, scores only what is new.

    \b
    Examples:
      edgeseg report camvid --data camvid -o out/report
      edgeseg report float32.tflite int8.tflite --data camvid --split test -o out/report --threads 4
      edgeseg report street street-fast --data camvid --explain -o out/report
      edgeseg report models/*/ --data camvid --limit 20 -o out/report
    """  # noqa: D301
    if explain:
        from edgeseg.cli.quiet import quiet_tensorflow

        quiet_tensorflow()
    from edgeseg.cli.options import parse_size
    from edgeseg.data.layouts import open_dataset
    from edgeseg.files import check_apart, check_writable
    from edgeseg.report.compare import compare
    from edgeseg.report.kept_scores import SCORES_FILE
    from edgeseg.report.record import report_record
    from edgeseg.report.write import write_report

    dataset = open_dataset(data, split, layout)
    check_writable(out)
    folders = {data, *(path.parent for path in (*dataset.images, *dataset.label_maps))}
    check_apart([("the report", out)], [("a folder of the data set", folder) for folder in folders])
    scores = out / SCORES_FILE
    if rescore:
        scores.unlink(missing_ok=True)
    with progress_bar() as progress:
        report = compare(
            models,
            dataset,
            limit=limit,
            threads=threads,
            delegate=delegate,
            size=parse_size(size) if size else None,
            labels=labels,
            examples=examples,
            kept=scores,
            command=_command(
                models, data, out, split, layout, limit, threads, delegate, size, labels, examples, explain
            ),
            advance=advancing_steps(progress),
            notify=lambda line: console.print(line, soft_wrap=True, markup=False),
        )
        if explain:
            report = explained(report, dataset, advancing_steps(progress))
    written = write_report(report, out)
    print_table(report)
    console.print(f"written: {', '.join(map(str, written))}", soft_wrap=True)
    files = [model for model in models if model.endswith(".tflite")]
    if files:
        console.print(f"next: edgeseg run {files[-1]} --camera 0", soft_wrap=True, markup=False)
    emit({"files": list(map(str, written)), **report_record(report)}, json)


def _command(
    models: list[str], data: Path, out: Path, split: str, layout: str, limit: int | None, threads: int,
    delegate: str | None, size: str | None, labels: str | None, examples: int,
    explain: bool,
) -> str:  # fmt: skip
    options = {
        "--data": data, "--split": split, "--layout": layout, "--limit": limit, "--threads": threads,
        "--delegate": delegate, "--size": size, "--labels": labels, "--examples": examples, "--out": out,
    }  # fmt: skip
    given = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    return shlex.join(["edgeseg", "report", *models, *given, *(["--explain"] if explain else [])])


def explained(report: Report, dataset: Dataset, advance: Callable[[str, int, int], None]) -> Report:
    """Adds what quantization costs each integer file whose Keras network lies beside it; says which has none."""
    from edgeseg.conversion.explain import IMAGES, explain
    from edgeseg.errors import ConversionError, ModelFileError
    from edgeseg.report.results import Explained

    numbers = range(0, len(dataset), max(1, len(dataset) // IMAGES))
    images = [dataset.load(number)[0] for number in numbers][:IMAGES]
    added, notes = [], list(report.notes)
    for result in report.results:
        if result.recipe not in RECIPES or not RECIPES[result.recipe].is_integer:
            continue
        step = partial(advance, f"explaining {result.model}")
        try:
            found = explain(Path(result.file), calibration=images, advance=step)
        except (ConversionError, ModelFileError) as error:
            notes.append(f"{result.model} is not explained layer by layer: {error}")
            console.print(notes[-1], soft_wrap=True, markup=False)
            continue
        layers = tuple(layer.record for layer in found.layers)
        told = replace(found, source=f"{dataset.name} {dataset.split}").told
        added.append(Explained(model=result.model, told=told, layers=layers))
    return replace(report, explained=tuple(added), notes=tuple(notes))


def print_table(report: Report) -> None:
    """Prints a report's results, and why the latencies may be off."""
    from rich.table import Table

    from edgeseg.report.figures import megabytes, noise_lines, percent, percent_over_seeds, three_figures
    from edgeseg.report.results import pareto_front

    front = pareto_front(report.results)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("model", "recipe", "mIoU %", "pixel acc. %", "p50 ms", "MB", "best"):
        table.add_column(heading, justify="left" if heading in ("model", "recipe") else "right", overflow="fold")
    for index, r in enumerate(report.results):
        figures = (percent_over_seeds(r), percent(r.pixel_accuracy), three_figures(r.latency_ms), megabytes(r.bytes))
        table.add_row(r.model, r.recipe or "unknown", *figures, "*" if index in front else "")
    console.print(table)
    for line in noise_lines(report):
        console.print(f"noisy: {line}")
