"""A sweep's report: which trainings stand for a point, and what their seeds make together."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_cases import make_report

from edgeseg.errors import OutputError, UsageError
from edgeseg.report.csv_table import csv_table
from edgeseg.report.html import html_page
from edgeseg.report.markdown import markdown_page
from edgeseg.report.record import report_record
from edgeseg.report.results import Report, Result
from edgeseg.scoring.evaluate import Evaluation
from edgeseg.sweeping.commands import Folder
from edgeseg.sweeping.plan_file import make_plan
from edgeseg.sweeping.progress import RunProgress
from edgeseg.sweeping.results import choose_runs, over_seeds
from edgeseg.sweeping.sweep import claimed, share, sweep
from edgeseg.sweeping.trials import read_score, score_record

PLAN = make_plan(
    {"data": "d", "architectures": ["fcn8s", "unet"], "seeds": [0, 1, 2], "train": {"epochs": 9}}, "the plan"
)


def outcomes(*states: str) -> list[RunProgress]:
    return [
        RunProgress(run=run, state=state, epoch=9 if state == "done" else 3)  # type: ignore[arg-type]
        for run, state in zip(PLAN.runs, states, strict=True)
    ]


def test_a_point_stands_for_the_seeds_that_trained_to_their_end() -> None:
    whole, part = choose_runs(PLAN, outcomes("done", "done", "done", "stopped", "done", "failed"))
    assert [run.settings["seed"] for run in whole.runs] == [0, 1, 2]
    assert whole.remark == ""
    assert [run.settings["seed"] for run in part.runs] == [1]
    assert part.remark == "the mean of 1 of 3 seeds, as the others did not train to the end"


def test_a_point_whose_seeds_were_all_stopped_stands_as_they_were_and_says_so() -> None:
    stopped, failed = choose_runs(PLAN, outcomes("stopped", "stopped", "failed", "failed", "failed", "failed"))
    assert [run.settings["seed"] for run in stopped.runs] == [0, 1]
    assert stopped.remark == "stopped after 3 of 9 epochs, as others were better"
    assert failed.runs == ()


@pytest.fixture
def seeds() -> tuple[Result, ...]:
    one = Result(
        model="x", file="x0.tflite", recipe="int8_ptq", input_size=(240, 320), miou=0.5, pixel_accuracy=0.8,
        class_iou=(("road", 0.4), ("sky", 0.6)), latency_ms=10.0, latency_p90_ms=11.0, bytes=1000, threads=1,
        delegate="xnnpack",
    )  # fmt: skip
    two = replace(one, file="x1.tflite", miou=0.6, latency_ms=12.0, noise=("busy",))
    return one, two, replace(one, file="x2.tflite", miou=0.55, latency_ms=30.0, noise=("busier",))


def test_seeds_together_give_mean_spread_median_latency_and_the_best_file(seeds: tuple[Result, ...]) -> None:
    point = choose_runs(PLAN, outcomes(*["done"] * 6))[0]
    made = over_seeds(point, seeds, ("edgeseg train ...",))
    assert made.model == "fcn8s_240x320_int8_ptq"
    assert made.file == "x1.tflite"
    assert made.miou == pytest.approx(0.55)
    assert made.spread == pytest.approx(0.05)  # as of a sample: sqrt((0.05^2 + 0.05^2) / 2)
    assert made.latency_ms == 12.0
    assert made.class_iou == (("road", pytest.approx(0.4)), ("sky", pytest.approx(0.6)))
    assert made.noise == ("busy",)
    assert over_seeds(point, seeds[:1], ()).spread is None


@pytest.fixture
def report(seeds: tuple[Result, ...]) -> Report:
    point = choose_runs(PLAN, outcomes("done", "done", "stopped", *["done"] * 3))[0]
    made = over_seeds(point, seeds, ("edgeseg train --loss '<b>'", "edgeseg convert m"))
    return replace(make_report(), results=(made, replace(made, model="other", seed_mious=(), miou=0.3, remark="")),
                   notes=("unet_240x320_seed1 failed: the loss became nan",))  # fmt: skip


def test_every_page_tells_spread_commands_remarks_and_what_failed(report: Report) -> None:
    page, markdown = html_page(report), markdown_page(report)
    for text in (page, markdown):
        assert "55.0 ± 5.0" in text
        assert "edgeseg convert m" in text
        assert "the mean of 2 of 3 seeds" in text
        assert "the loss became nan" in text
    assert page.count('class="spread"') == 2  # of one point, in the wide and the narrow plot
    assert "--loss &#39;&lt;b&gt;&#39;" in page
    first, second = csv.DictReader(io.StringIO(csv_table(report)))
    assert (float(first["miou_spread"]), first["seeds"]) == (pytest.approx(0.05), "3")
    assert (second["miou_spread"], second["seeds"]) == ("", "")
    record = report_record(report)
    assert record["results"][0]["seed_mious"] == [0.5, 0.6, 0.55]
    assert record["results"][0]["commands"] == ["edgeseg train --loss '<b>'", "edgeseg convert m"]
    assert record["notes"] == list(report.notes)


def test_a_score_is_kept_with_its_classes_that_do_not_occur(tmp_path: Path) -> None:
    from edgeseg.files import write_json

    found = Evaluation(
        dataset="d", split="val", miou=0.5, pixel_accuracy=0.7, class_iou={"a": 0.5, "b": float("nan")}, images=3
    )
    write_json(tmp_path / "s.json", score_record(found))
    again = read_score(tmp_path / "s.json")
    assert (again.miou, again.images, again.class_iou["a"]) == (0.5, 3, 0.5)
    assert again.class_iou["b"] != again.class_iou["b"]


# === The folder and the machine ===


def test_a_folder_keeps_to_its_plan(tmp_path: Path) -> None:
    folder = Folder(path=tmp_path / "sweep")
    with claimed(folder, PLAN):
        pass
    with claimed(folder, PLAN):
        pass
    content: dict[str, Any] = {"data": "d", "architectures": ["fcn8s", "unet"], "seeds": [0, 1, 2]}
    other = make_plan({**content, "train": {"epochs": 12}, "asha": True}, "the plan")
    expected = "train epochs 9 then, 12 now; .*asha grace none then, 1 now.*name another folder with --out"
    with pytest.raises(UsageError, match=expected), claimed(folder, other):
        pass


def test_a_sweep_is_not_written_into_its_data(meadow_folder: Path) -> None:
    plan = {"data": str(meadow_folder), "architectures": ["fcn32s"], "backbones": ["resnet18_0.1"]}
    with pytest.raises(OutputError, match=r"cannot write the sweep to .*: that is the data set"):
        sweep({**plan, "sizes": ["64x96"]}, meadow_folder)
    assert not (meadow_folder / "plan.json").exists()


def test_a_folder_takes_one_sweep_at_a_time(tmp_path: Path) -> None:
    folder = Folder(path=tmp_path / "sweep")
    with (
        claimed(folder, PLAN),
        pytest.raises(OutputError, match="is being swept by another process"),
        claimed(folder, PLAN),
    ):
        pass


def test_trainings_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeseg.sweeping.sweep.usable_cores", lambda: 8)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"total": 16 << 30}))

    def shared(runs: int, parallel: int | None = None, threads: int | None = None) -> tuple[int | None, int]:
        found = share(runs, parallel=parallel, threads=threads)
        return found.parallel, found.threads

    assert shared(12) == (5, 1)  # memory is for five
    assert shared(2) == (2, 4)
    assert shared(12, parallel=3) == (3, 2)
    assert shared(12, threads=4) == (2, 4)
    with pytest.raises(UsageError, match="4 trainings of 4 threads on 8 cores"):
        shared(12, parallel=4, threads=4)
    assert share(12, parallel=None, threads=None, address="head:6379").parallel is None
