"""Latency of model files on this machine.

After warming up, every model runs at least `min_runs` times and `min_seconds` (the habit of TensorFlow's
benchmark_model and of MLPerf Mobile). Several models take turns in blocks of about a tenth of a second, so that what
the machine does meanwhile hits them alike and the ratios hold even where the times do not. Start-up is measured in a
fresh process of its own: time to load, first inference, peak memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.errors import DelegateError, UsageError
from edgeseg.host import (
    CpuTimes,
    HostInfo,
    cpu_times,
    host_info,
    load_average,
    temperature,
    throttle_events,
    throttling,
)
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.zoo import resolve

_BLOCK_SECONDS = 0.1
_STARTUP_SECONDS = 300.0
_SPREAD_LIMIT = 1.25
"""p90 over p50 of a machine with nothing else to do stays below this."""
_OTHERS_LIMIT = 0.1
"""Share of the processors' time that other processes may take."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds of one inference."""

    mean: float
    p50: float
    p90: float
    p99: float
    min: float
    max: float


@dataclass(frozen=True, kw_only=True)
class Startup:
    """Start-up in a fresh process.

    Attributes:
        init_ms: Reading, checking and loading the file.
        first_ms: The first inference.
        peak_rss_bytes: The most memory the process held, Python and OpenCV included.
    """

    init_ms: float
    first_ms: float
    peak_rss_bytes: int


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One model's figures.

    Attributes:
        model: Path of the file.
        latency_ms: Of the network alone.
        preprocess_ms: p50 of a frame of `frame_size` into the input tensor.
        postprocess_ms: p50 of the output into a label map of the output's size.
        frame_size: (rows, columns).
        startup: See the class.
        runs: Inferences counted.
        warmup_runs: Inferences before those.
        threads: CPU threads.
        delegate: What ran the network.
        ratio: Latency p50 over that of the first model of the same call; 1 for the first itself.
        noise: Why the figures may be off; empty on a quiet machine.
        host: The machine.
    """

    model: Path
    latency_ms: Latency
    preprocess_ms: float
    postprocess_ms: float
    frame_size: tuple[int, int]
    startup: Startup
    runs: int
    warmup_runs: int
    threads: int
    delegate: str
    ratio: float
    noise: tuple[str, ...]
    host: HostInfo


def benchmark(
    models: Sequence[str | os.PathLike[str]],
    *,
    threads: int = 1,
    delegate: str | None = None,
    size: tuple[int, int] | None = None,
    min_runs: int = 50,
    min_seconds: float = 1.0,
    warmup_seconds: float = 0.5,
    frame_size: tuple[int, int] = (1080, 1920),
    advance: Callable[[int, int], None] | None = None,
) -> list[Benchmark]:
    """Measures models, taking turns.

    >>> import edgeseg
    >>> float32, int8 = edgeseg.benchmark(["float32.tflite", "int8.tflite"])  # doctest: +SKIP
    >>> int8.latency_ms.p50, int8.ratio  # doctest: +SKIP

    Args:
        models: Zoo names, model folders or files.
        threads: CPU threads.
        delegate: As `--delegate` takes it.
        size: (rows, columns) of the input, for networks that take any.
        min_runs: Inferences of each model, at least.
        min_seconds: Seconds of each model, at least.
        warmup_seconds: Seconds of each model that do not count.
        frame_size: (rows, columns) of the frame for `preprocess_ms`.
        advance: Called with (milliseconds measured, to be measured).

    Returns:
        A Benchmark for each model, in the same order.

    Raises:
        UsageError: No model, or a number below its least.
        ModelFileError: A file is missing, damaged or no segmentation network.
        DelegateError: The delegate cannot be loaded, or failed.
    """
    if not models:
        raise UsageError("no model to measure: name at least one")
    if min_runs < 1 or min_seconds < 0 or warmup_seconds < 0:
        raise UsageError(f"{min_runs} runs, {min_seconds} s, warm-up {warmup_seconds} s: expected at least 1, 0 and 0")
    files = [resolve(os.fspath(model)) for model in models]
    segmenters = [Segmenter(file, threads=threads, delegate=delegate, size=size) for file in files]
    startups = [_startup(file, threads, delegate, size) for file in files]
    frame = np.random.default_rng(0).integers(0, 256, (*frame_size, 3), np.uint8)
    for segmenter in segmenters:
        segmenter.prepare(frame)
    warmups = [_warm_up(segmenter, warmup_seconds) for segmenter in segmenters]
    before, throttled = (cpu_times(), os.times()), throttle_events()
    timings = _take_turns(segmenters, min_runs, min_seconds, advance)
    disturbed = _disturbances(*before, throttled)
    latencies = [_latency(timing) for timing in timings]
    return [
        Benchmark(
            model=model,
            latency_ms=latency,
            preprocess_ms=_median_ms(lambda s=segmenter: s.prepare(frame)),  # type: ignore[misc]
            postprocess_ms=_median_ms(segmenter.label_map),
            frame_size=frame_size,
            startup=startup,
            runs=len(timing),
            warmup_runs=warmup,
            threads=threads,
            delegate=segmenter.delegate,
            ratio=latency.p50 / latencies[0].p50,
            noise=tuple(disturbed + _spread(latency)),
            host=host_info(),
        )
        for model, segmenter, startup, warmup, timing, latency in zip(
            files, segmenters, startups, warmups, timings, latencies, strict=True
        )
    ]


def _warm_up(segmenter: Segmenter, seconds: float) -> int:
    runs, end = 0, time.perf_counter() + seconds
    while runs == 0 or time.perf_counter() < end:
        segmenter.invoke()
        runs += 1
    return runs


def _take_turns(
    segmenters: Sequence[Segmenter], min_runs: int, min_seconds: float, advance: Callable[[int, int], None] | None
) -> list[list[float]]:
    """Returns the seconds of each inference of each model."""
    timings: list[list[float]] = [[] for _ in segmenters]
    order = list(range(len(segmenters)))
    while order:
        for index in order:
            _run_block(segmenters[index], timings[index])
        if advance is not None:
            done = sum(min(sum(timing), min_seconds) for timing in timings)
            advance(round(done * 1000), round(min_seconds * len(segmenters) * 1000))
        short = any(len(timing) < min_runs or sum(timing) < min_seconds for timing in timings)
        order = order[::-1] if short else []
    return timings


def _run_block(segmenter: Segmenter, timing: list[float]) -> None:
    """One inference that fills the caches again, then as many timed ones as fit into a block."""
    segmenter.invoke()
    end = time.perf_counter() + _BLOCK_SECONDS
    while True:
        start = time.perf_counter()
        segmenter.invoke()
        stop = time.perf_counter()
        timing.append(stop - start)
        if stop >= end:
            return


def _latency(seconds: Sequence[float]) -> Latency:
    ms = np.asarray(seconds) * 1000
    p50, p90, p99 = (float(value) for value in np.percentile(ms, (50, 90, 99)))
    return Latency(mean=float(ms.mean()), p50=p50, p90=p90, p99=p99, min=float(ms.min()), max=float(ms.max()))


def _median_ms(step: Callable[[], Any], runs: int = 21) -> float:
    step()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds) * 1000)


def _disturbances(before: CpuTimes, own_before: os.times_result, throttled: int | None) -> list[str]:
    """Says what else went on while the models were measured."""
    found = []
    now, own = cpu_times(), os.times()
    if now.total is not None and before.total is not None and now.busy is not None and before.busy is not None:
        total = max(0.01, now.total - before.total)
        mine = own.user + own.system - own_before.user - own_before.system
        others = (now.busy - before.busy - mine) / total
        stolen = ((now.steal or 0) - (before.steal or 0)) / total
        if others > _OTHERS_LIMIT:
            found.append(f"other processes took {others:.0%} of the processors' time")
        if stolen > _OTHERS_LIMIT / 10:
            found.append(f"other virtual machines took {stolen:.0%} of the processors' time")
    elif (load := load_average()) is not None and load > host_info().cores:
        found.append(f"load average {load:.1f} on {host_info().cores} cores")
    if throttled is not None and (throttle_events() or 0) > throttled:
        found.append("the processor throttled for heat")
    if throttling():
        found.append(f"the board reports: {throttling()}")
    if host_info().governor not in ("", "performance", "schedutil"):
        found.append(f"CPU governor '{host_info().governor}': set 'performance'")
    return found


def _spread(latency: Latency) -> list[str]:
    spread = latency.p90 / latency.p50
    return [f"p90 is {spread:.2f} times p50"] if spread > _SPREAD_LIMIT else []


def _startup(model: Path, threads: int, delegate: str | None, size: tuple[int, int] | None = None) -> Startup:
    request = json.dumps({"model": str(model), "threads": threads, "delegate": delegate, "size": size})
    command = [sys.executable, "-m", "edgeseg.measure.startup", request]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_STARTUP_SECONDS, check=True)
    except subprocess.TimeoutExpired as error:
        raise DelegateError(f"{model} did not finish its first inference in {_STARTUP_SECONDS:.0f} s") from error
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]
        raise DelegateError(f"{model} failed in a fresh process: {reason}") from error
    return Startup(**json.loads(done.stdout))


def as_json(result: Benchmark) -> dict[str, Any]:
    """Returns the JSON object of `edgeseg bench` for one model."""
    return {
        "model": str(result.model),
        "latency_ms": vars(result.latency_ms),
        "preprocess_ms": result.preprocess_ms,
        "postprocess_ms": result.postprocess_ms,
        "frame_size": list(result.frame_size),
        **vars(result.startup),
        "runs": result.runs,
        "warmup_runs": result.warmup_runs,
        "threads": result.threads,
        "delegate": result.delegate,
        "ratio": result.ratio,
        "host": {**vars(result.host), "load_average": load_average(), "temperature_c": temperature()},
        "noisy": bool(result.noise),
        "noise": list(result.noise),
    }
