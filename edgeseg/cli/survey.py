"""`edgeseg survey`: large images and orthomosaics, tile by tile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.cli.output import JsonOption, advancing_steps, console, emit, progress_bar
from edgeseg.errors import UsageError

if TYPE_CHECKING:
    from edgeseg.surveying.records import Survey


def command(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SRC...", help="GeoTIFFs, images, or folders of them.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the results; a survey that was stopped goes on.")
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Zoo name, model folder, .keras or .tflite file.")
    ] = "aerial",
    overlap: Annotated[float, typer.Option(help="Share of a tile that its neighbour sees, too, 0 to 0.5.")] = 0.25,
    scale: Annotated[float, typer.Option(help="Pixels of the image that the network sees as one.")] = 1.0,
    resolution: Annotated[
        float | None, typer.Option(metavar="METRES", help="In place of --scale: what the network sees as one pixel.")
    ] = None,
    gsd: Annotated[
        float | None, typer.Option(metavar="METRES", help="What a pixel measures, if the image does not tell.")
    ] = None,
    bands: Annotated[
        str | None, typer.Option(help="Bands of a GeoTIFF: red,green,blue, one, or as many as the network takes.")
    ] = None,
    value_range: Annotated[
        str | None, typer.Option("--range", metavar="LOW,HIGH", help="Values of a GeoTIFF that become 0 and 255.")
    ] = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Also write the classes' colours over the image.")] = False,
    polygons: Annotated[bool, typer.Option("--polygons", help="Also write the regions' outlines as GeoJSON.")] = False,
    min_area: Annotated[
        float, typer.Option(min=0, help="Leave out polygons below so many square metres (pixels without metres).")
    ] = 0.0,
    labels: Annotated[str | None, typer.Option(help="Class names of a file without a card: a file, or voc ...")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads of each worker; 1 if not given.", min=1)] = None,
    delegate: Annotated[
        str | None, typer.Option(help="edgetpu, xnnpack, none, reference, or a library's path.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the images, by Ray if several.")] = 1,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster that shares the files, such as auto or ray://head:10001.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew in a folder that holds a survey.")] = False,
    json: JsonOption = None,
) -> None:
    """Segment orthomosaics and large photos tile by tile: label maps, polygons, and areas in square metres.

    Of a GeoTIFF (pip install "edgeseg[geo]") the label map is one, too, in the same place. The network sees pixels
    as they are: --scale or --resolution brings them to the size that it has learnt.

    \b
    Examples:
      edgeseg survey field.tif -o field --polygons --min-area 1
      edgeseg survey ortho.tif -o out --model drone --resolution 0.03 --overlay
      edgeseg survey photos/ -o out --gsd 0.02 --workers 8
      edgeseg survey photos/ -o out --workers 64 --address auto
    """  # noqa: D301
    from edgeseg import zoo
    from edgeseg.cli.quiet import quiet_tensorflow
    from edgeseg.runtime.labels import load_labels
    from edgeseg.surveying.options import SurveyOptions
    from edgeseg.surveying.survey import survey

    options = SurveyOptions(
        overlap=overlap,
        scale=scale,
        resolution=resolution,
        gsd=gsd,
        bands=parse_bands(bands),
        value_range=parse_range(value_range),
        overlay=overlay,
        polygons=polygons,
        min_area=min_area,
    )
    if zoo.resolve(Path(model), kind="any").suffix in zoo.FLOAT_SUFFIXES:
        quiet_tensorflow()
    with progress_bar() as progress:
        found = survey(
            sources,
            out,
            model,
            options=options,
            labels=load_labels(labels) if labels else None,
            threads=threads,
            delegate=delegate,
            workers=workers,
            address=address,
            overwrite=overwrite,
            progress=advancing_steps(progress),
        )
    show(found, out)
    emit({"out": str(out), **found.as_json()}, json)


def parse_bands(text: str | None) -> tuple[int, ...] | None:
    """Reads "1,2,3"."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--bands {text}: expected their numbers, such as 1,2,3") from error


def parse_range(text: str | None) -> tuple[float, float] | None:
    """Reads "0,3000"."""
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--range {text}: expected the lowest and the highest value, such as 0,3000") from error
    return low, high


def show(found: Survey, out: Path) -> None:
    """Says what was found, for people."""

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, markup=False)

    kept = f", {found.kept} of them by an earlier run" if found.kept else ""
    count = len(found.images)
    say(f"{out}: {count} image{'' if count == 1 else 's'}{kept}; areas.csv and summary.json tell all")
    for image in found.images if count == 1 else ():
        say(f"  {image.height} x {image.width} pixels, {image.scale:g} of them seen as one; {image.measured}")
    pixels, areas, total = found.pixels, found.areas, max(1, sum(found.pixels.values()))
    width = max(map(len, pixels), default=0)
    for name in sorted(pixels, key=lambda name: -pixels[name]):
        area = f"  {areas[name]:,.1f} m²" if areas is not None else ""
        say(f"  {name:<{width}}  {100 * pixels[name] / total:6.2f} %{area}")
