"""The integer file of a network and its float file: which tensor is which, and taking over weights and ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32
from edgeseg.conversion.integer_file import BIAS, IntegerFile, Scale

Ranges = dict[int, Float32]
"""The least and the largest value of each channel of a tensor, (2, channels), by the tensor's number."""
Run = Callable[[bytes, Sequence[npt.NDArray[Any]]], Iterator[list[npt.NDArray[Any]]]]
"""Runs a file on inputs; yields its outputs."""


def requantized(content: bytes, floating: bytes, ranges: Ranges) -> bytes | None:
    """Gives an integer file the weights of a float file of its graph, and its activations the ranges that it measured.

    Returns:
        The file; None where the two graphs are not the same.
    """
    file, reference = IntegerFile(content), IntegerFile(floating)
    twins = twin_tensors(file, reference)
    if twins is None:
        return None
    for group in file.groups():
        members = [ranges[twins[t]] for t in group if twins.get(t) in ranges]
        if members:
            low, high = min(float(r[0].min()) for r in members), max(float(r[1].max()) for r in members)
            file.rescale(group, Scale.of_range(low, high))
    theirs = [n for n, op in enumerate(reference.operators) if op.name in BIAS]
    ours = [n for n, op in enumerate(file.operators) if op.name in BIAS]
    for mine, its in zip(ours, theirs, strict=True):
        file.set_weights(mine, reference.weights(its), reference.bias(its))
    return file.content()


def twin_tensors(file: IntegerFile, reference: IntegerFile) -> dict[int, int] | None:
    """Pairs each activation of an integer file with that of the float file; None where the graphs differ."""
    twins = dict(zip(file.inputs, reference.inputs, strict=True))
    theirs = iter(reference.operators)
    for op in file.operators:
        if op.name in ("QUANTIZE", "DEQUANTIZE"):
            twins[op.outputs[0]] = twins[op.inputs[0]]
            continue
        its = next(theirs, None)
        if its is None or its.name != op.name or len(its.outputs) != len(op.outputs):
            return None
        if any(twins[a] != b for a, b in zip(op.inputs, its.inputs, strict=False) if a in twins):
            return None
        twins.update(zip(op.outputs, its.outputs, strict=True))
    return None if next(theirs, None) else twins


def channel_ranges(file: IntegerFile, tensors: Sequence[int], run: Run, inputs: Sequence[npt.NDArray[Any]]) -> Ranges:
    """Measures the range of each channel of some tensors of a float file."""
    low = [np.full(file.shape(tensor)[-1], np.inf, np.float32) for tensor in tensors]
    high = [-bottom for bottom in low]
    for arrays in run(file.content(tensors), inputs):
        for array, bottom, top in zip(arrays, low, high, strict=True):
            flat = array.reshape(-1, array.shape[-1])
            np.minimum(bottom, flat.min(0), out=bottom)
            np.maximum(top, flat.max(0), out=top)
    return {tensor: np.stack(pair) for tensor, *pair in zip(tensors, low, high, strict=True)}
