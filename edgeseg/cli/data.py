"""`edgeseg data`: making data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.cli import data_check, data_import, data_view
from edgeseg.cli.output import JsonOption, advancing, console, emit, progress_bar

app = typer.Typer(help="Make, import and look at data sets.", no_args_is_help=True)
app.command("import")(data_import.command)
app.command("check")(data_check.command)
app.command("view")(data_view.command)


@app.callback()
def _group() -> None:
    pass


@app.command("synth")
def synth(
    out: Annotated[Path, typer.Argument(help="Folder to write; made if missing.")],
    count: Annotated[
        int, typer.Option(min=0, help="Images of the split; with both, of train (val gets a fifth).")
    ] = 1000,
    size: Annotated[str, typer.Option(metavar="HxW", help="Height x width of the images.")] = "256x320",
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes other worlds.")] = 0,
    split: Annotated[
        str | None, typer.Option(help="train, val or both, which it is if not given. Splits share no world.")
    ] = None,
    flight: Annotated[
        Path | None, typer.Option(metavar="VIDEO", help="Also write a flight over one world as a video (.mp4, .avi).")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Length of the flight, at 30 frames a second; 300 if not given.")
    ] = None,
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
    from edgeseg.data.synthetic_set import Written, write_flight, write_set
    from edgeseg.errors import UsageError, unknown_name
    from edgeseg.synth import aerial

    height, width = parse_size(size)
    if frames is not None and flight is None:
        raise UsageError(f"--frames {frames} without --flight: name the video to write, or leave it out")
    if split is not None and not count:
        raise UsageError(f"--split {split} with --count 0: there is no image to put into a split, leave one out")
    if split not in (*aerial.SPLITS, "both", None):
        raise unknown_name("split", split or "", (*aerial.SPLITS, "both"))
    counts = {"train": count, "val": -(-count // 5)} if split in ("both", None) else {str(split): count}
    with progress_bar() as progress:
        if count or flight is None:
            done = write_set(
                out,
                counts,
                seed=seed,
                height=height,
                width=width,
                workers=workers,
                advance=advancing(progress, "images"),
            )
            console.print(
                f"{out}: {done.written} images written, {done.kept} were there; {', '.join(aerial.LABELS.names)}"
            )
        else:  # the flight alone
            done = Written(written=0, kept=0)
        if flight is not None:
            write_flight(
                flight,
                frames or 300,
                seed=seed,
                height=height,
                width=width,
                workers=workers,
                advance=advancing(progress, "flight"),
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
            "classes": list(aerial.LABELS.names),
            "flight": None if flight is None else str(flight),
        },
        json,
    )


@app.command("manifest")
def manifest(
    out: Annotated[Path, typer.Argument(metavar="FILE.json", help="The manifest; its name becomes the set's.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder that the images lie under; the synthetic set if not given.")
    ] = None,
    images: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Which images under the folder; all if not given.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many, evenly spaced.")] = 100,
    licence: Annotated[str, typer.Option(help="Terms of the images.")] = "",
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Size of synthetic images; 256x320 if not given.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of synthetic images; 0 if not given.")] = None,
    json: JsonOption = None,
) -> None:
    """Writes the manifest of a calibration set: which images, pinned by digests.

    \b
    Examples:
      edgeseg data manifest calibration/yard.json --data photos --images "2024/*.jpg" --licence CC-BY-4.0
      edgeseg data manifest calibration/aerial.json --count 200 --seed 7
    """  # noqa: D301
    from edgeseg.cli.options import parse_size
    from edgeseg.data.calibration import files_manifest, spaced, synthetic_manifest
    from edgeseg.data.dataset import check_folder
    from edgeseg.errors import DataError, UsageError
    from edgeseg.files import write_json
    from edgeseg.image import IMAGE_SUFFIXES

    if out.suffix != ".json":
        raise UsageError(f"manifest {out}: expected a name that ends in .json")
    if data is None:
        if images is not None:
            raise UsageError(f"--images {images} without --data: name the folder that the images lie under")
        rendered = parse_size(size or "256x320")
        written = synthetic_manifest(out.stem, seed or 0, count, rendered, licence or "rendered, free of rights")
    else:
        if size is not None or seed is not None:
            raise UsageError("--size and --seed are of synthetic images, and --data names others: leave them out")
        root, pattern = check_folder(data), images or "**/*"
        files = [path for path in sorted(root.glob(pattern)) if path.suffix.lower() in IMAGE_SUFFIXES]
        if not files:
            raise DataError(f"{root} has no images that match '{pattern}': expected at least one")
        written = files_manifest(out.stem, root, spaced(files, count), licence)
    write_json(out, written)
    console.print(f"{out}: {written['kind']}, digest {written['digest'][:12]}")
    emit({"file": str(out), "kind": written["kind"], "digest": written["digest"]}, json)
