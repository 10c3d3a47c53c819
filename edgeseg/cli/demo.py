"""`edgeseg demo`: the whole loop on the model that ships."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from edgeseg.cli.output import console


def command(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything the demo writes.")] = Path("out/demo"),
    images: Annotated[int, typer.Option(min=1, help="Images to score the files on.")] = 60,
    frames: Annotated[int, typer.Option(min=1, help="Frames of the flight.")] = 150,
) -> None:
    """Show the whole loop: render a drone's flight, quantize the shipped network, fly, measure, report.

    Each step is a command that you can run yourself; it is printed before it runs. No camera, data set or network
    connection is needed.

    \b
    Examples:
      edgeseg demo
      edgeseg demo --out /somewhere/else --frames 600
    """  # noqa: D301
    from edgeseg.files import ensure_folder

    ensure_folder(out)
    began = time.monotonic()
    for words in steps(out, images, frames):
        run_step(context, words)
    console.print(f"\nThe whole loop took {time.monotonic() - began:.0f} s. Look at")
    for what, path in (
        ("the flight with its segmentation", out / "overlay.mp4"),
        ("accuracy against latency", out / "report" / "report.html"),
        ("the file for your device", out / "aerial_int8.tflite"),
    ):
        console.print(f"  {path}  {what}", soft_wrap=True)


def steps(out: Path, images: int, frames: int) -> list[list[str]]:
    """Returns the demo's commands, each as the words after `edgeseg`.

    The images and the flight are worlds that the network was not trained on: its training used seed 0.
    """
    data, flight, overlay = str(out / "data"), str(out / "flight.mp4"), str(out / "overlay.mp4")
    int8, float32 = str(out / "aerial_int8.tflite"), str(out / "aerial_float32.tflite")
    synth, seed = ["data", "synth", data], ["--seed", "4"]
    return [
        [*synth, "--count", str(images), "--split", "val", "--size", "256x320", *seed],
        [*synth, "--count", "0", "--flight", flight, "--frames", str(frames), "--size", "480x640", *seed],
        ["convert", "aerial", "--int8", "--calibration", "synthetic:60", "-o", int8],
        ["convert", "aerial", "--float32", "--calibration", "synthetic:10", "-o", float32],
        ["inspect", int8],
        ["run", int8, "--source", flight, "--record", overlay, "--legend", "--sharp", "--headless",
         "--stats", str(out / "stats.json")],
        ["report", float32, int8, "--data", data, "--split", "val", "-o", str(out / "report")],
    ]  # fmt: skip


def run_step(context: typer.Context, words: list[str]) -> None:
    """Prints a command line and runs it in this process, as the program that runs this command would."""
    console.print(f"\n[bold]$ edgeseg {shlex.join(words)}[/bold]", soft_wrap=True)
    context.find_root().command.main(args=words, prog_name="edgeseg", standalone_mode=False)
