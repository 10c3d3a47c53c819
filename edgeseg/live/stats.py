"""The figures of a run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class LossRecord:
    """One time that the source was away.

    Attributes:
        at_s: When it was noticed, seconds since the run began.
        lasted_s: Seconds until the next frame; None if it never came.
        reason: What was noticed.
    """

    at_s: float
    lasted_s: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class RunStats:
    """What a run did, so far or altogether.

    Attributes:
        frames: Masks made.
        dropped: Frames of a live source that were left out, because newer ones came.
        invalid: Results told while the source or the accelerator was away.
        reconnects: How often a lost source came back.
        fps: Masks per second, from the first to the last.
        wall_s: Seconds from beginning to end.
        stages_ms: {stage: {p50, p90, p99, mean}} in milliseconds, None where nothing was counted; see `StageTimes`.
        ended: Why: "frames", "seconds", "end of source", a signal's name, "error: ...", ...; "running" before.
        losses: When the source was away: the last hundred times.
        source: What the source is called.
        frame_size: (rows, columns) of the last frame.
        model: The file that ran at the end.
        delegate: What ran it at the end.
        delegate_failures: How often an accelerator failed.
        threads: CPU threads of inference.
        outputs_stopped: Why outputs ended before the run did.
        temperature_c: Of the processor, degrees Celsius; None where the machine does not tell.
        throttling: What the machine says of throttling; None where it does not tell.
        smoothing: What smoothing did (`SmoothingFigures`); None without it.
        stuck: Whether a thread hangs in a call that never returned: the process cannot end by itself then.
    """

    frames: int
    dropped: int
    invalid: int
    reconnects: int
    fps: float
    wall_s: float
    stages_ms: dict[str, dict[str, float | None]]
    ended: str
    losses: tuple[LossRecord, ...]
    source: str
    frame_size: tuple[int, int]
    model: str
    delegate: str
    delegate_failures: int
    threads: int
    outputs_stopped: tuple[str, ...]
    temperature_c: float | None
    throttling: Any
    smoothing: dict[str, float] | None = None
    stuck: bool = False

    def as_json(self) -> dict[str, Any]:
        """Returns it as `--stats` writes it: without `smoothing` where nothing was smoothed."""
        record = dataclasses.asdict(self)
        if self.smoothing is None:
            del record["smoothing"]
        return record
