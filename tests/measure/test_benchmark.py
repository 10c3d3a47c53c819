"""Benchmarks: figures that fit together, models taking turns, and honesty about a noisy machine."""

import json

import numpy as np
import pytest
from tiny_models import colour_model

from edgeseg.errors import DelegateError, ModelFileError, UsageError
from edgeseg.host import CpuTimes
from edgeseg.measure import benchmark as module
from edgeseg.measure.benchmark import as_json, benchmark


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A small network and one with a hundred times its pixels."""
    folder = tmp_path_factory.mktemp("models")
    small, large = folder / "small.tflite", folder / "large.tflite"
    small.write_bytes(colour_model(32, 48))
    large.write_bytes(colour_model(320, 480))
    return small, large


@pytest.fixture(scope="module")
def results(models):
    return benchmark(models, min_runs=20, min_seconds=0.2, warmup_seconds=0.05, frame_size=(480, 640))


def test_figures_fit_together(results):
    for result in results:
        latency = result.latency_ms
        assert 0 < latency.min <= latency.p50 <= latency.p90 <= latency.p99 <= latency.max
        assert latency.min <= latency.mean <= latency.max
        assert result.runs >= 20
        assert result.warmup_runs >= 1
        assert result.startup.init_ms > 0
        assert result.startup.first_ms > 0
        assert result.startup.peak_rss_bytes > 20e6  # Python and NumPy alone take that
        assert result.preprocess_ms > 0
        assert result.postprocess_ms > 0


def test_ratios_are_to_the_first(results):
    assert results[0].ratio == 1.0
    assert results[1].ratio == pytest.approx(results[1].latency_ms.p50 / results[0].latency_ms.p50)
    assert results[1].ratio > 5


def test_time_and_number_of_runs_are_both_least(models):
    long = benchmark(models[:1], min_runs=1, min_seconds=0.3, warmup_seconds=0)[0]
    assert long.runs * long.latency_ms.mean >= 300
    many = benchmark(models[:1], min_runs=2000, min_seconds=0, warmup_seconds=0)[0]
    assert many.runs >= 2000


def test_the_json_has_the_promised_keys(results):
    value = json.loads(json.dumps(as_json(results[0])))
    promised = {"latency_ms", "init_ms", "first_ms", "runs", "warmup_runs", "threads", "delegate", "peak_rss_bytes"}
    assert promised | {"host", "noisy"} <= value.keys()
    assert value["latency_ms"].keys() == {"mean", "p50", "p90", "p99", "min", "max"}
    assert value["delegate"] == "xnnpack"
    assert {"machine", "cpu", "cores", "governor", "kernel", "python"} <= value["host"].keys()
    assert value["noisy"] is bool(value["noise"])


def test_the_command(cli, models):
    done = cli("bench", models[0], "--runs", "3", "--seconds", "0", "--warmup", "0", "--delegate", "none", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["delegate"] == "none"
    assert done.json["runs"] >= 3
    both = cli("bench", *models, "--runs", "3", "--seconds", "0", "--warmup", "0", "--json")
    assert both.json["results"][0]["ratio"] == 1.0


def test_what_is_wrong(cli, models, tmp_path):
    (tmp_path / "text.tflite").write_text("not a model")
    assert "not a .tflite model" in cli("bench", tmp_path / "text.tflite").error
    assert "0 threads" in cli("bench", models[0], "--threads", "0").error
    assert "0 runs" in cli("bench", models[0], "--runs", "0").error
    with pytest.raises(UsageError, match="no model"):
        benchmark([])
    with pytest.raises(ModelFileError):
        benchmark([tmp_path / "text.tflite"])


# === Noise ===


def test_a_wide_spread_is_noise():
    quiet = module._latency(np.full(100, 0.01))
    assert module._spread(quiet) == []
    wide = module._latency(np.concatenate([np.full(80, 0.01), np.full(20, 0.02)]))
    assert module._spread(wide) == ["p90 is 2.00 times p50"]


def test_others_at_work_are_noise(monkeypatch):
    import os

    now = os.times()
    monkeypatch.setattr(module, "cpu_times", lambda: CpuTimes(busy=1600, steal=50, total=2000))
    found = module._disturbances(CpuTimes(busy=1000, steal=0, total=1000), now, None)
    assert any("other processes took 60%" in line for line in found)
    assert any("other virtual machines took 5%" in line for line in found)


def test_throttling_and_governor_are_noise(monkeypatch):
    import os
    from dataclasses import replace

    powersave = replace(module.host_info(), governor="powersave")
    monkeypatch.setattr(module, "host_info", lambda: powersave)
    monkeypatch.setattr(module, "throttle_events", lambda: 7)
    monkeypatch.setattr(module, "throttling", lambda: "under-voltage")
    found = module._disturbances(module.cpu_times(), os.times(), 3)
    assert any("throttled for heat" in line for line in found)
    assert any("under-voltage" in line for line in found)
    assert any("'powersave'" in line for line in found)


def test_a_start_that_fails_in_its_own_process_is_told(tmp_path):
    with pytest.raises(DelegateError, match="failed in a fresh process"):
        module._startup(tmp_path / "absent.tflite", 1, None)
