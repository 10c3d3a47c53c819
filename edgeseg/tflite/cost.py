"""What the operators of a graph cost: multiply-accumulates, parameter bytes, activation bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeseg.tflite.graph import Graph, Operator, Subgraph


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one operator, or the sum over several.

    Attributes:
        macs: Multiply-accumulates of the operators that are made of them (convolutions, matrix products); 0 for others.
        parameter_bytes: Bytes of the constants read, one that several operators share counted at each.
        activation_bytes: Bytes of the activations read and written.
    """

    macs: int = 0
    parameter_bytes: int = 0
    activation_bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Sums."""
        return Cost(
            macs=self.macs + other.macs,
            parameter_bytes=self.parameter_bytes + other.parameter_bytes,
            activation_bytes=self.activation_bytes + other.activation_bytes,
        )


def operator_cost(subgraph: Subgraph, operator: Operator) -> Cost:
    """Returns what one operator costs."""
    inputs, outputs = subgraph.inputs_of(operator), subgraph.outputs_of(operator)
    return Cost(
        macs=_macs(subgraph, operator),
        parameter_bytes=sum(t.bytes for t in inputs if t.is_constant),
        activation_bytes=sum(t.bytes for t in (*inputs, *outputs) if not t.is_constant),
    )


def graph_cost(graph: Graph) -> Cost:
    """Returns what one run of the model costs; constants that several operators share are counted once."""
    main = graph.main
    total = sum((operator_cost(main, op) for op in main.operators), Cost())
    constants = {t.index: t.bytes for op in main.operators for t in main.inputs_of(op) if t.is_constant}
    return Cost(macs=total.macs, parameter_bytes=sum(constants.values()), activation_bytes=total.activation_bytes)


def parameter_count(graph: Graph) -> int:
    """Returns how many weights and biases the operators read; constants that give shapes or axes are not counted."""
    main = graph.main
    constants = {t.index: t for op in main.operators for t in main.inputs_of(op) if t.is_constant}
    return sum(t.elements for t in constants.values() if t.is_float or t.quantization is not None)


def _macs(subgraph: Subgraph, operator: Operator) -> int:
    outputs = subgraph.outputs_of(operator)
    weights = subgraph.tensor_at(operator, 1)
    if not outputs or weights is None:
        return 0
    out = outputs[0].elements
    match operator.op:
        case "CONV_2D" | "CONV_3D":  # weights: out, rows, columns, in (of the group)
            return out * math.prod(weights.shape[1:])
        case "DEPTHWISE_CONV_2D":  # weights: 1, rows, columns, out
            return out * math.prod(weights.shape[1:3])
        case "FULLY_CONNECTED":  # weights: out, in
            return out * (weights.shape[-1] if weights.shape else 0)
        case "TRANSPOSE_CONV":  # inputs: output shape, weights (out, rows, columns, in), activation
            activation = subgraph.tensor_at(operator, 2)
            return 0 if activation is None else activation.elements * math.prod(weights.shape[:3])
        case "BATCH_MATMUL":
            left = subgraph.tensor_at(operator, 0)
            if left is None or len(left.shape) < 2:
                return 0
            return out * left.shape[-2 if operator.options.get("adj_x") else -1]
    return 0


def float_operators(graph: Graph) -> list[Operator]:
    """Returns the operators that compute on floating-point numbers, in all subgraphs.

    QUANTIZE of a float model input and DEQUANTIZE to a float model output are not among them: see `border_operators`.
    """
    border = {id(op) for op in border_operators(graph)}
    return [
        op
        for sub in graph.subgraphs
        for op in sub.operators
        if id(op) not in border and any(t.is_float for t in (*sub.inputs_of(op), *sub.outputs_of(op)))
    ]


def border_operators(graph: Graph) -> list[Operator]:
    """Returns the operators that only change a float model input to integers, or integers to a float model output."""
    main = graph.main
    return [
        op
        for op in main.operators
        if (op.op == "QUANTIZE" and op.inputs and op.inputs[0] in main.inputs and main.inputs_of(op)[0].is_float)
        or (op.op == "DEQUANTIZE" and op.outputs and op.outputs[0] in main.outputs)
    ]


def custom_operators(graph: Graph) -> list[Operator]:
    """Returns the operators that are not TFLite's own, Flex operators included, in all subgraphs."""
    return [op for sub in graph.subgraphs for op in sub.operators if op.is_custom]


def flex_operators(graph: Graph) -> list[Operator]:
    """Returns the custom operators that need the TensorFlow runtime (SELECT_TF_OPS), in all subgraphs."""
    return [op for op in custom_operators(graph) if op.op.startswith("Flex")]
