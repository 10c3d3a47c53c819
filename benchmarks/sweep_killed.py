"""Kills a sweep and compares its report: `python benchmarks/sweep_killed.py [--trainings 12] [--kills 2]`.

The sweep is of short trainings on a small synthetic set, each converted to int8. The command is killed by SIGKILL, with
all its processes, at moments spread over its trainings and conversions, and started again each time; then once more,
undisturbed, in another folder. Prints how long both took, and whether the scores of the two reports are the same, digit
by digit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from edgeseg.data.synthetic_set import write_set
from edgeseg.files import read_json
from edgeseg.sweeping.commands import Folder
from edgeseg.sweeping.plan import Plan
from edgeseg.sweeping.plan_file import read_plan
from edgeseg.sweeping.progress import history_of

ARCHITECTURES = ("fcn32s", "fcn16s", "fcn8s", "deeplabv3plus")
POLL_S = 0.2


def write_plan(folder: Path, trainings: int, epochs: int, images: int, recipe: str) -> Path:
    """Writes the data set and the plan; returns the plan."""
    write_set(folder / "data", {"train": images, "val": 8}, seed=0, height=64, width=96)
    architectures = ARCHITECTURES[: min(trainings, len(ARCHITECTURES))]
    convert = {"force": True} | ({"epochs": 1} if recipe == "int8_qat" else {})
    plan = {
        "data": str(folder / "data"), "architectures": list(architectures), "backbones": ["resnet18_0.1"],
        "sizes": ["64x96"], "recipes": [recipe], "seeds": list(range(-(-trainings // len(architectures)))),
        "train": {"epochs": epochs, "batch": 4}, "convert": convert,
    }  # fmt: skip
    path = folder / "plan.json"
    path.write_text(json.dumps(plan))
    return path


def start(plan: Path, out: Path) -> subprocess.Popen[str]:
    """Starts the sweep."""
    command = [sys.executable, "-m", "edgeseg", "sweep", str(plan), "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ))


def kill(process: subprocess.Popen[str]) -> None:
    """Kills a sweep and all that it has started."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for child in family:
        if child.is_running():
            child.kill()
    process.communicate()


def finish(process: subprocess.Popen[str]) -> None:
    """Waits for a sweep's end."""
    told, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the sweep ended with {process.returncode}: {told}")


def steps_done(plan: Plan, folder: Folder) -> int:
    """Returns how many epochs and conversions are finished."""
    return sum(len(history_of(folder, run)) for run in plan.runs) + len(list((folder.path / "files").glob("*.json")))


def wait_for(plan: Plan, folder: Folder, steps: int, process: subprocess.Popen[str]) -> bool:
    """Waits for so many epochs and conversions; returns whether the sweep still runs then."""
    while steps_done(plan, folder) < steps and process.poll() is None:
        time.sleep(POLL_S)
    return process.poll() is None


def scores(folder: Folder) -> dict[str, Any]:
    """Returns what the report says of each point, but for the latency."""
    report = read_json(folder.path / "report.json", "the report")
    return {row["model"]: (row["miou"], row["seed_mious"]) for row in report["results"]}


def survive(written: Path, plan: Plan, folder: Folder, kills: int, epochs: int) -> float:
    """Sweeps with so many kills; returns the seconds from the first start to the report."""
    total, began = len(plan.runs) * (epochs + 1), time.perf_counter()
    for number in range(1, kills + 1):
        process = start(written, folder.path)
        if not wait_for(plan, folder, total * number // (kills + 1), process):
            raise SystemExit(f"the sweep was over before kill {number}: {process.communicate()[0]}")
        kill(process)
        print(f"killed after {steps_done(plan, folder)} of {total} epochs and conversions", flush=True)
    finish(start(written, folder.path))
    return time.perf_counter() - began


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", type=int, default=4, help="above 4, a multiple of 4")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--recipe", default="int8_ptq", help="such as int8_qat")
    parser.add_argument("--kills", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgeseg-") as scratch:
        written = write_plan(Path(scratch), given.trainings, given.epochs, given.images, given.recipe)
        plan = read_plan(written)
        killed, calm = (Folder(path=Path(scratch) / name) for name in ("killed", "calm"))
        seconds = survive(written, plan, killed, given.kills, given.epochs)
        print(f"{len(plan.runs)} trainings, killed {given.kills} times: {seconds:.0f} s", flush=True)
        print(f"undisturbed: {survive(written, plan, calm, 0, given.epochs):.0f} s", flush=True)
        lengths = {len(history_of(killed, run)) for run in plan.runs}
        same = scores(killed) == scores(calm)
        print(f"epochs of each training: {sorted(lengths)}; scores of both reports: {'the same' if same else 'differ'}")
        if not same:
            print(f"killed: {scores(killed)}\nundisturbed: {scores(calm)}")
    if not same or lengths != {given.epochs}:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
