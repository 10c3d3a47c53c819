"""`edgeseg bench`: latency of model files on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from edgeseg.cli.options import DelegateOption
from edgeseg.cli.output import JsonOption, advancing, console, emit, progress_bar


def command(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Zoo names, model folders or .tflite files.")],
    threads: Annotated[int, typer.Option("--threads", metavar="N", help="CPU threads for inference.")] = 1,
    delegate: DelegateOption = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="HxW", help="Input size of networks that take any.")
    ] = None,
    runs: Annotated[int, typer.Option("--runs", metavar="N", help="Inferences of each model, at least.")] = 50,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="Seconds of each model, at least.")] = 1.0,
    warmup: Annotated[float, typer.Option("--warmup", metavar="S", help="Seconds that do not count.")] = 0.5,
    json_to: JsonOption = None,
) -> None:
    """Measure the latency of model files on this machine.

    Several models take turns within one run, and the table gives their ratios to the first: those hold even where
    the machine is busy. Figures that the machine disturbed are marked, with the reason.

    \b
    Examples:
      edgeseg bench model.tflite
      edgeseg bench float32.tflite int8.tflite --threads 2
      edgeseg bench model.tflite --json bench.json
    """  # noqa: D301
    from rich.table import Table

    from edgeseg.cli.options import parse_size
    from edgeseg.measure.benchmark import as_json, benchmark

    with progress_bar() as progress:
        results = benchmark(
            models,
            threads=threads,
            delegate=delegate,
            size=parse_size(size) if size else None,
            min_runs=runs,
            min_seconds=seconds,
            warmup_seconds=warmup,
            advance=advancing(progress, "measuring"),
        )
    for number, result in enumerate(results, 1):
        console.print(f"{number}: {result.model}", soft_wrap=True, markup=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("", "p50 ms", "p90", "p99", "mean", "min", "ratio", "init", "first", "RSS MB", "runs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, result in enumerate(results, 1):
        latency, startup = result.latency_ms, result.startup
        figures = (latency.p50, latency.p90, latency.p99, latency.mean, latency.min, result.ratio)
        table.add_row(
            str(number),
            *(f"{figure:.2f}" for figure in figures),
            f"{startup.init_ms:.1f}",
            f"{startup.first_ms:.1f}",
            f"{startup.peak_rss_bytes / 1e6:.0f}",
            str(result.runs),
        )
    console.print(table)
    first = results[0]
    host, (rows, columns) = first.host, first.frame_size
    console.print(
        f"{host.cpu or 'unknown processor'} ({host.machine}), {host.cores} cores; "
        f"{threads} thread{'s' * (threads > 1)}, {first.delegate}; "
        f"a {rows}x{columns} frame in {first.preprocess_ms:.2f} ms, a label map out {first.postprocess_ms:.2f} ms",
        soft_wrap=True,
    )
    for reason in dict.fromkeys(reason for result in results for reason in result.noise):
        console.print(f"noisy: {reason}", soft_wrap=True, markup=False)
    emit(as_json(first) if len(results) == 1 else {"results": [as_json(result) for result in results]}, json_to)
