"""What one process of a sweep does, without Ray; and how a sweep's progress reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from edgeseg.cli.sweep_text import counts, ended_line, table
from edgeseg.errors import UsageError
from edgeseg.files import write_json
from edgeseg.sweeping import progress
from edgeseg.sweeping.commands import Folder
from edgeseg.sweeping.plan import Plan
from edgeseg.sweeping.plan_file import make_plan
from edgeseg.sweeping.progress import RunProgress, SweepProgress, history_of, progress_of
from edgeseg.sweeping.trials import make_file, read_score, train_run
from edgeseg.training.history import Epoch


@pytest.fixture
def plan(meadow_folder: Path, tiny_backbone: str) -> Plan:
    content = {
        "data": str(meadow_folder), "architectures": ["fcn32s"], "backbones": [tiny_backbone], "sizes": ["64x96"],
        "recipes": ["float32"], "train": {"epochs": 3, "batch": 4, "val_every": 2},
    }  # fmt: skip
    return make_plan(content, "the plan")


def test_a_training_that_is_stopped_goes_on_and_its_file_is_made_once(plan: Plan, tmp_path: Path) -> None:
    run, folder = plan.runs[0], Folder(path=tmp_path)
    assert progress_of(folder, run).state == "waiting"

    class Killed(BaseException):
        pass

    def kill(row: Epoch) -> None:
        raise Killed

    with pytest.raises(Killed):
        train_run(plan, folder, run, kill)  # at the validation of the second epoch, whose checkpoint is there
    reached = progress_of(folder, run)
    assert (reached.state, reached.epoch) == ("waiting", 2)
    write_json(folder.stopped(run), {})
    assert progress_of(folder, run).state == "stopped"

    validated: list[Epoch] = []
    train_run(plan, folder, run, validated.append)
    assert [row.epoch for row in validated] == [3]
    assert validated[0] == history_of(folder, run)[-1]
    assert (progress_of(folder, run).state, progress_of(folder, run).epoch) == ("done", 3)

    make_file(plan, folder, run, "float32")
    file, score = folder.file(run, "float32"), folder.score(run, "float32")
    assert read_score(score).miou == pytest.approx(reached.best or validated[0].val_miou, abs=0.2)
    made = file.stat().st_mtime_ns
    score.unlink()
    make_file(plan, folder, run, "float32")
    assert score.exists()
    assert file.stat().st_mtime_ns == made


def test_a_training_is_done_when_its_patience_ends(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = replace(plan, axes={**plan.axes, "epochs": (30,), "patience": (2,)}).runs[0]
    scores = [0.5, 0.4, 0.3]
    history = tuple(Epoch(epoch=n, loss=1.0, val_miou=miou) for n, miou in enumerate(scores, 1))
    monkeypatch.setattr(progress, "history_of", lambda *_: history)
    assert progress_of(Folder(path=tmp_path), impatient).state == "done"
    monkeypatch.setattr(progress, "history_of", lambda *_: history[:2])
    assert progress_of(Folder(path=tmp_path), impatient).state == "waiting"


def test_settings_that_contradict_each_other_are_told_before_training(plan: Plan, tmp_path: Path) -> None:
    run = replace(plan, axes={**plan.axes, "teacher_weight": (0.5,)}).runs[0]
    with pytest.raises(UsageError, match="teacher_weight: there is no teacher"):
        train_run(plan, Folder(path=tmp_path), run, lambda row: None)


def test_the_progress_of_a_sweep_in_words(plan: Plan) -> None:
    runs = [replace(plan.runs[0], name=name) for name in "abc"]
    states = (
        RunProgress(run=runs[0], state="done", epoch=3, best=0.61234),
        RunProgress(run=runs[1], state="training", epoch=2, best=0.5),
        RunProgress(run=runs[2], state="failed", reason="the loss became nan"),
    )
    assert ended_line(states[0]) == "a: done after 3 epochs, best val mIoU 0.6123"
    assert ended_line(states[2]) == "c: failed: the loss became nan"
    progress = SweepProgress(phase="training", runs=states)
    assert counts(progress) == "training: 1 done, 1 failed, 1 training"
    assert counts(replace(progress, phase="converting", done=2, total=6)) == "converting: 2 of 6 files"
    assert counts(replace(progress, phase="measuring", done=2100, total=6000)) == "measuring: 2 of 6 s"
    console = Console(width=60)
    with console.capture() as captured:
        console.print(table(progress))
    lines = [line.split() for line in captured.get().splitlines()]
    assert ["b", "2/3", "0.5000"] in lines
    assert not any(line[0] == "a" for line in lines)
