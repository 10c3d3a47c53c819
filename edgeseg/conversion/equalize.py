"""Cross-layer equalization: channels of one tensor get like ranges, the network computes the same.

A channel may be multiplied by any gain > 0 where it is produced and divided by it where it is read. Eight bits for a
whole tensor serve all its channels well only if their ranges are alike: Nagel, van Baalen, Blankevoort, Welling, "Data-
Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section 4.1. The paper equalizes pairs of
layers; here the gains of all channels are one least-squares problem in their logarithms, so that branches, residual
additions and concatenations, whose channels share a gain, need no case of their own.

It works on the float file that the converter made: batch normalisation is folded there, activations are fused.

**ReLU6** cuts at 6, so its channels keep their function only under some gains. A channel that reached 6 on the
calibration images keeps its gain of 1; another may grow until it would. A cut of each channel's own would be MINIMUM
with a constant, which XNNPACK does not run in int8 (`tflite.xnnpack`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32
from edgeseg.conversion.integer_file import BIAS, IntegerFile
from edgeseg.conversion.twins import Ranges, twin_tensors
from edgeseg.tflite.graph import Operator, parse_graph

Gains = dict[int, npt.NDArray[np.float64]]
"""What each channel of a tensor is multiplied by, by the tensor's number."""

_SAME_CHANNELS = frozenset(
    {"ADD", "SUB", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "MEAN", "MAX_POOL_2D", "AVERAGE_POOL_2D", "PAD",
     "RELU", "LEAKY_RELU", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"}
)  # fmt: skip
"""Operators that multiply by a channel's gain what they are given with it."""
_HOMOGENEOUS = frozenset({"NONE", "RELU"})
_CUT = 6.0
_ROOM = 1.1
"""How far below the cut of ReLU6 a channel's largest value is kept."""
_SWEEPS = 30
_LARGEST_GAIN = 2.0**16
_SAME = 0.005
"""What rounding alone may do to the ratio of a float and an integer kernel."""


def kernel_axes(op: str) -> tuple[int | None, int]:
    """Returns which axes of a kernel, in the file's layout, are input channels (None: the same) and output channels."""
    return {"CONV_2D": (3, 0), "TRANSPOSE_CONV": (3, 0), "FULLY_CONNECTED": (1, 0), "DEPTHWISE_CONV_2D": (None, 3)}[op]


def equalized(content: bytes, ranges: Ranges, *, per_tensor: bool = False) -> tuple[bytes, Ranges, int]:
    """Equalizes a float file.

    Args:
        content: The float32 file.
        ranges: Of every operator's outputs, see `twins.channel_ranges`.
        per_tensor: Whether a kernel is to have one scale; else each of its output channels has its own.

    Returns:
        A file of the same function and graph, its ranges, and how many channels have another gain.
    """
    gains = _Problem(content, ranges, per_tensor=per_tensor).solve()
    file = IntegerFile(content)
    _apply(file, gains)
    scaled_ranges = {t: (r * gains[t]).astype(np.float32) if t in gains else r for t, r in ranges.items()}
    changed_channels = sum(int((np.abs(np.log2(gain)) > 0.01).sum()) for gain in gains.values())
    return file.content(), scaled_ranges, changed_channels


def _apply(file: IntegerFile, gains: Gains) -> None:
    """Gives the channels of a float file's activations other gains."""
    for number, op in enumerate(file.operators):
        if op.name not in BIAS:
            continue
        kernel, bias = file.weights(number), file.bias(number)
        given = gains.get(op.inputs[BIAS[op.name][0]], np.ones(1))
        wanted = gains.get(op.outputs[0], np.ones(1))
        changed = scaled(op.name, kernel, given, wanted)
        file.set_weights(number, changed, None if bias is None else (bias * wanted).astype(np.float32))


def scaled(op: str, kernel: Float32, given: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> Float32:
    """Returns a kernel that takes inputs multiplied by `given` and gives outputs multiplied by `wanted`."""
    reading, producing = kernel_axes(op)
    channels = kernel.shape[producing]
    factor = np.broadcast_to(wanted, channels)
    if reading is None:
        return np.asarray(kernel * (factor / np.repeat(given, channels // len(given))), np.float32)
    shape = [1] * kernel.ndim
    shape[reading] = -1
    divided = kernel / given.reshape(shape)
    shape = [1] * kernel.ndim
    shape[producing] = -1
    return np.asarray(divided * factor.reshape(shape), np.float32)


class _Problem:
    """Gains of a graph: one unknown, its logarithm, for each set of channels that share it; 0 where it is fixed."""

    def __init__(self, content: bytes, ranges: Ranges, *, per_tensor: bool) -> None:
        self._file, self._graph, self._per_tensor = IntegerFile(content), parse_graph(content).main, per_tensor
        self._ranges = {t: np.abs(r).max(0).astype(np.float64) for t, r in ranges.items()}
        sizes = {t: self._graph.tensors[t].shape[-1] for t in ranges}
        starts = np.cumsum([0, *sizes.values()])
        self._places = {t: slice(a, a + sizes[t]) for t, a in zip(sizes, starts, strict=False)}
        self._parent = np.arange(starts[-1])
        self._fixed = np.zeros(starts[-1], bool)
        self._cap = np.full(starts[-1], np.log(_LARGEST_GAIN))
        for op in self._graph.operators:
            self._constrain(op)
        for tensor in (*self._graph.outputs, self._file.logits):
            self._fix(tensor)
        roots = np.array([self._root(n) for n in range(len(self._parent))])
        _, self._unknown = np.unique(roots, return_inverse=True)
        count = int(self._unknown.max(initial=-1)) + 1
        self._is_fixed = np.bincount(self._unknown, self._fixed, count) > 0
        self._caps = np.full(count, np.inf)
        np.minimum.at(self._caps, self._unknown, self._cap)

    def solve(self) -> Gains:
        """Returns the gains that make the channels of activations and kernels most alike."""
        logs = np.zeros(len(self._is_fixed))
        for _ in range(_SWEEPS):
            wish, votes = np.zeros_like(logs), np.zeros_like(logs)
            for unknown, sign, log_range in self._measures(logs):
                told = np.isfinite(log_range)
                level = log_range[told].mean() if told.any() else 0.0
                np.add.at(wish, unknown[told], sign * (level - log_range[told]))
                np.add.at(votes, unknown[told], 1.0)
            logs = np.clip(logs + 0.7 * wish / np.maximum(votes, 1.0), -np.log(_LARGEST_GAIN), self._caps)
            logs[self._is_fixed] = 0.0
        return {t: np.exp(logs[self._unknown[place]]) for t, place in self._places.items()}

    def draw(self, rng: np.random.Generator, octaves: float) -> Gains:
        """Returns gains drawn at random, 1 where any other would have to be looked after."""
        free = ~self._is_fixed & (self._caps >= np.log(_LARGEST_GAIN))
        logs = np.where(free, rng.uniform(-octaves, octaves, len(free)) * np.log(2), 0.0)
        return {t: np.exp(logs[self._unknown[place]]) for t, place in self._places.items()}

    def _measures(self, logs: npt.NDArray[Any]) -> Iterator[tuple[npt.NDArray[Any], int, npt.NDArray[Any]]]:
        """Yields, for each tensor to be quantized, its unknowns, whether they grow it, and its channels' log ranges."""
        gains = {t: np.exp(logs[self._unknown[place]]) for t, place in self._places.items()}
        with np.errstate(divide="ignore"):
            for tensor, place in self._places.items():
                yield self._unknown[place], 1, np.log(self._ranges[tensor] * gains[tensor])
            for number, op in enumerate(self._file.operators):
                if op.name not in BIAS:
                    continue
                reading, output = op.inputs[BIAS[op.name][0]], op.outputs[0]
                in_axis, out_axis = kernel_axes(op.name)
                given, wanted = gains.get(reading, np.ones(1)), gains[output]
                kernel = np.abs(scaled(op.name, self._file.weights(number), given, wanted))
                if self._per_tensor:
                    rows = kernel.max(tuple(n for n in range(kernel.ndim) if n != out_axis))
                    yield self._unknown[self._places[output]], 1, np.log(rows)
                else:
                    kernel = kernel / np.maximum(kernel.max(_others(kernel, out_axis), keepdims=True), 1e-30)
                if reading in self._places and (in_axis is not None or self._per_tensor):
                    columns = kernel.max(_others(kernel, out_axis if in_axis is None else in_axis))
                    unknown = self._unknown[self._places[reading]]
                    yield np.repeat(unknown, len(columns) // len(unknown)), -1, np.log(columns)

    def _constrain(self, op: Operator) -> None:
        """Ties or fixes the channels that an operator touches."""
        outputs, activation = [t for t in op.outputs if t in self._places], str(op.options.get("activation", "NONE"))
        reads = [t for t in op.inputs if t in self._places]
        if op.op in BIAS and activation in (*_HOMOGENEOUS, "RELU6"):
            if activation == "RELU6":
                self._keep_below_cut(op.outputs[0])
            reading = op.inputs[BIAS[op.op][0]]
            channels = kernel_axes(op.op)[0]
            flattened = (
                channels is not None
                and self._graph.tensors[op.inputs[1]].shape[channels] != self._graph.tensors[reading].shape[-1]
            )
            for tensor in reads:
                if tensor != reading or flattened:  # a kernel that is computed; rows and columns among the channels
                    self._fix(tensor)
            return
        widths = {self._width(t) for t in (*reads, *outputs)}
        constant = [
            t for t in op.inputs if t >= 0 and t not in self._places and self._graph.tensors[t].dtype == "float32"
        ]
        if op.op == "MUL" and activation in _HOMOGENEOUS:
            self._scale(op, reads)
        elif op.op == "CONCATENATION" and self._joins_channels(op):
            start = 0
            for tensor in op.inputs:
                self._tie(tensor, op.outputs[0], start)
                start += self._width(tensor)
        elif (
            op.op in _SAME_CHANNELS | {"CONCATENATION"}
            and activation in _HOMOGENEOUS
            and len(widths) == 1
            and not constant
        ):
            for tensor in (*reads, *outputs[1:]):
                self._tie(tensor, outputs[0], 0)
        else:
            for tensor in (*reads, *outputs):
                self._fix(tensor)

    def _scale(self, op: Operator, reads: list[int]) -> None:
        """A product has the gains of the map that it multiplies; its other factor, such as a gate, keeps its own."""
        output = op.outputs[0]
        maps = [t for t in reads if self._graph.tensors[t].shape == self._graph.tensors[output].shape]
        once = [t for t in maps if reads.count(t) == 1]
        for tensor in reads:
            if tensor not in once[:1]:
                self._fix(tensor)
        if once:
            self._tie(once[0], output, 0)
        else:
            self._fix(output)

    def _joins_channels(self, op: Operator) -> bool:
        rank = len(self._graph.tensors[op.outputs[0]].shape)
        own = all(t in self._places for t in op.inputs) and op.options.get("activation", "NONE") in _HOMOGENEOUS
        return own and op.options["axis"] in (rank - 1, -1)

    def _keep_below_cut(self, tensor: int) -> None:
        largest, place = self._ranges[tensor], self._places[tensor]
        self._fixed[place] |= largest * _ROOM >= _CUT
        self._cap[place] = np.log(np.minimum(_CUT / np.maximum(largest * _ROOM, 1e-9), _LARGEST_GAIN))

    def _width(self, tensor: int) -> int:
        place = self._places[tensor]
        return int(place.stop - place.start)

    def _fix(self, tensor: int) -> None:
        if tensor in self._places:
            self._fixed[self._places[tensor]] = True

    def _tie(self, tensor: int, output: int, start: int) -> None:
        if tensor not in self._places:
            self._fixed[self._places[output]] = True
            return
        first = self._places[output].start + start
        for channel, number in enumerate(range(self._places[tensor].start, self._places[tensor].stop)):
            self._parent[self._root(number)] = self._root(first + channel)

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = int(self._parent[number])
        return number


def _others(kernel: npt.NDArray[Any], axis: int) -> tuple[int, ...]:
    return tuple(n for n in range(kernel.ndim) if n != axis)


def equalized_like(floating: bytes, content: bytes) -> bytes:
    """Gives a float file the gains with which its integer file was equalized, read from the kernels of both.

    Returns:
        The float file, of the same function; as it is where the two graphs differ or the gains are 1.
    """
    file, reference = IntegerFile(content), IntegerFile(floating)
    if twin_tensors(file, reference) is None:
        return floating
    ours = iter([n for n, op in enumerate(file.operators) if op.name in BIAS])
    gains: Gains = {}
    for number, op in enumerate(reference.operators):
        reads = [gains[t] for t in op.inputs if t in gains]
        (output, *_), channels = op.outputs, reference.shape(op.outputs[0])[-1]
        if op.name in BIAS:
            kernel, axis = reference.weights(number), kernel_axes(op.name)[1]
            given = scaled(op.name, kernel, gains.get(op.inputs[BIAS[op.name][0]], np.ones(1)), np.ones(1))
            wanted, others = file.weights(next(ours)), _others(kernel, axis)
            power = np.square(given, dtype=np.float64).sum(others)
            ratio = (given * wanted).sum(others, dtype=np.float64) / np.maximum(power, 1e-30)
            gains[output] = np.where((power > 0) & (ratio > 0) & (np.abs(ratio - 1) > _SAME), ratio, 1.0)
        elif op.name == "CONCATENATION" and sum(map(len, reads)) == channels:
            gains[output] = np.concatenate(reads)
        elif op.name == "MUL" and reads and all(len(gain) == channels for gain in reads):
            gains[output] = np.prod(reads, 0)
        elif op.name in _SAME_CHANNELS and reads and len(reads[0]) == channels:
            gains[output] = reads[0]
    if all((gain == 1).all() for gain in gains.values()):
        return floating
    _apply(reference, gains)
    return reference.content()


def scaled_apart(content: bytes, ranges: Ranges, rng: np.random.Generator, octaves: float = 6.0) -> Gains:
    """Draws gains of 2^-octaves to 2^octaves that leave a float file's function as it is, to try quantization on.

    Channels behind ReLU6 keep theirs.
    """
    return _Problem(content, ranges, per_tensor=False).draw(rng, octaves)
