"""Early stopping: who competes with whom, and that a restart forgets nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgeseg.files import read_json
from edgeseg.sweeping.commands import Folder
from edgeseg.sweeping.plan import Asha, Run
from edgeseg.sweeping.plan_file import make_plan
from edgeseg.sweeping.stopping import Halving
from edgeseg.training.history import Epoch

RUNS = make_plan(
    {"data": "d", "architectures": ["fcn8s", "unet"], "losses": ["ce", "focal", "dice"], "train": {"epochs": 9}}, "p"
).runs
FAST, SLOW = RUNS[:3], RUNS[3:]


def told(scheduler: Halving, run: Run, epoch: int, miou: float) -> Any:
    trial = SimpleNamespace(trial_id="of this day", config={"run": run.name})
    return scheduler.on_trial_result(None, trial, {"epoch": epoch, "val_miou": miou})


def test_only_trainings_of_one_network_compete(tmp_path: Path) -> None:
    folder = Folder(path=tmp_path)
    scheduler = Halving(Asha(grace=2, reduction=2), folder, [(run, ()) for run in RUNS])
    assert told(scheduler, SLOW[0], 2, 0.8) == "CONTINUE"
    assert told(scheduler, FAST[0], 2, 0.5) == "CONTINUE"  # worse than the slow one, and no other fast one is known
    assert told(scheduler, FAST[1], 1, 0.1) == "CONTINUE"  # not at a rung yet
    assert told(scheduler, FAST[1], 2, 0.2) == "STOP"
    assert read_json(folder.stopped(FAST[1]), "the verdict") == {"epoch": 2, "val_miou": 0.2}
    assert not folder.stopped(FAST[0]).exists()


def test_all_compete_where_the_plan_says_so(tmp_path: Path) -> None:
    scheduler = Halving(Asha(grace=2, reduction=2, among="all"), Folder(path=tmp_path), [(run, ()) for run in RUNS])
    assert told(scheduler, SLOW[0], 2, 0.8) == "CONTINUE"
    assert told(scheduler, FAST[0], 2, 0.5) == "STOP"


def test_a_restart_knows_what_was_validated_before(tmp_path: Path) -> None:
    history = tuple(Epoch(epoch=n, loss=1.0, val_miou=0.6 if n % 2 == 0 else None) for n in range(1, 5))
    scheduler = Halving(
        Asha(grace=2, reduction=2), Folder(path=tmp_path), [(FAST[0], history), (FAST[1], ()), (SLOW[0], ())]
    )
    assert told(scheduler, FAST[1], 2, 0.5) == "STOP"
    assert told(scheduler, FAST[0], 5, 0.1) == "CONTINUE"  # its rung at 4 is behind it


def test_a_training_at_its_last_epoch_is_done_not_stopped(tmp_path: Path) -> None:
    folder = Folder(path=tmp_path)
    scheduler = Halving(Asha(grace=3, reduction=3), folder, [(run, ()) for run in FAST])
    assert told(scheduler, FAST[0], 9, 0.9) == "CONTINUE"
    assert told(scheduler, FAST[1], 9, 0.1) == "CONTINUE"
    assert not folder.stopped(FAST[1]).exists()
