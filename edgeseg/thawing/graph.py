"""A `.tflite` graph on its way to becoming Keras layers, see `thaw`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edgeseg.errors import ConversionError, UsageError
from edgeseg.tflite.graph import Operator, Subgraph
from edgeseg.thawed_layers import Rounded

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
"""Operators with kernels: without one of them, what is left is not the file's network."""

MOVING = (
    "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "UNPACK", "PACK",
    "TILE", "BROADCAST_TO", "MAX_POOL_2D", "RESIZE_NEAREST_NEIGHBOR", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH",
)  # fmt: skip
"""Operators that move integers and round nothing."""

INTEGERS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
"""Lowest and highest value of the types that quantized activations have."""

Value = Any
"""A symbolic tensor, or a constant as a NumPy array."""


def settings(op: Operator) -> dict[str, Any]:
    """Returns an operator's attributes; their types are as `edgeseg.tflite.schema` says."""
    return dict(op.options)


class NotRebuilt(Exception):
    """An operator has no layer that computes it; the message says why."""


class Thawing:
    """A graph on its way to becoming layers; the handlers of `HANDLERS` see it.

    Attributes:
        graph: The file's graph.
        resized: Whether the network takes another size than the file.
        sizes: New (rows, columns) of maps by those in the file.
        batch_norm: Whether a normalisation is put behind each convolution.
        rounding: Whether results are rounded as the file rounds them.
        logits: Whether the network ends before an ARG_MAX that ends the file.
        num_classes: Channels of the last operator with weights; as in the file if None.
        biases: See `Thawed`.
    """

    def __init__(
        self,
        graph: Subgraph,
        *,
        size: tuple[int, int] | None,
        num_classes: int | None,
        batch_norm: bool,
        rounding: bool,
        logits: bool,
    ) -> None:
        self.graph, self.batch_norm, self.num_classes, self.rounding = graph, batch_norm, num_classes, rounding
        self.logits = logits
        self.values: dict[int, Value] = {t.index: t.real() for t in graph.tensors if t.is_array}
        self.sizes: dict[tuple[int, ...], tuple[int, ...]] = {}
        self.biases: dict[str, npt.NDArray[np.float32]] = {}
        self.resized = False
        weighted = [op.index for op in graph.operators if op.op in WEIGHTED]
        self.last_weighted = weighted[-1] if weighted else -1
        self.inputs = [self._input(index, size) for index in graph.inputs]

    def _input(self, index: int, size: tuple[int, int] | None) -> Value:
        tensor = self.graph.tensors[index]
        if not tensor.shape:
            raise ConversionError(f"input {tensor.name} is a scalar: expected tensors with a batch")
        shape = [None if n < 0 else n for n in (tensor.shape_signature or tensor.shape)[1:]]
        if size is not None:
            if len(self.graph.inputs) != 1 or len(shape) != 3:
                raise UsageError(
                    "another size was asked for: expected a file with one input (1, rows, columns, channels)"
                )
            self.resized = size != tuple(tensor.shape[1:3])
            shape = [*size, shape[2]]
        image = keras.Input(shape, name="image" if len(self.graph.inputs) == 1 else f"input_{index}")
        self.values[index] = image
        self._note_size(index)
        return image

    def _note_size(self, index: int) -> None:
        shape, value = self.graph.tensors[index].shape, self.values[index]
        if len(shape) == 4 and getattr(value, "shape", None) is not None and len(value.shape) == 4:
            self.sizes[shape[1:3]] = tuple(value.shape[1:3])

    def new_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Returns what a map of `size` in the file has become."""
        if not self.resized or size in self.sizes:
            return self.sizes.get(size, size) if self.resized else size
        was, now = next(iter(self.sizes.items()))  # the input's
        return tuple(max(1, round(n * b / a)) for n, a, b in zip(size, was, now, strict=True))

    def name(self, op: Operator) -> str:
        """Returns the name of an operator's layer."""
        if self.num_classes is not None and op.index == self.last_weighted:
            return "logits"
        return re.sub(r"\W+", "_", f"{op.op.lower()}_{op.index}")

    def run(self, handlers: dict[str, Handler]) -> list[str]:
        """Rebuilds operator after operator; returns those left out, each as "NAME (operator 3): reason".

        Raises:
            ConversionError: An operator with weights needs one that cannot be rebuilt.
        """
        left_out: list[str] = []
        for op in self.graph.operators:
            if any(i >= 0 and i not in self.values for i in op.inputs):
                if op.op in WEIGHTED and left_out:
                    raise ConversionError(f"{left_out[0]}; and {op.op} (operator {op.index}) needs what it computes")
                left_out.append(f"{op.op} (operator {op.index}): it needs what was left out")
                continue
            try:
                if self.logits and op.op == "ARG_MAX" and op.outputs[0] in self.graph.outputs:
                    raise NotRebuilt("logits were asked for")
                if op.op not in handlers:
                    raise NotRebuilt("it is a custom operator" if op.is_custom else "no layer computes it")
                results = handlers[op.op](self, op, [None if i < 0 else self.values[i] for i in op.inputs])
            except (NotRebuilt, ValueError, TypeError) as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                if op.op in WEIGHTED:
                    raise ConversionError(f"{op.op} (operator {op.index}) cannot be rebuilt: {reason}") from error
                left_out.append(f"{op.op} (operator {op.index}): {reason}")
                continue
            for index, value in zip(op.outputs, results, strict=True):
                self.values[index] = self._rounded(op, index, value) if self.rounding else value
                self._note_size(index)
        return left_out

    def _rounded(self, op: Operator, index: int, value: Value) -> Value:
        """Rounds an operator's result to what the file stores."""
        tensor = self.graph.tensors[index]
        quantization, bounds = tensor.quantization, INTEGERS.get(tensor.dtype)
        if not isinstance(value, keras.KerasTensor) or quantization is None or bounds is None or op.op in MOVING:
            return value
        if self.num_classes is not None and op.index >= self.last_weighted:
            return value
        name = f"{self.name(op)}_rounded" + (f"_{index}" if len(op.outputs) > 1 else "")
        return Rounded(quantization.scales[0], quantization.zero_points[0], *bounds, name=name)(value)

    def ends(self) -> list[int]:
        """Returns the tensors that are the network's outputs: the file's, and what left-out operators would take."""
        found = [i for i in self.graph.outputs if self.is_symbolic(i)]
        for op in self.graph.operators:
            if not any(i in self.values for i in op.outputs):
                found += [i for i in op.inputs if self.is_symbolic(i) and i not in found]
        return found

    def is_symbolic(self, index: int) -> bool:
        """Whether a tensor is the result of a layer."""
        return isinstance(self.values.get(index), keras.KerasTensor) and index not in self.graph.inputs


Handler = Callable[[Thawing, Operator, list[Value]], list[Value]]
"""(graph, operator, values of its inputs; None where one is absent) -> values of its outputs."""


def rebuilt_axes(values: Any, rank: int) -> list[int]:
    """Returns axes counted from the front; the batch is none that a layer may touch."""
    axes = sorted(int(axis) % rank for axis in np.ravel(values))
    if 0 in axes:
        raise NotRebuilt("it works along the batch")
    return axes
