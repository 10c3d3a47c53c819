"""How `edgeseg sweep` shows a sweep: a line for each training that ends, and on a terminal a table of those at work."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from edgeseg.cli.output import console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgeseg.sweeping.progress import RunProgress, SweepProgress

_ENDED = ("done", "stopped", "failed")


@contextlib.contextmanager
def showing_sweep() -> Iterator[Callable[[SweepProgress], None]]:
    """Yields what shows a sweep; after Ctrl-C it says how to go on."""
    from rich.live import Live

    told: set[str] = set()
    counted = ""
    with Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else _nothing() as live:

        def watch(progress: SweepProgress) -> None:
            nonlocal counted
            for one in progress.runs:
                if one.state in _ENDED and one.run.name not in told:
                    told.add(one.run.name)
                    console.print(ended_line(one), soft_wrap=True, markup=False)
            if live is not None:
                live.update(table(progress), refresh=True)
            elif progress.phase != "measuring" and counts(progress) != counted:
                counted = counts(progress)
                console.print(counted, soft_wrap=True, markup=False)

        try:
            yield watch
        except KeyboardInterrupt:
            console.print("stopped; the same command goes on from here", soft_wrap=True)
            raise


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    yield None


def ended_line(one: RunProgress) -> str:
    """Tells how a training ended: "fcn8s_240x320: done after 60 epochs, best val mIoU 0.6132"."""
    if one.state == "failed":
        return f"{one.run.name}: failed: {one.reason}"
    best = "" if one.best is None else f", best val mIoU {one.best:.4f}"
    return f"{one.run.name}: {one.state} after {one.epoch} epochs{best}"


def counts(progress: SweepProgress) -> str:
    """Tells how far all is: "training: 3 done, 2 training, 7 waiting", "converting: 4 of 12 files"."""
    if progress.phase == "training":
        found = Counter[str](one.state for one in progress.runs)
        order = (*_ENDED, "training", "waiting")
        return "training: " + ", ".join(f"{found[state]} {state}" for state in order if found[state])
    if progress.phase == "converting":
        return f"converting: {progress.done} of {progress.total} files"
    return f"measuring: {progress.done / 1000:.0f} of {progress.total / 1000:.0f} s"


def table(progress: SweepProgress) -> RenderableType:
    """Returns the trainings at work as a table, and how far all is below it."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rows = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("training", "epoch", "best val mIoU"):
        rows.add_column(heading, justify="left" if heading == "training" else "right")
    for one in progress.runs:
        if one.state == "training":
            best = "" if one.best is None else f"{one.best:.4f}"
            rows.add_row(Text(one.run.name), f"{one.epoch}/{one.run.epochs}", best)
    counted = Text(counts(progress))
    return Group(rows, counted) if rows.row_count else counted
