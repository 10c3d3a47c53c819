"""A sweep from its plan to its report, in one call."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from edgeseg.errors import OutputError, TrainingError, UsageError
from edgeseg.files import check_apart, ensure_folder, write_json
from edgeseg.host import usable_cores
from edgeseg.report.results import Report
from edgeseg.report.write import write_report
from edgeseg.sweeping.commands import Folder, checked
from edgeseg.sweeping.plan import Plan, content_of, flat
from edgeseg.sweeping.plan_file import read_plan
from edgeseg.sweeping.progress import RunProgress, SweepProgress, Watch
from edgeseg.sweeping.results import PointRuns, choose_runs, make_report, sweep_command
from edgeseg.sweeping.workers import Resources, convert_all, ray_started, train_all
from edgeseg.training.checkpoint import differences

PLAN_FILE = "plan.json"
_BYTES_EACH = 3 << 30
"""Memory that a training of TensorFlow's is reckoned with."""


def sweep(
    plan: str | os.PathLike[str] | Mapping[str, Any],
    out: str | os.PathLike[str],
    *,
    parallel: int | None = None,
    threads: int | None = None,
    gpus: float = 0.0,
    address: str | None = None,
    watch: Watch | None = None,
) -> Report:
    """Trains all that a plan lists, converts it by all its recipes, measures it, and writes one report.

    >>> import edgeseg
    >>> plan = {"data": "camvid", "architectures": ["fcn8s", "unet"], "seeds": [0, 1], "train": {"epochs": 60}}
    >>> report = edgeseg.sweep(plan, "out/sweep")  # doctest: +SKIP
    >>> [(r.model, r.miou, r.spread, r.latency_ms) for r in report.results]  # doctest: +SKIP

    A sweep that was stopped, by whatever, goes on where it was: the same call does it. Trainings and conversions run in
    processes of their own, at most `parallel` at a time; latencies are measured at the end, with nothing else at work.

    Args:
        plan: A file of YAML or JSON, or what it holds; see docs/sweep.md.
        out: Folder for the trainings, the files and the report; created if missing.
        parallel: Trainings at a time; as many as cores and memory allow if None.
        threads: CPU threads of each; the cores' share if None, 4 on a cluster.
        gpus: Share of a GPU for each training (0.5: two share one); 0 trains on CPUs.
        address: Of a Ray cluster, such as "head:6379", whose machines see `out` and the data under the same names; this
            machine alone if None. Latency is measured on this machine in either case.
        watch: Called as the work goes on.

    Returns:
        The report, which lies in `out` as report.html, .md, .svg, .csv and .json.

    Raises:
        UsageError: The plan is wrong, or `out` holds another sweep.
        DataError: The plan or the data set cannot be read.
        TrainingError: Trainings or conversions failed; the report tells of all others, and the same call tries again.
        OutputError: `out` cannot be written, or another process sweeps there.
    """
    wanted = checked(read_plan(plan))
    folder = Folder(path=Path(out))
    check_apart([("the sweep", folder.path)], [("the data set", Path(wanted.data))])
    resources = share(len(wanted.runs), parallel=parallel, threads=threads, gpus=gpus, address=address)
    named = folder.path / PLAN_FILE if isinstance(plan, Mapping) else plan
    with claimed(folder, wanted):
        with ray_started(folder, resources):
            outcomes = train_all(wanted, folder, resources, watch)
            points = choose_runs(wanted, outcomes)
            failed = _convert(wanted, folder, resources, points, outcomes, watch)
        reasons = {one.run.name: one.reason for one in outcomes if one.state == "failed"} | failed
        there = [made for one in points if (made := _without(one, failed)).runs]
        if not there:
            raise TrainingError(_failure(reasons, "nothing to report"))

        def measuring(done: int, total: int) -> None:
            if watch:
                watch(SweepProgress(phase="measuring", runs=outcomes, done=done, total=total))

        report = make_report(
            wanted, folder, there, command=sweep_command(os.fspath(named), folder), advance=measuring,
            notes=[f"{name} failed: {reason}" for name, reason in reasons.items()],
        )  # fmt: skip
        write_report(report, folder.path)
    if reasons:
        raise TrainingError(_failure(reasons, f"{folder.path / 'report.html'} tells of the others"))
    return report


def _convert(
    plan: Plan, folder: Folder, resources: Resources, points: Sequence[PointRuns], outcomes: tuple[RunProgress, ...],
    watch: Watch | None,
) -> dict[str, str]:  # fmt: skip
    """Makes the files that are missing; returns why those failed that did, by name."""
    keys = [(run, one.point.recipe) for one in points for run in one.runs]
    missing = [key for key in keys if not (folder.score(*key).exists() and folder.file(*key).exists())]

    def advance(left: int) -> None:
        if watch:
            watch(SweepProgress(phase="converting", runs=outcomes, done=len(keys) - left, total=len(keys)))

    failed = convert_all(plan, folder, resources, missing, advance)
    advance(0)
    return {f"{run}_{recipe}": reason for (run, recipe), reason in failed.items()}


def _without(one: PointRuns, failed: Mapping[str, str]) -> PointRuns:
    """Returns a point without the trainings whose file failed."""
    runs = tuple(run for run in one.runs if f"{run.name}_{one.point.recipe}" not in failed)
    return replace(one, runs=runs)


def _failure(reasons: Mapping[str, str], rest: str) -> str:
    name, reason = next(iter(reasons.items()))
    others = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{name} failed: {reason}{others}; {rest}; the same command tries again"


def share(
    runs: int, *, parallel: int | None, threads: int | None, gpus: float = 0.0, address: str | None = None
) -> Resources:
    """Decides how many trainings go at a time, with how many threads each.

    Raises:
        UsageError: A number is below its least, or together they ask for more cores than there are.
    """
    if (parallel is not None and parallel < 1) or (threads is not None and threads < 1) or gpus < 0:
        raise UsageError(f"parallel {parallel}, threads {threads}, gpus {gpus:g}: expected at least 1, 1 and 0")
    if address is not None:
        return Resources(parallel=parallel, threads=threads or 4, gpus=gpus, address=address)
    cores = usable_cores()
    fitting = min(runs, cores // (threads or 1), int(psutil.virtual_memory().total // _BYTES_EACH))
    at_once = parallel or max(1, fitting)
    each = threads or max(1, cores // at_once)
    if at_once * each > cores:
        raise UsageError(f"{at_once} trainings of {each} threads on {cores} cores: expected no more threads than cores")
    return Resources(parallel=at_once, threads=each, gpus=gpus)


@contextlib.contextmanager
def claimed(folder: Folder, plan: Plan) -> Iterator[None]:
    """Makes the folder this sweep's alone for the duration of the block.

    Raises:
        OutputError: Another process sweeps there, or it cannot be written.
        UsageError: It holds another sweep.
    """
    path, content = folder.path / PLAN_FILE, content_of(plan)
    if path.exists():
        different = differences(flat(content_of(read_plan(path))), flat(content))
        if different:
            raise UsageError(
                f"{folder.path} holds a sweep of another plan ({'; '.join(different)}): name another folder with --out"
            )
    ensure_folder(folder.path)
    with (folder.path / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"{folder.path} is being swept by another process: wait for it, or end it") from error
        if not path.exists():
            write_json(path, content)
        yield
