"""Percentiles of stage times in fixed memory, for runs of any length."""

from __future__ import annotations

import math
import threading

import numpy as np

_LEAST_MS = 1e-3
_STEP = 1.01  # bins 1 % wide: a percentile is off by at most 0.5 %
_LOG_STEP = math.log(_STEP)
_BINS = 2100  # up to 20 minutes
STAGES = ("capture", "preprocess", "invoke", "postprocess", "refine", "render", "end_to_end", "shown")


class Histogram:
    """Counts of times on a logarithmic scale from a microsecond up."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._total = 0
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Counts one time."""
        ms = seconds * 1000
        place = 0 if ms <= _LEAST_MS else int(math.log(ms / _LEAST_MS) / _LOG_STEP)
        self._counts[min(place, _BINS - 1)] += 1
        self._total += 1
        self._sum += ms

    def percentile(self, percent: float) -> float | None:
        """Returns the time in milliseconds that `percent` of the counted ones do not exceed; None if none was."""
        if not self._total:
            return None
        place = int(np.searchsorted(np.cumsum(self._counts), percent / 100 * self._total))
        return float(_LEAST_MS * _STEP ** (min(place, _BINS - 1) + 0.5))

    def summary(self) -> dict[str, float | None]:
        """Returns {p50, p90, p99, mean} in milliseconds; None where nothing was counted."""
        summary = {f"p{percent}": self.percentile(percent) for percent in (50, 90, 99)}
        summary["mean"] = self._sum / self._total if self._total else None
        return summary


class StageTimes:
    """A histogram for each stage; safe from several threads.

    Stages: capture (reading or decoding), preprocess, invoke, postprocess (to the label map, refining left out),
    refine (CRF), render (overlay), end_to_end (capture stamp to mask ready), shown (capture stamp to all outputs
    written).
    """

    def __init__(self) -> None:
        self._stages = {stage: Histogram() for stage in STAGES}
        self._lock = threading.Lock()

    def add(self, **seconds: float) -> None:
        """Counts one time of each named stage."""
        with self._lock:
            for stage, value in seconds.items():
                self._stages[stage].add(value)

    def summary(self) -> dict[str, dict[str, float | None]]:
        """Returns {stage: {p50, p90, p99, mean}} in milliseconds."""
        with self._lock:
            return {stage: histogram.summary() for stage, histogram in self._stages.items()}

    def p50(self, stage: str) -> float | None:
        """Returns the median of a stage in milliseconds."""
        with self._lock:
            return self._stages[stage].percentile(50)
