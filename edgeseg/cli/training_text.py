"""How `edgeseg train` shows a training that runs: a bar on a terminal, lines for a log, and what they say."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgeseg.cli.output import console

if TYPE_CHECKING:
    from edgeseg.training.options import Progress as TrainingProgress

_MINUTE = 60


class Shown(NamedTuple):
    """What shows a training.

    Attributes:
        report: Its steps and epochs.
        reading: (done, total) images, before its first step.
    """

    report: Callable[[TrainingProgress], None]
    reading: Callable[[int, int], None]


@contextlib.contextmanager
def showing_training(out: Path) -> Iterator[Shown]:
    """Yields what shows a training: a line an epoch, a bar on a terminal; after Ctrl-C it says how to go on."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as display:
        task = display.add_task("starting", total=None)
        pace, reader = Pace(), Pace()

        def reading(done: int, total: int) -> None:
            display.update(task, description="reading images", completed=done, total=total)
            left = reader.left(done, total)
            if not console.is_terminal and reader.is_time():
                console.print(f"read {done} of {total} images, {left} left")

        def report(p: TrainingProgress) -> None:
            done, total = p.epoch * p.steps + p.step, p.epochs * p.steps
            display.update(task, description=f"epoch {p.epoch + 1}/{p.epochs}", completed=done, total=total)
            left = pace.left(done, total)
            if p.ended:
                for line in epoch_lines(p, left):
                    console.print(line, soft_wrap=True, markup=False)
            elif not console.is_terminal and pace.is_time():
                console.print(f"epoch {p.epoch + 1}/{p.epochs} step {p.step}/{p.steps} loss {p.loss:.4f}, {left} left")

        try:
            yield Shown(report, reading)
        except KeyboardInterrupt:
            console.print(stopped_line(out), soft_wrap=True)
            raise


class Pace:
    """How fast a training goes, for who reads its lines instead of a bar."""

    def __init__(self) -> None:
        self._began = self._told = 0.0
        self._first: int | None = None

    def left(self, done: int, total: int) -> str:
        """Returns how long the steps that remain will take at the pace of those so far, such as "12 min"."""
        now = time.monotonic()
        if self._first is None:  # what came before the first step's end is not its pace
            self._began, self._told, self._first = now, now, done
        seconds = (now - self._began) / max(1, done - self._first) * (total - done)
        return duration(seconds)

    def is_time(self) -> bool:
        """Whether a minute has gone by since the last line; then the next minute begins."""
        now = time.monotonic()
        if now - self._told < _MINUTE:
            return False
        self._told = now
        return True


def duration(seconds: float) -> str:
    """Returns a time in words: "40 s", "12 min", "3 h 05 min"."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def epoch_lines(progress: TrainingProgress, left: str) -> list[str]:
    """Tells an epoch that has ended: its loss, the classes' IoU if it was validated, and what there is to say of it."""
    row = progress.ended
    assert row is not None
    text = f"epoch {row.epoch}/{progress.epochs} loss {row.loss:.4f}"
    lines = [text if row.epoch == progress.epochs else f"{text}, {left} left"]
    if row.val_miou is not None:
        lines = [f"{text} val mIoU {row.val_miou:.4f} (best {progress.best_miou:.4f}), {left} left"]
        if row.epoch == progress.epochs or progress.stopped:
            lines = [lines[0].rpartition(",")[0]]
        lines.append("  " + ", ".join(f"{name} {iou:.2f}" for name, iou in row.class_iou.items()))
    lines += [f"  {line}" for line in progress.advice]
    if progress.stopped:
        lines.append("no better val mIoU within --patience: stopped")
    return lines


def stopped_line(out: Path) -> str:
    """Tells how to go on with a training that Ctrl-C stopped."""
    from edgeseg.training.folder import CHECKPOINT_FILE, describe

    if not (out / CHECKPOINT_FILE).exists():
        return "stopped before the first epoch ended: nothing is kept yet, the same command begins anew"
    return f"stopped; the same command with --resume (without --overwrite) goes on after {describe(out)}: {out}"
