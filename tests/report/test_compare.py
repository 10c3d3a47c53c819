"""`edgeseg.compare`, `edgeseg.benchmark` and `edgeseg.inspect`: what the commands do, for programs."""

import doctest
import shlex

import pytest

import edgeseg
from edgeseg.measure import inspection


def test_models_are_compared_by_name_folder_or_file(tiny_model, tiny_dataset, tmp_path) -> None:
    steps = set()
    report = edgeseg.compare(
        [tiny_model.parent, str(tiny_model)],
        tiny_dataset,
        examples=1,
        advance=lambda what, done, total: steps.add(what),
    )
    assert [result.recipe for result in report.results] == ["float32", "int8_ptq", "int8_ptq"]
    assert report.images == 3
    assert report.results[1].miou > 0.9
    assert {"timing", f"scoring {tiny_model.name}"} <= steps
    assert len(report.examples[0].panels) == 2 + 3
    files = edgeseg.write_report(report, tmp_path / "out")
    assert files[0].read_text().startswith("<!doctype html>")


def test_the_record_tells_a_command_that_makes_it_again(cli, tiny_model, tiny_dataset, tmp_path) -> None:
    dataset = edgeseg.open_dataset(tiny_dataset, "val")
    for data in (tiny_dataset, dataset):
        command = shlex.split(edgeseg.compare([tiny_model], data, examples=0).command)
        assert command[:3] == ["edgeseg", "report", str(tiny_model)]
        done = cli(*command[1:-1], tmp_path / "again", "--json")
        assert done.json["results"][0]["miou"] > 0.9


def test_what_cannot_be_compared_is_told_before_work(tiny_model, tiny_dataset) -> None:
    with pytest.raises(edgeseg.UsageError, match="no model to compare"):
        edgeseg.compare([], tiny_dataset)
    with pytest.raises(edgeseg.UsageError, match="expected 0 or more"):
        edgeseg.compare([tiny_model], tiny_dataset, examples=-1)
    with pytest.raises(edgeseg.DataError, match="has 8 classes"):
        edgeseg.compare(["aerial"], tiny_dataset)


def test_a_zoo_model_is_inspected_and_measured_by_its_name() -> None:
    assert doctest.testmod(inspection) == (0, 3)
    found = edgeseg.inspect("aerial")
    assert found["card"]["architecture"] == "deeplabv3plus"
    assert found["edgetpu"]["mapped"] == len(found["ops"])
    (measured,) = edgeseg.benchmark(["aerial"], min_runs=1, min_seconds=0, warmup_seconds=0)
    assert str(measured.model) == found["file"]
    assert measured.latency_ms.p50 > 0
