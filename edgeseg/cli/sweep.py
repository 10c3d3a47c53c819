"""`edgeseg sweep`: many trainings, each recipe's files of them, one report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.cli.output import JsonOption, console, emit, table_console

if TYPE_CHECKING:
    from edgeseg.sweeping.commands import Folder
    from edgeseg.sweeping.plan import Plan


def command(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A file of YAML or JSON, as above.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for all of it; the plan's name here if not given.")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(help="Trainings at a time; as many as cores and memory allow.", min=1)
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads of each; the cores' share.", min=1)] = None,
    gpus: Annotated[
        float, typer.Option(help="Share of a GPU for each training, for KERAS_BACKEND=jax; 0: CPUs.", min=0)
    ] = 0.0,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster's head, host:port; this machine alone if not given.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the points and their commands, and stop.")] = False,
    json: JsonOption = None,
) -> None:
    """Train all that a plan lists, convert it by all its recipes, and compare: one report.

    \b
    A plan:
      data: camvid
      architectures: [deeplabv3plus, fcn8s]
      backbones: [mobilenetv2_0.5, resnet18_0.25]
      sizes: [240x320, 352x480]
      losses: [ce, ce+dice]
      recipes: [int8_ptq, float32]
      seeds: [0, 1, 2]
      train: {epochs: 60, batch: 8, lr: [0.001, 0.003]}   # options of `edgeseg train`; a list is one more choice
      convert: {calibration: camvid/train}                # options of `edgeseg convert`

    \b
    Examples:
      edgeseg sweep plan.yaml --dry-run
      edgeseg sweep plan.yaml -o out/sweep
      edgeseg sweep plan.yaml -o /shared/sweep --address head:6379

    The same command goes on with a sweep that was stopped, by whatever. The report is in the folder: report.html.
    """  # noqa: D301
    from edgeseg.cli.quiet import quiet_keras
    from edgeseg.cli.report import print_table

    quiet_keras()
    from edgeseg.sweeping.commands import Folder, checked
    from edgeseg.sweeping.plan_file import read_plan

    folder = Folder(path=out or Path(plan.stem))
    if dry_run:
        _print_script(checked(read_plan(plan)), folder, json)
        return
    from edgeseg.cli.sweep_text import showing_sweep
    from edgeseg.report.record import report_record
    from edgeseg.sweeping.sweep import sweep

    with showing_sweep() as watch:
        report = sweep(
            plan, folder.path, parallel=parallel, threads=threads, gpus=gpus, address=address, watch=watch
        )  # fmt: skip
    print_table(report)
    console.print(f"written: {folder.path / 'report.html'}, and .md, .csv, .json", soft_wrap=True)
    emit({"folder": str(folder.path), **report_record(report)}, json)


def _print_script(plan: Plan, folder: Folder, json: str | None) -> None:
    """Prints the commands of all points as a script of the shell."""
    from edgeseg.sweeping.commands import commands_of, convert_command, train_command

    script = table_console(json)

    def say(line: str) -> None:
        script.print(line, soft_wrap=True, markup=False)

    say(f"# {len(plan.runs)} trainings, {len(plan.points)} points:")
    for point in plan.points:
        say(f"#   {point.name}")
    for run in plan.runs:
        say(train_command(plan, folder, run))
        for recipe in plan.recipes:
            say(convert_command(plan, folder, run, recipe))
    points = [
        {"name": p.name, "recipe": p.recipe, "commands": list(commands_of(plan, folder, p, p.runs))}
        for p in plan.points
    ]
    emit({"runs": len(plan.runs), "points": points}, json)
