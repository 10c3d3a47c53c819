"""`edgeseg inspect`: what is in a `.tflite` file, and where it will run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from edgeseg.cli.output import JsonOption, console, emit


def command(
    file: Annotated[str, typer.Argument(metavar="MODEL", help="Zoo name, model folder or .tflite file.")],
    edgetpu: Annotated[bool, typer.Option("--edgetpu", help="Say for the Edge TPU why, where and what to do.")] = False,
    multiple_subgraphs: Annotated[
        bool, typer.Option("--multiple-subgraphs", help="Predict for the compiler's option -a.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="List every operator.")] = False,
    json: JsonOption = None,
) -> None:
    """Show what is in a .tflite file: operators, tensors, cost, and where each operator will run.

    Nothing is run and no TensorFlow is needed. What is said of the Edge TPU is a prediction of its compiler.

    \b
    Examples:
      edgeseg inspect model.tflite
      edgeseg inspect camvid
      edgeseg inspect model.tflite --edgetpu
      edgeseg inspect model.tflite --all --json model.json
    """  # noqa: D301
    from edgeseg.measure.inspection import inspect

    result = inspect(file, multiple_subgraphs=multiple_subgraphs)
    show(result, edgetpu=edgetpu or multiple_subgraphs, every=every)
    emit(result, json)


def show(result: dict[str, Any], *, edgetpu: bool, every: bool) -> None:
    """Prints a file's summary for people.

    Args:
        result: What `edgeseg.inspect` returned.
        edgetpu: Print reasons and remedies for the Edge TPU.
        every: Print a line for every operator, not for every kind.
    """
    from edgeseg.cli import inspect_text as text

    for part in text.head(result):
        console.print(part, soft_wrap=True)
    console.print(text.operators(result) if every else text.kinds(result))
    for part in text.verdicts(result, edgetpu=edgetpu):
        console.print(part, soft_wrap=True)
