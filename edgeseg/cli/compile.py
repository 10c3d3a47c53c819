"""`edgeseg compile`: runs Google's Edge TPU compiler and keeps the card."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from edgeseg.cli.output import JsonOption, console, emit


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An int8 .tflite file.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Folder of the result; beside FILE by default.")
    ] = None,
    compiler: Annotated[
        Path | None,
        typer.Option("--compiler", metavar="PATH", help="edgetpu_compiler; by default $EDGETPU_COMPILER or on PATH."),
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Time limit, seconds.")] = 180.0,
    multiple_subgraphs: Annotated[
        bool, typer.Option("--multiple-subgraphs", help="Keep every part the Edge TPU can run (-a), not the first.")
    ] = False,
    json: JsonOption = None,
) -> None:
    """Compile an int8 .tflite file for the Edge TPU, with Google's edgetpu_compiler.

    The result is FILE's name with _edgetpu, its card inside, and the compiler's log. What the compiler did is compared
    with what edgeseg predicts; `edgeseg inspect --edgetpu` predicts without the compiler.

    \b
    Examples:
      edgeseg compile model.tflite
      edgeseg compile model.tflite -o compiled --timeout 600
      edgeseg compile model.tflite --compiler ~/edgetpu_compiler --json
    """  # noqa: D301
    from edgeseg.tflite.edgetpu.compiler import compile_model

    done = compile_model(file, out, compiler=compiler, timeout_s=timeout, multiple_subgraphs=multiple_subgraphs)
    report, differences = done.report, done.differences
    result: dict[str, Any] = {
        "file": str(done.file),
        "log": str(done.log),
        "compiler_version": report.compiler_version,
        "mapped": report.mapped,
        "cpu": report.cpu,
        "subgraphs": report.subgraphs,
        "on_chip_bytes": report.on_chip_bytes,
        "on_chip_remaining_bytes": report.on_chip_remaining_bytes,
        "off_chip_bytes": report.off_chip_bytes,
        "compile_ms": report.milliseconds,
        "operators": [dataclasses.asdict(row) for row in report.rows],
        "predicted": {"mapped": done.prediction.mapped, "cpu": done.prediction.cpu},
        "differences": [dataclasses.asdict(difference) for difference in differences],
    }
    _show(result)
    emit(result, json)


def _show(result: dict[str, Any]) -> None:
    from rich.markup import escape

    from edgeseg.cli.inspect_text import size

    console.print(f"[bold]{escape(result['file'])}[/]  by compiler {result['compiler_version']}")
    console.print(f"  {result['mapped']} operators on the Edge TPU, {result['cpu']} on the CPU")
    if result["on_chip_bytes"] is not None:
        streamed = size(result["off_chip_bytes"] or 0)
        console.print(f"  parameters: {size(result['on_chip_bytes'])} on the chip, {streamed} streamed for every frame")
    for row in result["operators"]:
        console.print(f"  {row['op']:24} {row['count']:4}  {escape(row['status'])}")
    if not result["mapped"]:
        console.print("[yellow]nothing runs on the Edge TPU: edgeseg inspect --edgetpu says why[/]")
    if not result["differences"]:
        console.print("  as predicted, operator by operator")
    for difference in result["differences"]:
        where = "the Edge TPU" if difference["mapped"] else "the CPU"
        console.print(f"[yellow]  not as predicted: {difference['op']} {difference['index']} is on {where}[/]")
