"""`edgeseg data view`: a data set's labels laid over its images, to look through."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.cli.output import JsonOption, advancing, console, emit, progress_bar


def command(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the data set.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for one JPEG an image.", show_default=False)],
    split: Annotated[str, typer.Option(help="Split to show.")] = "train",
    layout: Annotated[str, typer.Option(help="Data set layout, recognised by its folders if auto.")] = "auto",
    limit: Annotated[int | None, typer.Option(min=1, help="Show only so many images, evenly spread.")] = None,
    opacity: Annotated[float, typer.Option(min=0, max=1, help="Share of the classes' colours.")] = 0.5,
    json: JsonOption = None,
) -> None:
    """Lay a data set's labels over its images: each becomes a JPEG under its own name; ignored pixels stay plain.

    \b
    Examples:
      edgeseg data view yard -o look
      edgeseg data view camvid -o look --split val --limit 20 --opacity 0.7
    """  # noqa: D301
    from edgeseg.data.layouts import open_dataset
    from edgeseg.report.images import view_set

    dataset = open_dataset(data, split, layout)
    with progress_bar() as progress:
        written = view_set(dataset, out, limit=limit, opacity=opacity, advance=advancing(progress, "images"))
    for name, (red, green, blue) in zip(dataset.labels.names, dataset.labels.colors, strict=True):
        console.print(f"[rgb({red},{green},{blue})]██[/] {name}  #{red:02x}{green:02x}{blue:02x}", highlight=False)
    console.print(f"{out}: {len(written)} of {len(dataset)} images of {dataset.name}/{dataset.split}", soft_wrap=True)
    emit({"files": list(map(str, written)), "classes": list(dataset.labels.names)}, json)
