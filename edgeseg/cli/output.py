"""What commands print: one JSON object on stdout for programs, everything for people on stderr.

Where a table is what a command is for (`models`, `archs`, `doctor`), it goes to stdout, unless JSON goes there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edgeseg.files import json_text, write_json

JsonOption = Annotated[
    str | None,
    typer.Option("--json", metavar="[FILE.json]", help="Print the result as JSON on stdout, or write it to FILE.json."),
]

console = Console(stderr=True, highlight=False)
"""For people. Nothing for programs goes here."""

_PIPE_COLUMNS = 200  # wide enough to cut nothing for who filters a table


def table_console(json_to: str | None) -> Console:
    """Returns where a command prints the table that it is for: stdout, or stderr where `--json` has stdout."""
    if json_to == "-":
        return console
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def emit(result: dict[str, Any], destination: str | None) -> None:
    """Prints or writes a command's result if `--json` asked for it ("-" is stdout). NaN becomes null."""
    if destination is None:
        return
    if destination == "-":
        sys.stdout.write(json_text(result))
        sys.stdout.flush()
    else:
        write_json(destination, result)


def progress_bar() -> Progress:
    """Returns a progress display for stderr: a bar, the count, elapsed and remaining time. Use it in a `with`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,  # a file or a pipe would get an empty line
    )


Advance = Callable[[int, int], None]
"""Library functions report long work by calling this with (done, total)."""


def advancing(progress: Progress, description: str) -> Advance:
    """Returns a callback (done, total) that moves a new bar of `progress`."""
    task = progress.add_task(description, total=None)

    def advance(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    return advance


def advancing_each(progress: Progress, first: str, others: str) -> Advance:
    """Returns a callback (done, total) for works one after another: each that begins anew gets a bar of its own."""
    bars: list[Advance] = []
    last = 0

    def advance(done: int, total: int) -> None:
        nonlocal last
        if not bars or done <= last:
            bars.append(advancing(progress, others if bars else first))
        last = done
        bars[-1](done, total)

    return advance


def advancing_steps(progress: Progress) -> Callable[[str, int, int], None]:
    """Returns a callback (what, done, total) that gives each of several works a bar of its own."""
    bars: dict[str, Advance] = {}

    def advance(what: str, done: int, total: int) -> None:
        if what not in bars:
            bars[what] = advancing(progress, what)
        bars[what](done, total)

    return advance
