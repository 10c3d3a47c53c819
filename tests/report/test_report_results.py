"""What the pages say about results: who is on the Pareto front, and what everything is called."""

import math

import pytest
from report_cases import make_result

from edgeseg import zoo
from edgeseg.report.figures import megabytes, millions, noise_lines, percent, three_figures
from edgeseg.report.results import class_names, pareto_front, short_names


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(10, 0.5)], (0,)),
        ([(10, 0.5), (20, 0.6)], (0, 1)),  # slower, but more accurate
        ([(10, 0.5), (20, 0.4)], (0,)),  # slower and less accurate
        ([(20, 0.6), (10, 0.5), (15, 0.7)], (1, 2)),  # the last beats the first
        ([(10, 0.5), (10, 0.6)], (1,)),  # as fast and more accurate
        ([(10, 0.6), (20, 0.6)], (0,)),  # as accurate and faster
        ([(10, 0.5), (10, 0.5)], (0,)),  # the same twice: one is enough
    ],
)
def test_the_pareto_front_is_what_no_other_beats(points, front) -> None:
    assert pareto_front([make_result(latency_ms=ms, miou=miou) for ms, miou in points]) == front


@pytest.mark.parametrize(
    ("models", "short"),
    [
        (["unet_camvid_240x320_int8_ptq"], ["unet_camvid_240x320_int8_ptq"]),
        (["a_camvid_float32", "a_camvid_int8_ptq", "a_camvid_int8_qat"], ["float32", "int8_ptq", "int8_qat"]),
        (["unet_x_camvid_int8_ptq", "fcn_y_camvid_int8_ptq"], ["unet_x", "fcn_y"]),
        (["a_b", "b_a"], ["a_b", "b_a"]),  # nothing would stay
        (["a", "a"], ["a", "a"]),
        (["a_b", "a_b_c"], ["a_b", "a_b_c"]),
    ],
)
def test_short_names_leave_out_what_all_share(models: list[str], short: list[str]) -> None:
    recipes = [next((r for r in ("float32", "int8_ptq", "int8_qat") if m.endswith(r)), "") for m in models]
    results = [make_result(model=m, recipe=r) for m, r in zip(models, recipes, strict=True)]
    assert list(short_names(results)) == short


def test_models_of_the_zoo_are_called_as_the_zoo_calls_them() -> None:
    files = {name: zoo.resolve(name) for name in ("aerial", "camvid")}
    results = [make_result(model=path.stem, file=str(path)) for path in files.values()]
    assert short_names(results) == ("aerial", "camvid")
    beside = [*results, make_result(model="mine_int8_ptq", file="mine_int8_ptq.tflite")]
    assert "aerial" not in short_names(beside)


def test_classes_are_those_of_all_results_in_order() -> None:
    results = [make_result(class_iou=(("b", 0.5), ("a", 0.1))), make_result(class_iou=(("a", 0.2), ("c", 0.3)))]
    assert class_names(results) == ("b", "a", "c")


def test_figures() -> None:
    assert [percent(v) for v in (0.65231, 1.0, math.nan)] == ["65.2", "100.0", "–"]
    assert [three_figures(v) for v in (0.9131, 9.996, 19.83, 99.97, 394.2)] == ["0.91", "10.0", "19.8", "100", "394"]
    assert megabytes(1_234_567) == "1.23"
    assert [millions(v) for v in (361_000, 31_000_000, None)] == ["0.36", "31.0", "–"]


def test_a_reason_for_noise_is_told_once(report) -> None:
    assert noise_lines(report) == ("p90 is 1.40 times p50 (unet_own_camvid_360x480_float32)",)
