"""The latency estimate: the coefficients are those of the fit, the stated errors are the fit's, the sums are right."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from tiny_tflite import TinyModel, conv_model

from edgeseg.tflite import latency
from edgeseg.tflite.edgetpu.predict import predict
from edgeseg.tflite.graph import Graph, parse_graph
from edgeseg.tflite.latency import BOARDS, BUSES, ERRORS, WITHHELD, Estimate
from edgeseg.tflite.xnnpack import coverage

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fit_latency.py"


@pytest.fixture(scope="module")
def fit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_latency", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["fit_latency"] = module
    spec.loader.exec_module(module)
    return module


def estimates(graph: Graph) -> dict[str, Estimate]:
    found = latency.estimate(graph, predict(graph), coverage(graph))
    return {guess.target: guess for guess in found}


def test_coefficients_are_those_of_the_fit(fit: ModuleType) -> None:
    for name, bus in BUSES.items():
        fixed, moved, macs, activations = fit.fit_edgetpu()[name.removeprefix("edgetpu_")]
        assert (bus.fixed, bus.per_mb) == pytest.approx((fixed, moved), rel=5e-3)
        assert pytest.approx(macs, rel=5e-3) == latency.EDGETPU_PER_MILLION_MACS
        assert pytest.approx(activations, rel=5e-3) == latency.EDGETPU_PER_MB
    for name, board in BOARDS.items():
        assert (board.per_million_macs, board.per_mb) == pytest.approx(fit.fit_cpu()[name], rel=5e-3)


def test_stated_errors_are_those_for_networks_that_the_fit_has_not_seen(fit: ModuleType) -> None:
    errors = {**ERRORS, **{name: board.error for name, board in WITHHELD.items()}}
    for name, error in errors.items():
        figures, median, worst_times = fit.summary(fit.errors()[name.removeprefix("edgetpu_")])
        assert error.figures == figures
        assert error.median == pytest.approx(median, abs=0.006)
        assert error.worst_times == pytest.approx(worst_times, abs=0.06)


def test_a_board_gets_an_estimate_where_the_figures_bear_one() -> None:
    def bears(error: latency.Error) -> bool:
        return error.figures >= latency.FEWEST_FIGURES and error.worst_times <= latency.MOST_TIMES_OFF

    assert ERRORS.keys() == BUSES.keys() | BOARDS.keys()
    assert all(bears(error) for error in ERRORS.values())
    assert not any(bears(board.error) for board in WITHHELD.values())


def test_a_network_left_out_is_estimated_without_its_own_figures(fit: ModuleType) -> None:
    """Three figures determine a board's two coefficients all but exactly; only the network left out tells."""
    points = {name: (published, estimated) for name, published, estimated in fit.errors()["pi5"]}
    macs, activations = fit.fit_cpu("GoogLeNet")["pi5"]
    network = fit.NETWORKS["GoogLeNet"]
    assert points["GoogLeNet"] == (25.33, macs * network.macs + activations * network.activations)
    assert (macs, activations) != fit.fit_cpu()["pi5"]


def test_segmentation_networks_were_slower_by_the_stated_ratio(fit: ModuleType) -> None:
    ratios = [published / estimated for published, estimated in fit.segmentation().values()]
    assert (round(min(ratios), 1), round(max(ratios), 1)) == latency.SEGMENTATION_RATIO


def test_a_convolution_by_hand() -> None:
    found = estimates(parse_graph(conv_model(size=8, channels=4)))
    macs, moved = 8 * 8 * 4 * 27 / 1e6, (8 * 8 * 3 + 8 * 8 * 4) / 1e6
    board, bus = BOARDS["pi4"], BUSES["edgetpu_pcie"]
    assert found["pi4"].milliseconds == pytest.approx(board.per_million_macs * macs + board.per_mb * moved)
    on_chip = latency.EDGETPU_PER_MILLION_MACS * macs + latency.EDGETPU_PER_MB * moved
    assert found["edgetpu_pcie"].milliseconds == pytest.approx(bus.fixed + bus.per_mb * moved + on_chip)


def test_order_of_the_targets_on_a_network_that_fits() -> None:
    tiny = TinyModel()
    image, out = tiny.tensor((1, 128, 128, 64)), tiny.tensor((1, 128, 128, 64))
    weights = tiny.tensor((64, 3, 3, 64), data=b"\1" * 64 * 64 * 9)
    tiny.op("CONV_2D", [image, weights], [out], options="Conv2DOptions", strideW=1, strideH=1)
    found = {name: guess.milliseconds for name, guess in estimates(parse_graph(tiny.content([image], [out]))).items()}
    assert found["edgetpu_pcie"] < found["pi4"]


def test_no_edge_tpu_estimate_where_nothing_maps() -> None:
    tiny = TinyModel()
    image, out = tiny.tensor((1, 4), "float32"), tiny.tensor((1, 4), "float32")
    tiny.op("RELU", [image], [out])
    assert set(estimates(parse_graph(tiny.content([image], [out])))) == set(BOARDS)
