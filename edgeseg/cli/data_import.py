"""`edgeseg data import`: what labelling tools export, made a plain folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.cli.output import JsonOption, advancing, console, emit, progress_bar

if TYPE_CHECKING:
    from edgeseg.data.importing.run import Imported


def command(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="What a labelling tool exported: folder, .zip or file.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder to make: images/, labels/, labels.json.")],
    format: Annotated[str, typer.Option("--format", help="The format, recognised by its files if auto.")] = "auto",
    classes: Annotated[
        Path | None,
        typer.Option(metavar="MAP", help="YAML or JSON: 'lane: road' renames or merges, 'tree: null' drops."),
    ] = None,
    unlabelled: Annotated[
        str, typer.Option(help="What pixels without annotation become: a class background, or ignore.")
    ] = "background",
    splits: Annotated[
        str | None, typer.Option(metavar="SHARES", help="Draw new splits, such as train=0.8,val=0.1,test=0.1.")
    ] = None,
    split_names: Annotated[
        list[str] | None, typer.Option(metavar="SPLIT=NAMES", help="Split by file name: 'val=*_night_*'. Repeatable.")
    ] = None,
    at_random: Annotated[
        bool, typer.Option("--at-random", help="Draw image by image, even if frames of one scene are parted.")
    ] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of drawn splits; 0 if not given.")] = None,
    json: JsonOption = None,
) -> None:
    """Import a labelled set: COCO, Labelme, CVAT, Label Studio, Supervisely, Roboflow, YOLO, VOC, masks of all kinds.

    The set's own splits are kept. Where it has none, a fifth of the images becomes val, scene by scene.

    \b
    Examples:
      edgeseg data import labelme_photos yard
      edgeseg data import coco yard --unlabelled ignore --classes map.yaml
      edgeseg data import photos yard --splits train=0.7,val=0.2,test=0.1 --seed 3
      edgeseg data import photos yard --split-names "val=flight2_*"
    """  # noqa: D301
    from edgeseg.data.importing.classes import read_class_map
    from edgeseg.data.importing.run import import_set
    from edgeseg.data.importing.splits import SplitOptions, parse_pattern, parse_shares
    from edgeseg.errors import unknown_name

    if unlabelled not in ("background", "ignore"):
        raise unknown_name("use of unlabelled pixels", unlabelled, ("background", "ignore"))
    options = SplitOptions(
        shares=parse_shares(splits) if splits else (),
        patterns=tuple(map(parse_pattern, split_names or ())),
        by_scene=not at_random,
        seed=seed,
    )
    with progress_bar() as progress:
        done = import_set(
            source,
            out,
            format=format,
            class_map=read_class_map(classes) if classes else None,
            unlabelled="ignore" if unlabelled == "ignore" else "background",
            splits=options,
            advance=advancing(progress, "images"),
        )
    tell(out, done)
    emit(
        {
            "out": str(out),
            "format": done.format,
            "read": done.images,
            "splits": done.splits,
            "classes": done.classes,
            "unlabelled": done.unlabelled,
            "unlabelled_as": done.unlabelled_as,
            "overlap": done.overlap,
            "dropped": [{"what": d.what, "why": d.why, "count": d.count, "example": d.example} for d in done.dropped],
            "warnings": list(done.warnings),
        },
        json,
    )


def tell(out: Path, done: Imported) -> None:
    """Prints what was read, what was dropped and why, and what to do next."""

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, markup=False)

    splits = ", ".join(f"{count} {name}" for name, count in done.splits.items())
    say(f"{out}: {done.images} images read as {done.format} ({splits})")
    total = max(1, sum(entry["pixels"] for entry in done.classes.values()))
    width = max(map(len, done.classes))
    for name, entry in done.classes.items():
        say(f"  {name:<{width}}  {100 * entry['pixels'] / total:6.2f} % of the pixels, {entry['pictures']} images")
    as_what = "the class background" if done.unlabelled_as == "background" else "ignored"
    if done.unlabelled:
        say(f"  without annotation: {100 * done.unlabelled:.2f} % of the pixels, now {as_what} (--unlabelled)")
    say(f"  overlaps: {done.overlap}")
    for dropped in done.dropped:
        say(f"  left out: {dropped.count} x {dropped.what}: {dropped.why} (such as {dropped.example})")
    for warning in done.warnings:
        say(f"  look: {warning}")
    say(f"next: edgeseg data check {out}; edgeseg train --data {out} --out runs/{out.name}")
