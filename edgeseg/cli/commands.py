"""The commands by name. One is imported, and its options are read, only when it is called: help answers at once."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "demo": ("demo", "Show the whole loop on a rendered flight."),
    "models": ("models", "List the models that come with edgeseg."),
    "archs": ("archs", "List the networks that can be trained."),
    "train": ("train", "Train a network on a data set."),
    "sweep": ("sweep", "Train and compare all that a plan lists."),
    "convert": ("convert", "Convert a Keras network to a .tflite file."),
    "thaw": ("thaw", "Rebuild a .tflite file as a Keras network."),
    "inspect": ("inspect", "Show what is in a .tflite file."),
    "explain": ("explain", "Explain what int8 costs, layer by layer."),
    "compile": ("compile", "Compile a .tflite file for the Edge TPU."),
    "eval": ("evaluate", "Score a network or a file on a data set."),
    "bench": ("bench", "Measure latency on this machine."),
    "run": ("run", "Segment a camera, a video or images, live."),
    "survey": ("survey", "Segment orthomosaics and large photos; areas, polygons."),
    "report": ("report", "Compare models: accuracy against latency."),
    "doctor": ("doctor", "Check this machine, and say the fixes."),
    "data": ("data", "Make, import and look at data sets."),
}
"""Each command's module in `edgeseg.cli`, with its function `command` or, of several commands, its `app`; and what it
does, in the few words that the list in `edgeseg --help` has room for."""


class Commands(TyperGroup):
    """The group `edgeseg`: commands of `COMMANDS`, each made when it is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: dict[str, Any] = dict.fromkeys(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Imports a command's module and makes the command of it; None where there is none of this name."""
        if cmd_name in self.commands and self.commands[cmd_name] is None:
            self.commands[cmd_name] = _make(cmd_name)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the list of commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


def _make(name: str) -> Any:
    module = importlib.import_module(f"edgeseg.cli.{COMMANDS[name][0]}")
    app: typer.Typer | None = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name)(module.command)
    return typer.main.get_command(app)
