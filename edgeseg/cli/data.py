"""`edgeseg data`: making data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.cli.output import JsonOption, advancing, console, emit, progress_bar

app = typer.Typer(help="Make and look at data sets.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command("synth")
def synth(
    out: Annotated[Path, typer.Argument(help="Folder to write; made if missing.")],
    count: Annotated[
        int, typer.Option(min=0, help="Pictures of the split; with both, of train (val gets a fifth).")
    ] = 1000,
    size: Annotated[str, typer.Option(metavar="HxW", help="Height x width of the pictures.")] = "256x320",
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes other worlds.")] = 0,
    split: Annotated[str, typer.Option(help="train, val or both. Splits share no world.")] = "both",
    flight: Annotated[
        Path | None, typer.Option(metavar="VIDEO", help="Also write a flight over one world as a video (.mp4, .avi).")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Length of the flight, at 30 frames a second.")] = 300,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all processors if not given.")] = None,
    json: JsonOption = None,
) -> None:
    """Writes the synthetic aerial set: drone views with exact label maps, the same for the same seed.

    An interrupted run leaves a valid smaller set; the same command again adds what is missing.

    \b
    Examples:
      edgeseg data synth aerial
      edgeseg data synth aerial --count 3000 --size 240x320 --seed 7
      edgeseg data synth aerial --count 0 --flight flight.mp4 --frames 600 --size 480x640
    """  # noqa: D301
    from edgeseg.cli.options import parse_size
    from edgeseg.data import synthetic
    from edgeseg.data.synthetic_set import write_flight, write_set
    from edgeseg.errors import unknown_name

    height, width = parse_size(size)
    if split not in (*synthetic.SPLITS, "both"):
        raise unknown_name("split", split, (*synthetic.SPLITS, "both"))
    counts = {"train": count, "val": -(-count // 5)} if split == "both" else {split: count}
    with progress_bar() as progress:
        done = write_set(
            out,
            counts,
            seed=seed,
            height=height,
            width=width,
            workers=workers,
            advance=advancing(progress, "pictures"),
        )
        if flight is not None:
            write_flight(
                flight,
                frames,
                seed=seed,
                height=height,
                width=width,
                workers=workers,
                advance=advancing(progress, "flight"),
            )
    console.print(
        f"{out}: {done.written} pictures written, {done.kept} were there; {', '.join(synthetic.LABELS.names)}"
    )
    if flight is not None:
        console.print(f"{flight}: {frames} frames")
    emit(
        {
            "out": str(out),
            "images": counts,
            "written": done.written,
            "kept": done.kept,
            "size": f"{height}x{width}",
            "seed": seed,
            "classes": list(synthetic.LABELS.names),
            "flight": None if flight is None else str(flight),
        },
        json,
    )
