"""An integer file whose noisiest layers compute in float: what int8 would cost most stays, at the price of speed.

The graph is the integer file's. A layer that stays in float reads its input through a DEQUANTIZE and gives its output
through a QUANTIZE, but for what another one reads, and for the logits, which then leave the file in float.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec
from edgeseg.conversion.fake_quant import paired_operators
from edgeseg.conversion.integer_file import BIAS, IntegerFile
from edgeseg.conversion.noise import layer_noise, worst_first
from edgeseg.tflite.cost import graph_cost, operator_cost
from edgeseg.tflite.edgetpu.predict import predict
from edgeseg.tflite.graph import Graph, parse_graph
from edgeseg.tflite.latency import HOST, estimate
from edgeseg.tflite.xnnpack import coverage

NOISE_IMAGES = 10
_QUANTIZE, _DEQUANTIZE = schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.DEQUANTIZE

Weights = Mapping[int, tuple[Float32, Float32 | None]]
"""Kernel, in the file's layout, and bias of operators, by their numbers."""


def with_float_layers(
    file: bytes, reference: bytes, tensors: Sequence[Uint8], spec: InputSpec, count: int
) -> tuple[bytes, str]:
    """Lets the noisiest layers of an integer file compute in float.

    Args:
        file: The integer file, without its card.
        reference: The float32 file of the same network.
        tensors: Images fitted to the input, on which noise is measured.
        spec: The network's input.
        count: How many layers; all that have weights if they are fewer.

    Returns:
        The file, and what was done and what it costs, in words.

    Raises:
        ConversionError: The two files are not of one network.
    """
    noisy = worst_first(layer_noise(file, reference, tensors[:NOISE_IMAGES], spec))[:count]
    integers, floats = IntegerFile(file), IntegerFile(reference)
    pairs = dict(paired_operators(integers, floats))
    chosen = {one.operator: pairs[one.operator] for one in noisy}
    content = kept_in_float(file, {mine: (floats.weights(its), floats.bias(its)) for mine, its in chosen.items()})
    names = ", ".join(one.name for one in noisy)
    return content, f"in float: {names}; {cost_in_words(parse_graph(file), parse_graph(content))}"


def cost_in_words(before: Graph, after: Graph) -> str:
    """Says what float layers cost: their share of the work, and what becomes of speed and of the Edge TPU."""
    main = after.main
    floats = sum(operator_cost(main, op).macs for op in main.operators if any(t.is_float for t in main.outputs_of(op)))
    told = [f"{floats / max(1, graph_cost(after).macs):.1%} of the multiply-accumulates"]
    times, mapped = [], []
    for graph in (before, after):
        prediction = predict(graph)
        guesses = {guess.target: guess.milliseconds for guess in estimate(graph, prediction, coverage(graph))}
        times.append(guesses[HOST])
        mapped.append(f"{prediction.mapped} of {len(graph.main.operators)}")
    told.append(f"about {times[1] / times[0]:.2f} times the latency on a Raspberry Pi 4")
    return f"{', '.join(told)}; the Edge TPU takes {mapped[1]} operators, {mapped[0]} without"


def kept_in_float(file: bytes, weights: Weights) -> bytes:
    """Returns an integer file in which some operators compute in float.

    Args:
        file: The integer file, without its card.
        weights: Their float weights.
    """
    return _Surgery(file).operate(weights)


class _Surgery:
    """A file on the table; for one operation.

    Args:
        file: The file.
    """

    def __init__(self, file: bytes) -> None:
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(file), 0))
        self._graph = self._model.subgraphs[0]
        self._names = [op.name for op in IntegerFile(file).operators]
        self._floats: dict[int, int] = {}  # integer tensor -> its float twin

    def operate(self, weights: Weights) -> bytes:
        old, new = self._graph.operators, []
        readers: dict[int, list[int]] = {}
        for number, op in enumerate(old):
            for tensor in op.inputs:
                readers.setdefault(int(tensor), []).append(number)
        for number, op in enumerate(old):
            if number not in weights:
                new.append(op)
                continue
            place, bias_place = BIAS[self._names[number]]
            source, target = int(op.inputs[place]), int(op.outputs[0])
            if source not in self._floats:
                self._floats[source] = self._tensor(source)
                new.append(self._border(_DEQUANTIZE, source, self._floats[source]))
            kernel, bias = weights[number]
            inputs = [int(tensor) for tensor in op.inputs]
            inputs[place], inputs[1] = self._floats[source], self._constant(inputs[1], kernel)
            if bias is not None and len(inputs) > bias_place and inputs[bias_place] >= 0:
                inputs[bias_place] = self._constant(inputs[bias_place], bias)
            self._floats[target] = self._tensor(target)
            op.inputs, op.outputs = inputs, [self._floats[target]]
            new.append(op)
            following = readers.get(target, [])
            if not following and target in self._graph.outputs:
                self._give(target)
            elif not all(reader in weights for reader in following):
                new.append(self._border(_QUANTIZE, self._floats[target], target))
        self._graph.operators = new
        self._empty_unread()
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, tensor: int) -> int:
        """Adds the float twin of a tensor; an activation until it gets a buffer of its own."""
        twin = copy.copy(self._graph.tensors[tensor])
        twin.type, twin.quantization, twin.buffer = schema.TensorType.FLOAT32, None, 0
        twin.name = bytes(twin.name or b"") + b"_float"
        self._graph.tensors.append(twin)
        return len(self._graph.tensors) - 1

    def _constant(self, tensor: int, values: Float32) -> int:
        twin = self._tensor(tensor)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values, np.float32).tobytes(), np.uint8)
        self._graph.tensors[twin].buffer = len(self._model.buffers)
        self._model.buffers.append(buffer)
        return twin

    def _border(self, kind: int, source: int, target: int) -> Any:
        codes = self._model.operatorCodes
        known = [n for n, code in enumerate(codes) if max(code.builtinCode, code.deprecatedBuiltinCode) == kind]
        if not known:
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = kind
            code.version = 2 if kind == _DEQUANTIZE else 1
            codes.append(code)
        op = schema.OperatorT()
        op.opcodeIndex = known[0] if known else len(codes) - 1
        op.inputs, op.outputs = [source], [target]
        return op

    def _empty_unread(self) -> None:
        """Leaves the content of tensors that no operator reads any more out of the file: the integer kernels."""
        read = {int(tensor) for op in self._graph.operators for tensor in op.inputs if tensor >= 0}
        kept = {self._graph.tensors[tensor].buffer for tensor in read}
        kept |= {int(entry.buffer) for entry in self._model.metadata or []}
        for number, buffer in enumerate(self._model.buffers):
            if number not in kept:
                buffer.data = None

    def _give(self, tensor: int) -> None:
        """Lets the float twin of an output leave the file in its place."""
        twin = self._floats[tensor]
        self._graph.outputs = [twin if int(one) == tensor else int(one) for one in self._graph.outputs]
        for signature in self._model.signatureDefs or []:
            for output in signature.outputs:
                if output.tensorIndex == tensor:
                    output.tensorIndex = twin
