"""An ESTIMATE of a model's latency on boards with an Edge TPU and on the Raspberry Pi 4, from its list of operators.

The coefficients are fitted to published figures (`benchmarks/fit_latency.py` holds the figures and sources, and prints
the errors): ms for each million multiply-accumulates, for each MB of activations, and, for the Edge TPU, for each MB
that crosses the bus. `ERRORS` says how far off the fit is for a network that it has not seen, each left out in turn, of
classifiers nearly all of them; `SEGMENTATION_RATIO` how much slower the few published segmentation networks were than
the estimate. Nothing but a measurement on the board (`edgeseg bench`) tells the truth.

A board gets an estimate if at least `FEWEST_FIGURES` are published and no network left out is missed by more than
`MOST_TIMES_OFF`. The others are in `WITHHELD`, with the errors that keep them out.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.tflite import cost
from edgeseg.tflite.edgetpu import memory as edgetpu_memory
from edgeseg.tflite.edgetpu.predict import Prediction
from edgeseg.tflite.graph import Graph, Operator, Subgraph
from edgeseg.tflite.xnnpack import Coverage


@dataclass(frozen=True, kw_only=True)
class Bus:
    """How an Edge TPU is attached: ms for each call, and for each MB of input, output and streamed parameters."""

    label: str
    fixed: float
    per_mb: float


@dataclass(frozen=True, kw_only=True)
class Board:
    """A CPU with 4 threads and int8: ms for each million multiply-accumulates, and for each MB of activations."""

    label: str
    per_million_macs: float
    per_mb: float


@dataclass(frozen=True, kw_only=True)
class Error:
    """How far off the fit is for networks that it has not seen, each left out of it in turn.

    Attributes:
        figures: How many are published.
        median: Median relative error.
        worst_times: How many times too much or too little at worst.
    """

    figures: int
    median: float
    worst_times: float


@dataclass(frozen=True, kw_only=True)
class Withheld:
    """A board that gets no estimate, and the error that an estimate would have."""

    label: str
    error: Error


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An estimated latency: where, milliseconds, and the error of the fit it rests on."""

    target: str
    label: str
    milliseconds: float
    error: Error


EDGETPU_PER_MILLION_MACS = 0.001275
EDGETPU_PER_MB = 0.1178

BUSES: dict[str, Bus] = {
    "edgetpu_pcie": Bus(label="Edge TPU on PCIe (Coral Dev Board)", fixed=0.164, per_mb=2.149),
}
BOARDS: dict[str, Board] = {
    "pi4": Board(label="Raspberry Pi 4, 4 threads", per_million_macs=0.039936, per_mb=0.8175),
}
FEWEST_FIGURES = 4
MOST_TIMES_OFF = 3.0
ERRORS: dict[str, Error] = {
    "edgetpu_pcie": Error(figures=16, median=0.15, worst_times=2.8),
    "pi4": Error(figures=4, median=0.21, worst_times=1.3),
}
WITHHELD: dict[str, Withheld] = {
    "edgetpu_usb3": Withheld(
        label="Edge TPU on USB 3 (Raspberry Pi 4)", error=Error(figures=4, median=0.24, worst_times=3.6)
    ),
    "edgetpu_usb2": Withheld(
        label="Edge TPU on USB 2 (Raspberry Pi 3 B+)", error=Error(figures=4, median=0.36, worst_times=13.8)
    ),
    "pi5": Withheld(label="Raspberry Pi 5", error=Error(figures=3, median=0.74, worst_times=3.8)),
}

SEGMENTATION_RATIO = (1.8, 3.9)
"""Published figures of segmentation networks (DeepLab v3, U-Net; runtimes of 2019 and 2020) over these estimates."""

HOST = "pi4"
"""The board that is taken to compute what the Edge TPU leaves, whatever the bus."""

FLOAT_FACTOR = 3.1
"""Float32 against int8 on the same CPU: 2.8 and 3.5 times on two segmentation networks (x86-64, one thread)."""

UNDELEGATED_FACTOR = 6.5
"""TFLite's own kernels against XNNPACK: int8 is 6 to 7 times slower without it."""


def estimate(graph: Graph, prediction: Prediction, coverage: Coverage) -> tuple[Estimate, ...]:
    """Estimates the latency on all targets.

    Args:
        graph: The model.
        prediction: What the Edge TPU takes of it; its targets are left out where that is nothing, or where the file is
            compiled, so that the operators cannot be seen.
        coverage: What XNNPACK takes of it.
    """
    main = graph.main
    if prediction.is_compiled:
        return ()
    everything = range(len(main.operators))
    estimates = [
        Estimate(
            target=name,
            label=board.label,
            milliseconds=sum(_cpu(main, main.operators[i], board, coverage.reasons[i] is None) for i in everything),
            error=ERRORS[name],
        )
        for name, board in BOARDS.items()
    ]
    if prediction.mapped:
        estimates += [_edgetpu(main, prediction, coverage, name) for name in BUSES]
    return tuple(estimates)


def _edgetpu(subgraph: Subgraph, prediction: Prediction, coverage: Coverage, name: str) -> Estimate:
    bus, host = BUSES[name], BOARDS[HOST]
    milliseconds = 0.0
    for segment in prediction.segments:
        spent = sum((cost.operator_cost(subgraph, subgraph.operators[i]) for i in segment), cost.Cost())
        streamed = edgetpu_memory.estimate(subgraph, segment).streamed_bytes
        milliseconds += bus.fixed + bus.per_mb * (_crossing(subgraph, segment) + streamed) / 1e6
        milliseconds += EDGETPU_PER_MILLION_MACS * spent.macs / 1e6 + EDGETPU_PER_MB * spent.activation_bytes / 1e6
    for verdict in prediction.verdicts:
        if not verdict.mapped:
            op = subgraph.operators[verdict.index]
            milliseconds += _cpu(subgraph, op, host, coverage.reasons[verdict.index] is None)
    return Estimate(target=name, label=bus.label, milliseconds=milliseconds, error=ERRORS[name])


def _cpu(subgraph: Subgraph, operator: Operator, board: Board, delegated: bool) -> float:
    spent = cost.operator_cost(subgraph, operator)
    in_float = any(t.is_float for t in subgraph.outputs_of(operator))
    macs = board.per_million_macs * spent.macs / 1e6 * (FLOAT_FACTOR if in_float else 1.0)
    milliseconds = macs + board.per_mb * spent.activation_bytes / 1e6
    return milliseconds if delegated else milliseconds * UNDELEGATED_FACTOR


def _crossing(subgraph: Subgraph, segment: tuple[int, ...]) -> int:
    """Returns the bytes that a part on the Edge TPU takes in and gives out."""
    inside = set(segment)
    made = {t for i in segment for t in subgraph.operators[i].outputs}
    read = {t for i in segment for t in subgraph.operators[i].inputs if t >= 0}
    wanted = {t for op in subgraph.operators if op.index not in inside for t in op.inputs} | set(subgraph.outputs)
    taken = {t for t in read - made if not subgraph.tensors[t].is_constant}
    return sum(subgraph.tensors[t].bytes for t in taken | (made & wanted))
