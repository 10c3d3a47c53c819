"""`edgeseg explain`: where an int8 file loses accuracy, layer by layer, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.cli.output import JsonOption, advancing, console, emit, progress_bar

if TYPE_CHECKING:
    from rich.table import Table

    from edgeseg.conversion.noise import LayerNoise

_SHOWN = 12


def command(
    model: Annotated[
        str | None, typer.Argument(help="Zoo name, model folder, or int8 .tflite file; the default model if left out.")
    ] = None,
    float_model: Annotated[
        Path | None,
        typer.Option("--float", help="The Keras network that it was converted from; the one beside it if not given."),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(help="Folder, glob, manifest, or 'synthetic'; the model's own data set's if not given."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of a manifest's files.")] = None,
    images: Annotated[int, typer.Option(min=1, help="Use at most so many images.")] = 10,
    every: Annotated[bool, typer.Option("--all", help="List every layer, in order, not the worst.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the same as a page with a chart.")] = None,
    json: JsonOption = None,
) -> None:
    """Explain what int8 costs: the quantization noise of each layer, worst first, and what to do in words.

    Noise is told as signal to noise in decibels: 40 is an error of 1 % of the values, 20 of 10 %. A layer adds that of
    its weights (of its worst channel alone, too) and of its output; arriving is that of all layers up to it.

    \b
    Examples:
      edgeseg explain
      edgeseg explain camvid --calibration camvid/val
      edgeseg explain mine_int8.tflite --float mine.keras --calibration images/ --all
      edgeseg explain street --calibration camvid/val --html street.html --json street.json
    """  # noqa: D301
    from edgeseg.cli.quiet import quiet_tensorflow
    from edgeseg.files import check_apart, check_writable, write_text

    if html is not None:
        check_writable(html)
        read = [("the model", Path(model))] if model and Path(model).exists() else []
        check_apart([("--html", html)], [*read, *([("the Keras network", float_model)] if float_model else [])])
    quiet_tensorflow()
    from edgeseg.conversion.explain import explain
    from edgeseg.conversion.noise import worst_first
    from edgeseg.report.noise_page import noise_page

    with progress_bar() as progress:
        found = explain(
            model, float_model=float_model, calibration=calibration, data=data, images=images,
            advance=advancing(progress, "measuring"),
        )  # fmt: skip
    shown = list(found.layers) if every else worst_first(found.layers)[:_SHOWN]
    console.print(found.told, soft_wrap=True, markup=False)
    console.print(table(shown))
    advised = [layer for layer in worst_first(found.layers) if layer.advice]
    for layer in advised:
        console.print(f"{layer.name}: {layer.advice}", soft_wrap=True, markup=False)
    if not advised:
        console.print("no layer stands out: what is lost is the sum of many small roundings")
    entries = [layer.record for layer in found.layers]
    if html is not None:
        write_text(html, noise_page(found.card.name, found.told, entries))
        console.print(f"page: {html}", soft_wrap=True, markup=False)
    emit(
        {
            "file": str(found.file),
            "images": found.images,
            "source": found.source,
            "agreement": found.agreement,
            "layers": entries,
        },
        json,
    )


def table(layers: list[LayerNoise]) -> Table:
    """Returns a table with a row for each layer."""
    from rich.markup import escape
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("layer", no_wrap=True, overflow="ellipsis")
    for name in ("adds", "weights", "channel", "output", "arriving", "range", "clipped", "dead"):
        made.add_column(name, justify="right", no_wrap=True)
    for layer in layers:
        made.add_row(
            f"{layer.operator} {escape(layer.name)}",
            f"{layer.own_db:.1f}",
            f"{layer.weights_db:.1f}",
            f"{layer.worst_channel_db:.1f}",
            "logits" if layer.is_logits else f"{layer.output_db:.1f}",
            f"{layer.arriving_db:.1f}",
            f"{layer.low:.3g}..{layer.high:.3g}",
            f"{layer.saturated:.1%}",
            f"{layer.dead}/{layer.channels}",
        )
    return made
