"""`edgeseg thaw`: from a .tflite file back to a Keras network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeseg.cli.options import parse_size
from edgeseg.cli.output import JsonOption, console, emit
from edgeseg.errors import ModelFileError, UsageError

if TYPE_CHECKING:
    from edgeseg.arrays import Uint8
    from edgeseg.thawing.agreement import Agreement


def command(
    file: Annotated[Path, typer.Argument(help="A .tflite file, float or quantized.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .keras file to write.", show_default=False)],
    size: Annotated[str | None, typer.Option(help="Another input size, height x width.")] = None,
    classes: Annotated[int | None, typer.Option(help="Another number of classes: a fresh last layer.")] = None,
    batch_norm: Annotated[
        bool, typer.Option("--batch-norm", help="Put batch normalisations back, with statistics from --data.")
    ] = False,
    rounding: Annotated[
        bool | None,
        typer.Option(
            "--rounding/--no-rounding",
            help="Round results as a quantized file does. If neither is given: unless --classes, --batch-norm or "
            "--logits is. To convert again: --no-rounding.",
        ),
    ] = None,
    logits: Annotated[
        bool, typer.Option("--logits", help="End before the argmax of a file that gives labels; --classes does.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(help="Images to compare on and to take statistics from: a data set, a folder, a glob."),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Use so many of them; or of noise, without --data.")] = 20,
    json: JsonOption = None,
) -> None:
    """Rebuild a .tflite file as a Keras network that trains, converts and runs like any other.

    \b
    Examples:
      edgeseg thaw theirs_int8.tflite -o theirs.keras
      edgeseg thaw theirs_int8.tflite -o mine.keras --size 352x480 --classes 11 --batch-norm --data camvid/
    """  # noqa: D301
    from edgeseg.cli.quiet import quiet_tensorflow
    from edgeseg.files import check_apart, check_writable

    if out.suffix != ".keras":
        raise UsageError(f"--out {out}: expected a file that ends in .keras")
    check_writable(out)
    check_apart([("the network", out)], [("the .tflite file", file)])
    if batch_norm and data is None:
        raise UsageError("--batch-norm takes its statistics from images: name some with --data")
    quiet_tensorflow()
    from edgeseg.keras_model import save_model
    from edgeseg.tflite.graph import read_graph
    from edgeseg.thawing.thaw import gives_labels, plain_card, set_statistics, thaw

    if logits and not gives_labels(read_graph(file).main):
        raise UsageError(f"{file} does not end in an ARG_MAX: leave --logits out")
    shown = some_images(data, images) if data else None
    wanted = parse_size(size) if size else None
    thawed = thaw(file, size=wanted, num_classes=classes, batch_norm=batch_norm, rounding=rounding, logits=logits)
    if shown is not None and batch_norm:
        if not thawed.biases:
            raise UsageError(f"{file} has no convolution before the last: leave --batch-norm out")
        set_statistics(thawed, shown)
    same = wanted is None and classes is None and not logits
    reference = thawed if same else thaw(file, rounding=thawed.rounding)
    compared, why = compare(reference, file, shown, images)
    save_model(out, thawed.model, plain_card(file, thawed, classes))
    told(out, thawed, compared, why, same)
    emit(
        {
            "file": str(out),
            "agreement": None if compared is None else compared.share,
            "compared": 0 if compared is None else compared.compared,
            "rounding": thawed.rounding,
            "parameters": int(thawed.model.count_params()),
            "inputs": [{"name": i.name, "shape": list(i.shape), "mean": i.mean, "std": i.std} for i in thawed.inputs],
            "outputs": [list(output.shape) for output in thawed.model.outputs],
            "left_out": list(thawed.left_out),
        },
        json,
    )


def some_images(source: str, count: int) -> list[Uint8]:
    """Reads up to `count` images, evenly spread over a data set's train split, a folder or a glob."""
    from edgeseg.data.calibration import open_calibration, spaced
    from edgeseg.data.layouts import LAYOUTS, open_dataset
    from edgeseg.image import read_image

    if any(module.matches(Path(source)) for name, module in LAYOUTS.items() if name != "masks"):
        files = open_dataset(source, "train").images
    else:
        files = open_calibration(source).files
    if not files:
        raise UsageError(f"--data {source}: expected a data set, a folder of images or a glob")
    return [read_image(path) for path in spaced(files, count)]


def compare(reference: Any, file: Path, shown: list[Uint8] | None, count: int) -> tuple[Agreement | None, str]:
    """Compares network and file on images, else on noise; or says why that cannot be."""
    from edgeseg.thawing.agreement import agreement, inputs_from, noise

    try:
        inputs = noise(file, count) if shown is None else inputs_from(file, shown)
        found = agreement(reference.model, reference.outputs, file, inputs)
    except ModelFileError as error:  # it was read and rebuilt, so the runtime is what cannot run it
        return None, str(error)
    return found, "" if found else "the file has none of its outputs"


def told(out: Path, thawed: Any, compared: Agreement | None, why: str, same: bool) -> None:
    """Says what was made, for people."""
    rounding = ", results rounded as the file rounds them" if thawed.rounding else ""
    console.print(f"{out}: {thawed.model.count_params():,} parameters{rounding}", soft_wrap=True, markup=False)
    for i in thawed.inputs:
        console.print(f"  input {i.name} {list(i.shape)}: (pixel - {i.mean:g}) / {i.std:g}", markup=False)
    if compared is None:
        console.print(f"  not compared: {why}", soft_wrap=True, markup=False)
    else:
        of = "" if same else ", as it stands in the file,"
        console.print(
            f"  the network{of} agrees with the file at {compared.share:.2%} of the places of its outputs, on "
            f"{compared.compared} inputs",
            soft_wrap=True,
        )
    for line in thawed.left_out:
        console.print(f"  left out: {line}", soft_wrap=True, markup=False)
