"""From a sweep's files to its report: each measured, the seeds of a point taken together."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.host import host_info
from edgeseg.measure.benchmark import benchmark
from edgeseg.report.compare import measured
from edgeseg.report.examples import make_examples
from edgeseg.report.results import Report, Result, class_names, pareto_front
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.sweeping.commands import Folder, commands_of
from edgeseg.sweeping.plan import Plan, Point, Run
from edgeseg.sweeping.progress import RunProgress
from edgeseg.sweeping.trials import read_score, validation_set
from edgeseg.version import __version__

_SHOWN = 3
"""Images, and at most so many models of the Pareto front beside each."""


@dataclass(frozen=True, kw_only=True)
class PointRuns:
    """A point, and those of its trainings that stand for it.

    Attributes:
        point: The point.
        runs: Those that trained to their end; those that were stopped early if none did.
        remark: What the report says of that.
    """

    point: Point
    runs: tuple[Run, ...]
    remark: str = ""


def choose_runs(plan: Plan, outcomes: Sequence[RunProgress]) -> list[PointRuns]:
    """Decides for each point which of its trainings stand for it."""
    known = {one.run.name: one for one in outcomes}
    chosen = []
    for point in plan.points:
        ended = [known[run.name] for run in point.runs]
        done, stopped = ([one for one in ended if one.state == state] for state in ("done", "stopped"))
        remark = ""
        if done and len(done) < len(ended):
            remark = f"the mean of {len(done)} of {len(ended)} seeds, as the others did not train to the end"
        elif stopped and not done:
            epochs = " and ".join(map(str, sorted({one.epoch for one in stopped})))
            remark = f"stopped after {epochs} of {stopped[0].run.epochs} epochs, as others were better"
        runs = tuple(one.run for one in done or stopped)
        chosen.append(PointRuns(point=point, runs=runs, remark=remark))
    return chosen


def over_seeds(point: PointRuns, results: Sequence[Result], commands: tuple[str, ...]) -> Result:
    """Takes the results of a point's seeds together.

    Args:
        point: The point.
        results: At least one; of each seed's file.
        commands: What makes the files.

    Returns:
        Scores are means, latencies medians; the file is the most accurate one, the noise that of the median.
    """
    best = max(results, key=lambda result: result.miou)
    median = float(np.median([result.latency_ms for result in results]))
    typical = min(results, key=lambda result: abs(result.latency_ms - median))
    ious = [dict(result.class_iou) for result in results]
    return replace(
        best,
        model=point.point.name,
        miou=float(np.mean([result.miou for result in results])),
        pixel_accuracy=float(np.mean([result.pixel_accuracy for result in results])),
        class_iou=tuple((name, float(np.mean([iou[name] for iou in ious]))) for name in class_names(results)),
        latency_ms=median,
        latency_p90_ms=float(np.median([result.latency_p90_ms for result in results])),
        noise=typical.noise,
        seed_mious=tuple(result.miou for result in results),
        commands=commands,
        remark=point.remark,
    )


def make_report(
    plan: Plan,
    folder: Folder,
    points: Sequence[PointRuns],
    *,
    command: str,
    notes: Sequence[str] = (),
    advance: Callable[[int, int], None] | None = None,
) -> Report:
    """Times all files, in turns and with nothing else at work, and returns the sweep's report.

    Args:
        plan: The sweep.
        folder: Where it lies.
        points: Those with files; their scores lie beside them.
        command: The command that makes the report again.
        notes: What is not here, and why.
        advance: Called with (milliseconds measured, to be measured).
    """
    bench: dict[str, Any] = dict(plan.bench)
    keys = [(run, one.point.recipe) for one in points for run in one.runs]
    files = [folder.file(*key) for key in keys]
    speeds = benchmark(files, **bench, advance=advance)
    scores = [read_score(folder.score(*key)) for key in keys]
    segmenters = [Segmenter(file, **bench) for file in files]
    each: Mapping[Path, Result] = {
        file: measured(file, segmenter, score, speed)
        for file, segmenter, score, speed in zip(files, segmenters, scores, speeds, strict=True)
    }
    results = tuple(
        over_seeds(
            one,
            [each[folder.file(run, one.point.recipe)] for run in one.runs],
            commands_of(plan, folder, one.point, one.runs),
        )
        for one in points
    )
    dataset = validation_set(plan, points[0].runs[0])
    front = [results[index] for index in pareto_front(results)[-_SHOWN:]]
    by_file = dict(zip(map(str, files), segmenters, strict=True))
    return Report(
        dataset=dataset.name,
        split=dataset.split,
        images=scores[0].images,
        results=results,
        host=host_info(),
        command=command,
        version=__version__,
        created=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        examples=make_examples(dataset, [(r.model, by_file[r.file].segment) for r in front], _SHOWN),
        colors=tuple(zip(dataset.labels.names, dataset.labels.colors, strict=True)),
        notes=tuple(notes),
    )


def sweep_command(plan_file: str, folder: Folder) -> str:
    """Returns the command that makes a sweep's report again."""
    return shlex.join(["edgeseg", "sweep", plan_file, "--out", str(folder.path)])
