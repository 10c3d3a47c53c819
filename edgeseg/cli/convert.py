"""`edgeseg convert`: from a Keras network to a .tflite file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeseg.cli import budget_text
from edgeseg.cli.options import MEAN_HELP, STD_HELP, OrderOption, parse_per_channel, parse_size
from edgeseg.cli.output import JsonOption, advancing_each, console, emit, progress_bar
from edgeseg.errors import ConversionError, UsageError
from edgeseg.recipes import REFINEMENTS, RecipeRow, recipe_of_flags, recipe_row

if TYPE_CHECKING:
    from edgeseg.conversion.network import Conversion
    from edgeseg.conversion.trials import Budgeted


def command(
    model: Annotated[str, typer.Argument(help="Zoo name, model folder, or .keras/.h5 file.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; <name>_<recipe>.tflite here if not given.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="All integer, ranges from calibration images.")] = False,
    int8_weights: Annotated[bool, typer.Option("--int8-weights", help="Integer weights, float computation.")] = False,
    max_miou_drop: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="With --int8 and --data: try the cheapest recipe first, go on until one loses at most so much mIoU.",
        ),
    ] = None,
    qat: Annotated[
        bool, typer.Option("--qat", help="With --int8: train the weights for it, on the data set of --data.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of --qat: passes over the images; 5.")] = None,
    distill: Annotated[
        bool | None,
        typer.Option(
            "--distill/--no-distill",
            help="Of --qat: learn what the float network gives, as if not given, or the labels.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Of --qat: go on with a stopped training.")] = False,
    per_tensor: Annotated[
        bool, typer.Option("--per-tensor", help="With --int8: one scale a kernel, for old accelerators.")
    ] = False,
    refine: Annotated[
        str | None, typer.Option(help=f"With --int8: what refines the file, of {', '.join(REFINEMENTS)}; all; none.")
    ] = None,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="With --int8: the noisiest layers stay in float; says what that costs.")
    ] = False,
    float_layers: Annotated[int | None, typer.Option(min=1, help="Of --mixed: how many layers; 3.")] = None,
    float16: Annotated[bool, typer.Option("--float16", help="Half-precision weights, float computation.")] = False,
    float32: Annotated[bool, typer.Option("--float32", help="No quantization.")] = False,
    recipe: Annotated[str | None, typer.Option(help="A recipe by its name, such as another package's.")] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            help="Folder, glob, manifest, 'synthetic', 'distilled' (no data); the model's own set's if not given."
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of a manifest's files, or of the data set.")] = None,
    images: Annotated[int, typer.Option(min=1, help="Use at most so many calibration images.")] = 100,
    size: Annotated[str | None, typer.Option(help="Input size, height x width; the model's own if not given.")] = None,
    target: Annotated[str, typer.Option(help="cpu, or edgetpu (all integer; says what will not map).")] = "cpu",
    output: Annotated[str, typer.Option(help="logits, or labels (argmax inside the file).")] = "logits",
    labels: Annotated[
        str | None, typer.Option(help="Class names of a model without a card: a file, or voc ...")
    ] = None,
    mean: Annotated[str | None, typer.Option(help=MEAN_HELP)] = None,
    std: Annotated[str | None, typer.Option(help=STD_HELP)] = None,
    order: OrderOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write a file that does not choose as its network.")] = False,
    json: JsonOption = None,
) -> None:
    """Convert a Keras network to a .tflite file that runs on its own: graph, weights and card in one.

    \b
    Examples:
      edgeseg convert runs/camvid/model.keras --int8 -o camvid_int8.tflite --calibration camvid/train
      edgeseg convert runs/camvid --float16
      edgeseg convert runs/camvid --int8 --qat --data camvid -o camvid_qat.tflite --epochs 5
      edgeseg convert runs/camvid --int8 --max-miou-drop 0.3 --data camvid -o camvid_int8.tflite
      edgeseg convert runs/camvid --int8 --per-tensor --calibration camvid/train --refine all
      edgeseg convert their_unet.h5 --int8 --calibration images/ --labels names.txt
      edgeseg convert their_fcn.h5 --int8 --calibration images/ --order bgr --mean 103.94,116.78,123.68 --std 1
      edgeseg convert any_size.keras --int8 --calibration images/ --size 256x320
    """  # noqa: D301
    given = {
        "--int8": int8,
        "--qat": qat,
        "--per-tensor": per_tensor,
        "--mixed": mixed,
        "--int8-weights": int8_weights,
        "--float16": float16,
        "--float32": float32,
    }
    row = chosen_recipe(recipe, [flag for flag, wanted in given.items() if wanted])
    from edgeseg.cli.quiet import quiet_tensorflow

    quiet_tensorflow()
    if max_miou_drop is not None:
        check_budget(row, data, refine, float_layers)
    with progress_bar() as progress:
        job: dict[str, Any] = {
            "out": out or ".", "calibration": calibration, "data": data, "images": images, "target": target,
            "size": parse_size(size) if size else None, "output": output, "labels": labels, "order": order,
            "mean": parse_per_channel("--mean", mean), "std": parse_per_channel("--std", std), "resume": resume,
            "force": force, "advance": advancing_each(progress, "calibrating", "refining"),
            "notify": lambda line: console.print(line, soft_wrap=True, markup=False),
        }  # fmt: skip
        if max_miou_drop is not None:
            found = within_budget(model, row, max_miou_drop, epochs, distill, job)
        else:
            from edgeseg.conversion.convert import convert

            found = None
            steps = refine.replace(" ", "").split(",") if refine is not None else None
            done = convert(
                model, row.name, epochs=epochs, distill=distill, refinements=steps, float_layers=float_layers, **job
            )
    if found is not None:
        done = found.conversion
        console.print(budget_text.table(found))
    emit(tell(done, target) | ({"budget": budget_text.as_json(found)} if found else {}), json)
    if found is not None and not found.holds:
        raise ConversionError(budget_text.missed(found))


def chosen_recipe(name: str | None, flags: list[str]) -> RecipeRow:
    """Returns the recipe that is named, or else the one that flags ask for.

    Raises:
        UsageError: There is none, or both are given.
    """
    if name is None:
        return recipe_of_flags(flags)
    if flags:
        raise UsageError(f"--recipe {name} and {' '.join(flags)}: each names a recipe, leave one out")
    return recipe_row(name)


def check_budget(recipe: RecipeRow, data: Path | None, refine: str | None, float_layers: int | None) -> None:
    """Refuses what contradicts a budget, before any work.

    Raises:
        UsageError: Something does.
    """
    own = {
        "--qat": recipe.trained, "--mixed": bool(recipe.base), "--refine": refine is not None,
        "--float-layers": float_layers is not None,
    }  # fmt: skip
    for flag, given in own.items():
        if given:
            raise UsageError(f"{flag} with --max-miou-drop: what is tried follows from the budget, leave one out")
    if not recipe.is_integer:
        raise UsageError(f"--max-miou-drop with {recipe.name}: it chooses among int8 files, use --int8")
    if data is None:
        raise UsageError("--max-miou-drop without --data: name the data set whose val images score the files")


def within_budget(
    model: str, recipe: RecipeRow, allowed: float, epochs: int | None, distill: bool | None, job: dict[str, Any]
) -> Budgeted:
    """Converts with --max-miou-drop."""
    from edgeseg.conversion.budget import convert_within
    from edgeseg.conversion.qat import QatOptions

    options = QatOptions(epochs=epochs or QatOptions.epochs, distill=distill is not False)
    return convert_within(model, allowed, recipe=recipe.name, training=options, **job)


def tell(done: Conversion, target: str) -> dict[str, Any]:
    """Prints what was written, and returns the same for programs."""
    console.print(
        f"{done.file}: {done.card.recipe.name}, {len(done.content) / 1e6:.2f} MB, agrees with the Keras network on "
        f"{done.agreement:.2%} of the pixels of {done.agreement_on} (least: {done.agreements.weakest}; "
        f"reference kernels {done.agreements.of_kernels:.2%})",
        soft_wrap=True,
        markup=False,
    )
    unmapped = unmapped_on_edgetpu(done.content) if target == "edgetpu" else None
    if unmapped is not None:
        console.print("Edge TPU (predicted): all operators map" if not unmapped else "Edge TPU (predicted) leaves:")
        for line in unmapped:
            console.print(f"  {line}", soft_wrap=True, markup=False)
    console.print(f"next: edgeseg run {done.file} --camera 0", soft_wrap=True, markup=False)
    return {
        "file": str(done.file),
        "name": done.card.name,
        "recipe": done.card.recipe.name,
        "bytes": len(done.content),
        "agreement": done.card.agreement,
        "agreement_on": asdict(done.card.agreement_on) if done.card.agreement_on else None,
        "agreement_by_class": dict(done.agreements.by_class),
        "agreement_by_quadrant": dict(done.agreements.by_quadrant),
        "agreement_of_kernels": done.agreements.of_kernels,
        "warnings": list(done.warnings),
        "unmapped": unmapped,
    }


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
