"""Editing the numbers of an int8 `.tflite` file: activation ranges and biases change, the graph stays as it is.

An activation's scale is known to nothing but its tensor and the biases of the convolutions that read it, whose scale
is input scale times weight scale. Some operators (resizing, concatenation, pooling) demand one scale of all that they
touch: those tensors form a group that changes together.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

KEEP_SCALE = frozenset(
    {
        "CONCATENATION", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "MAX_POOL_2D", "AVERAGE_POOL_2D", "RESHAPE",
        "PAD", "SLICE", "STRIDED_SLICE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "SPLIT", "SPACE_TO_DEPTH",
        "DEPTH_TO_SPACE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND",
    }
)  # fmt: skip
"""Operators whose inputs and outputs must have one scale (TFLite 8-bit quantization specification)."""
BIAS = {"CONV_2D": (0, 2), "DEPTHWISE_CONV_2D": (0, 2), "FULLY_CONNECTED": (0, 2), "TRANSPOSE_CONV": (2, 3)}
"""Operators with a bias: which of their inputs is the activation, and which the bias."""
FREE_OUTPUT = frozenset({*BIAS, "ADD", "SUB", "MUL", "MEAN", "LEAKY_RELU", "HARD_SWISH", "PRELU", "RELU", "RELU6"})
"""Operators that bring their result to any scale."""
FREE_INPUT = FREE_OUTPUT | {"SOFTMAX", "LOGISTIC", "TANH", "QUANTIZE", "DEQUANTIZE", "ARG_MAX"}
"""Operators that read any scale."""

_NAMES = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scale:
    """Real value = step * (stored - zero_point)."""

    step: float
    zero_point: int

    @classmethod
    def of_range(cls, low: float, high: float) -> Scale:
        """Returns the int8 scale that spans low..high, zero included."""
        low, high = min(low, 0.0), max(high, 0.0)
        step = max(high - low, 1e-12) / 255
        return cls(step, int(np.clip(round(-128 - low / step), -128, 127)))

    def real(self, stored: npt.NDArray[Any]) -> Float32:
        """Returns real values."""
        return (stored.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.step)

    def stored(self, real: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
        """Returns the nearest int8 values."""
        levels = np.rint(real / np.float32(self.step)) + self.zero_point
        return np.asarray(np.clip(levels, -128, 127), np.int8)


@dataclass(frozen=True)
class Operator:
    """An operator's name and the numbers of its tensors; -1 for an input that is left out."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class IntegerFile:
    """A `.tflite` file of one graph, unpacked.

    Args:
        content: The file.

    Attributes:
        operators: In the order in which they run.
    """

    def __init__(self, content: bytes) -> None:
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(content), 0))
        self._graph = self._model.subgraphs[0]
        self.operators = [
            Operator(
                _operator_name(self._model.operatorCodes[op.opcodeIndex]),
                tuple(map(int, op.inputs)),
                tuple(map(int, op.outputs)),
            )
            for op in self._graph.operators
        ]

    @property
    def inputs(self) -> tuple[int, ...]:
        """The network's inputs."""
        return tuple(map(int, self._graph.inputs))

    @property
    def logits(self) -> int:
        """The tensor of scores: the output, or what the argmax at the end reads."""
        last = self.operators[-1]
        return last.inputs[0] if last.name == "ARG_MAX" else int(self._graph.outputs[0])

    def content(self, outputs: Sequence[int] | None = None, operators: int | None = None) -> bytes:
        """Packs the file.

        Args:
            outputs: Give these tensors instead of the network's output.
            operators: Keep only so many operators from the first on.
        """
        model = self._model
        if outputs is not None:
            model, graph = copy.copy(self._model), copy.copy(self._graph)
            graph.outputs = list(outputs)
            graph.operators = graph.operators[:operators]
            model.subgraphs, model.signatureDefs = [graph], None
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def groups(self) -> list[tuple[int, ...]]:
        """Returns the groups of activations whose scale can be changed, each of tensors that share it."""
        parent = list(range(len(self._graph.tensors)))

        def root(tensor: int) -> int:
            while parent[tensor] != tensor:
                tensor = parent[tensor]
            return tensor

        fixed = set(map(int, self._graph.inputs))
        for op in self.operators:
            inputs = [tensor for tensor in op.inputs if tensor >= 0]
            if op.name in KEEP_SCALE:
                touched = [tensor for tensor in (*inputs, *op.outputs) if self.scale(tensor) is not None]
                for tensor in touched[1:]:
                    parent[root(tensor)] = root(touched[0])
                fixed |= {i for i in touched if self._is_constant(i)}
                continue
            if op.name not in FREE_OUTPUT:
                fixed |= set(op.outputs)
            if op.name not in FREE_INPUT:
                fixed |= set(inputs)
        members: dict[int, list[int]] = {}
        for tensor in range(len(parent)):
            if self.scale(tensor) is not None:
                members.setdefault(root(tensor), []).append(tensor)
        return [tuple(m) for m in members.values() if not (fixed & set(m)) and not self._is_constant(m[0])]

    def scale(self, tensor: int) -> Scale | None:
        """Returns an int8 tensor's scale; None for other types, and where there is one for each channel."""
        described = self._graph.tensors[tensor]
        quantization = described.quantization
        if described.type != schema.TensorType.INT8 or quantization is None:
            return None
        if quantization.scale is None or len(quantization.scale) != 1:
            return None
        return Scale(float(quantization.scale[0]), int(quantization.zeroPoint[0]))

    def rescale(self, tensors: Sequence[int], scale: Scale) -> None:
        """Gives a group another scale, and the biases behind it theirs."""
        before = self.scale(tensors[0])
        assert before is not None
        factor = before.step / scale.step
        for number, op in enumerate(self.operators):
            if op.name not in BIAS or op.inputs[BIAS[op.name][0]] not in tensors:
                continue
            bias = self._bias_tensor(number)
            if bias is not None:
                self._store(bias, np.rint(self._stored(bias) * factor))
                bias.quantization.scale = [float(step) / factor for step in bias.quantization.scale]
        for tensor in tensors:
            quantization = self._graph.tensors[tensor].quantization
            quantization.scale, quantization.zeroPoint = [scale.step], [scale.zero_point]

    def bias(self, operator: int) -> Float32 | None:
        """Returns an operator's bias in real units, one for each channel; None if it has none."""
        place = BIAS[self.operators[operator].name][1]
        inputs = self.operators[operator].inputs
        if len(inputs) > place and inputs[place] >= 0:
            described = self._graph.tensors[inputs[place]]
            if described.type == schema.TensorType.FLOAT32:
                return np.frombuffer(bytes(bytearray(self._model.buffers[described.buffer].data)), np.float32)
        tensor = self._bias_tensor(operator)
        if tensor is None:
            return None
        return (self._stored(tensor) * np.asarray(tensor.quantization.scale, np.float64)).astype(np.float32)

    def add_to_bias(self, operator: int, change: Float32) -> None:
        """Adds to an operator's bias, in real units."""
        tensor = self._bias_tensor(operator)
        assert tensor is not None
        self._store(tensor, self._stored(tensor) + np.rint(change / np.asarray(tensor.quantization.scale)))

    def weights(self, operator: int) -> Float32:
        """Returns a convolution's kernel in real units, in the file's layout."""
        tensor = self._graph.tensors[self.operators[operator].inputs[1]]
        data = bytes(bytearray(self._model.buffers[tensor.buffer].data))
        if tensor.type == schema.TensorType.FLOAT32:
            return np.frombuffer(data, np.float32).reshape(tensor.shape)
        steps = np.asarray(tensor.quantization.scale, np.float32)
        shape = [1] * len(tensor.shape)
        shape[tensor.quantization.quantizedDimension if len(steps) > 1 else 0] = -1
        return np.frombuffer(data, np.int8).reshape(tensor.shape) * steps.reshape(shape)

    def set_weights(self, operator: int, kernel: Float32, bias: Float32 | None) -> None:
        """Stores another kernel and bias, in real units and the file's layout; steps follow the largest weights."""
        op = self.operators[operator]
        tensor = self._graph.tensors[op.inputs[1]]
        if tensor.type == schema.TensorType.FLOAT32:
            self._store(tensor, kernel, np.float32)
            if bias is not None:
                self._store(self._graph.tensors[op.inputs[BIAS[op.name][1]]], bias, np.float32)
            return
        axis = int(tensor.quantization.quantizedDimension)
        per_channel = len(tensor.quantization.scale) > 1
        others = tuple(n for n in range(kernel.ndim) if n != axis) if per_channel else None
        steps = np.maximum(np.abs(kernel).max(others, keepdims=True), 1e-10).astype(np.float64) / 127
        self._store(tensor, np.floor(kernel / steps + 0.5), np.int8)
        tensor.quantization.scale = [float(step) for step in steps.ravel()]
        bias_tensor = self._bias_tensor(operator)
        incoming = self.scale(op.inputs[BIAS[op.name][0]])
        if bias is None or bias_tensor is None or incoming is None:
            return
        bias_steps = steps.ravel() * incoming.step
        self._store(bias_tensor, np.rint(bias / bias_steps))
        bias_tensor.quantization.scale = [float(step) for step in bias_steps]

    def weight_steps(self, operator: int) -> Float32:
        """Returns the real units of a step of an integer kernel: one for each output channel, or one."""
        tensor = self._graph.tensors[self.operators[operator].inputs[1]]
        return np.asarray(tensor.quantization.scale, np.float32)

    def set_levels(self, operator: int, levels: npt.NDArray[Any]) -> None:
        """Stores an integer kernel, in steps and the file's layout; the steps stay."""
        self._store(self._graph.tensors[self.operators[operator].inputs[1]], levels, np.int8)

    def has_bias(self, operator: int) -> bool:
        """Whether an operator has an integer bias."""
        return self._bias_tensor(operator) is not None

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Returns a tensor's dimensions."""
        return tuple(int(n) for n in self._graph.tensors[tensor].shape)

    def name(self, tensor: int) -> str:
        """Returns a tensor's name."""
        return bytes(self._graph.tensors[tensor].name or b"").decode(errors="replace")

    def _bias_tensor(self, operator: int) -> Any:
        op = self.operators[operator]
        place = BIAS[op.name][1]
        if len(op.inputs) <= place or op.inputs[place] < 0:
            return None
        tensor = self._graph.tensors[op.inputs[place]]
        return tensor if tensor.type == schema.TensorType.INT32 else None

    def _is_constant(self, tensor: int) -> bool:
        data = self._model.buffers[self._graph.tensors[tensor].buffer].data
        return data is not None and len(data) > 0

    def _stored(self, tensor: Any) -> npt.NDArray[np.int64]:
        data = bytes(bytearray(self._model.buffers[tensor.buffer].data))
        return np.frombuffer(data, np.int32).astype(np.int64)

    def _store(self, tensor: Any, values: npt.NDArray[Any], dtype: Any = np.int32) -> None:
        """Puts values into a tensor's buffer, or into one of its own: the converter lets equal constants share one."""
        limits = np.finfo(dtype) if dtype == np.float32 else np.iinfo(dtype)
        stored = np.frombuffer(np.clip(values, limits.min, limits.max).astype(dtype).tobytes(), np.uint8)
        buffer = self._model.buffers[tensor.buffer]
        if sum(other.buffer == tensor.buffer for other in self._graph.tensors) > 1:
            buffer = copy.copy(buffer)
            tensor.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        buffer.data = stored


def _operator_name(code: Any) -> str:
    """An operator's name; those that are older than 2020 have their number in another field."""
    return str(_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)])
