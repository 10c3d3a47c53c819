"""An estimate of what a model takes on the Edge TPU: parameters kept on the chip or streamed, and activations.

The chip has 16 tiles of 196,608 bytes for activations (`beagle_chip_structures.h` in google-coral/libedgetpu) and about
8 MB that hold the parameters and the program. What of the parameters does not fit is sent again for every frame.

The size of the compiled parameters is fitted to 14 files of the real compiler between 0.1 and 3.7 MB: their weights
with output channels filled up to 16 and input channels to 4, plus some bytes for each channel and layer. It is within
7 % of them all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edgeseg.tflite.graph import Operator, Subgraph

ACTIVATION_CAPACITY = 16 * 196_608
PARAMETER_CAPACITY = 7_200_000
"""Bytes for parameters in a typical network: 'used' plus 'remaining' in compiler logs is 6.2 to 7.7 MiB, 3.0 in one."""

_BYTES_PER_DEPTHWISE_WEIGHT = 3.4
_BYTES_PER_CHANNEL = 10.6
_BYTES_PER_CHANNEL_SCALE = 7.5
_BYTES_PER_LAYER = 1_350
_WEIGHT_FACTOR = 0.974


@dataclass(frozen=True, kw_only=True)
class Memory:
    """An estimate of the memory that a model's part on the Edge TPU takes.

    Attributes:
        parameter_bytes: Compiled parameters.
        cached_bytes: Of these, what stays on the chip.
        streamed_bytes: Of these, what is sent anew for every frame.
        activation_bytes: The most that activations take at any time, untiled.
        activation_capacity: What the chip has for them; where they exceed it, the compiler works in strips, and may
            fail with "large activation tensors".
    """

    parameter_bytes: int
    cached_bytes: int
    streamed_bytes: int
    activation_bytes: int
    activation_capacity: int = ACTIVATION_CAPACITY


def estimate(subgraph: Subgraph, mapped: Iterable[int]) -> Memory:
    """Estimates the memory for the operators `mapped` of a graph."""
    indices = sorted(mapped)
    parameters = round(sum(_parameter_bytes(subgraph, subgraph.operators[i]) for i in indices))
    cached = min(parameters, PARAMETER_CAPACITY)
    return Memory(
        parameter_bytes=parameters,
        cached_bytes=cached,
        streamed_bytes=parameters - cached,
        activation_bytes=_peak(subgraph, indices),
    )


def _parameter_bytes(subgraph: Subgraph, operator: Operator) -> float:
    weights = subgraph.tensor_at(operator, 1)
    if weights is None or not weights.shape or not weights.is_constant:
        return 0.0
    if operator.op == "DEPTHWISE_CONV_2D":
        channels = _up(weights.shape[-1], 16)
        size = _BYTES_PER_DEPTHWISE_WEIGHT * channels * math.prod(weights.shape[1:-1])
    elif operator.op in ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"):
        channels = _up(weights.shape[0], 16)
        size = _WEIGHT_FACTOR * channels * math.prod(weights.shape[1:-1]) * _up(weights.shape[-1], 4)
    else:
        return 0.0
    per_channel = weights.quantization is not None and weights.quantization.per_channel
    scale = _BYTES_PER_CHANNEL_SCALE if per_channel else 0.0
    return size + (_BYTES_PER_CHANNEL + scale) * channels + _BYTES_PER_LAYER


def _peak(subgraph: Subgraph, indices: list[int]) -> int:
    last_read: dict[int, int] = {}
    for op in subgraph.operators:
        for tensor in op.inputs:
            last_read[tensor] = op.index
    live: set[int] = set()
    held = peak = 0
    for i in indices:
        op = subgraph.operators[i]
        touched = {t for t in (*op.inputs, *op.outputs) if t >= 0 and not subgraph.tensors[t].is_constant}
        held += sum(subgraph.tensors[t].bytes for t in touched - live)
        live |= touched
        peak = max(peak, held)
        done = {t for t in touched if last_read.get(t, -1) <= i}
        held -= sum(subgraph.tensors[t].bytes for t in done)
        live -= done
    return peak


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
