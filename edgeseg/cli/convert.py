"""`edgeseg convert`: from a Keras network to a .tflite file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.card import RecipeName
from edgeseg.cli.options import MEAN_HELP, STD_HELP, OrderOption, parse_per_channel, parse_size
from edgeseg.cli.output import JsonOption, advancing, console, emit, progress_bar
from edgeseg.errors import UsageError


def command(
    model: Annotated[str, typer.Argument(help="Zoo name, model folder, or .keras/.h5 file.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; <name>_<recipe>.tflite here if not given.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="All integer, ranges from calibration pictures.")] = False,
    int8_weights: Annotated[bool, typer.Option("--int8-weights", help="Integer weights, float computation.")] = False,
    float16: Annotated[bool, typer.Option("--float16", help="Half-precision weights, float computation.")] = False,
    float32: Annotated[bool, typer.Option("--float32", help="No quantization.")] = False,
    calibration: Annotated[
        str | None,
        typer.Option(help="Folder, glob, manifest, or 'synthetic'; the model's own data set's if not given."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that a manifest's file names are relative to.")] = None,
    images: Annotated[int, typer.Option(min=1, help="Use at most so many calibration pictures.")] = 100,
    size: Annotated[str | None, typer.Option(help="Input size, height x width; the model's own if not given.")] = None,
    target: Annotated[str, typer.Option(help="cpu, or edgetpu (all integer; says what will not map).")] = "cpu",
    output: Annotated[str, typer.Option(help="logits, or labels (argmax inside the file).")] = "logits",
    labels: Annotated[
        str | None, typer.Option(help="Class names of a model without a card: a file, or voc ...")
    ] = None,
    mean: Annotated[str | None, typer.Option(help=MEAN_HELP)] = None,
    std: Annotated[str | None, typer.Option(help=STD_HELP)] = None,
    order: OrderOption = None,
    json: JsonOption = None,
) -> None:
    """Convert a Keras network to a .tflite file that runs on its own: graph, weights and card in one.

    \b
    Examples:
      edgeseg convert runs/camvid/model.keras --int8 -o camvid_int8.tflite --calibration camvid/train
      edgeseg convert runs/camvid --float16
      edgeseg convert their_unet.h5 --int8 --calibration pictures/ --labels names.txt
      edgeseg convert their_fcn.h5 --int8 --calibration pictures/ --order bgr --mean 103.94,116.78,123.68 --std 1
    """  # noqa: D301
    recipe_name = chosen_recipe(int8=int8, int8_weights=int8_weights, float16=float16, float32=float32)
    from edgeseg.cli.quiet import quiet_tensorflow

    quiet_tensorflow()
    from edgeseg.card import Recipe
    from edgeseg.cli.calibrating import open_calibration_for, spread
    from edgeseg.cli.models_option import load_float_model
    from edgeseg.conversion.convert import AGREEMENT_IMAGES, convert
    from edgeseg.files import check_apart, check_writable, write_bytes
    from edgeseg.zoo import resolve

    recipe = Recipe(name=recipe_name, output=output, target=target)  # type: ignore[arg-type]
    if recipe.target == "edgetpu" and not recipe.is_integer:
        raise UsageError(f"--target edgetpu with {recipe.name}: the Edge TPU computes in integers only, use --int8")
    if out is not None:
        check_writable(out)
    network, card = load_float_model(
        model, labels=labels, mean=parse_per_channel("--mean", mean), std=parse_per_channel("--std", std), order=order
    )
    spec = card.input
    if size:
        from dataclasses import replace

        height, width = parse_size(size)
        spec = replace(spec, height=height, width=width)
    pictures = open_calibration_for(card, recipe, calibration, data)
    if out is not None:
        read = [("the network", resolve(model, kind="float")), ("the calibration set", Path(calibration or ""))]
        check_apart([("the converted file", out)], [*read, *(("a calibration picture", p) for p in pictures.files)])
    count = min(images, pictures.count)
    with progress_bar() as progress:
        advance = advancing(progress, "calibrating" if recipe.is_integer else "converting")
        content, converted = convert(
            network, card, recipe, spread(pictures, count), calibration_source=pictures.record_source, spec=spec,
            advance=advance, notify=lambda line: console.print(line, soft_wrap=True),
        )  # fmt: skip
    file = out or Path(f"{converted.name}_{recipe.name}.tflite")
    write_bytes(file, content)
    console.print(
        f"{file}: {recipe.name}, {len(content) / 1e6:.2f} MB, agrees with the Keras network on "
        f"{100 * (converted.agreement or 0):.2f} % of the pixels of {min(AGREEMENT_IMAGES, count)} pictures",
        soft_wrap=True,
    )
    unmapped = unmapped_on_edgetpu(content) if recipe.target == "edgetpu" else None
    if unmapped is not None:
        console.print("Edge TPU (predicted): all operators map" if not unmapped else "Edge TPU (predicted) leaves:")
        for line in unmapped:
            console.print(f"  {line}", soft_wrap=True, markup=False)
    emit(
        {
            "file": str(file),
            "name": converted.name,
            "recipe": recipe.name,
            "bytes": len(content),
            "agreement": converted.agreement,
            "unmapped": unmapped,
        },
        json,
    )


def unmapped_on_edgetpu(content: bytes) -> list[str]:
    """Returns one line for each operator that the Edge TPU would leave to the CPU, with the reason and the remedy."""
    from edgeseg.tflite.edgetpu.predict import predict
    from edgeseg.tflite.graph import parse_graph

    graph = parse_graph(content)
    lines = []
    for verdict in predict(graph).verdicts:
        if not verdict.mapped:
            finding = verdict.findings[0]
            name = graph.main.operators[verdict.index].op
            remedy = f"; {finding.remedy}" if finding.remedy else ""
            lines.append(f"operator {verdict.index} {name}: {finding.reason}{remedy}")
    return lines


def chosen_recipe(*, int8: bool, int8_weights: bool, float16: bool, float32: bool) -> RecipeName:
    """Returns the recipe of the one flag that is set; int8_ptq if none is."""
    flags: dict[RecipeName, bool] = {
        "int8_ptq": int8, "int8_weights": int8_weights, "float16": float16, "float32": float32,
    }  # fmt: skip
    chosen = [name for name, wanted in flags.items() if wanted]
    if len(chosen) > 1:
        raise UsageError(f"several recipes were given ({', '.join(chosen)}): choose one")
    return chosen[0] if chosen else "int8_ptq"
