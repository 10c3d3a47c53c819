"""Which operators LiteRT hands to XNNPACK, its fast CPU library: a prediction from the file alone.

The tables were measured: models of one operator each, loaded by ai-edge-litert 2.3; the tests do it again. The other
operators run in TFLite's own kernels: right, but several times slower, and each change of hands costs a pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgeseg.tflite.graph import Graph, Operator, Subgraph
from edgeseg.tflite.partition import partition

_SIGNED = frozenset({"int8"})
_UNSIGNED = frozenset({"uint8"})
_FLOAT = frozenset({"float32"})

# The element types on which XNNPACK has an operator.
OPERATORS: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        (
            "ADD", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "FULLY_CONNECTED", "LEAKY_RELU",
            "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PAD", "REDUCE_MAX", "REDUCE_MIN", "RESHAPE", "RESIZE_BILINEAR",
            "SLICE", "SPACE_TO_DEPTH", "SPLIT", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
        ),
        _SIGNED | _UNSIGNED | _FLOAT,
    ),
    **dict.fromkeys(("BATCH_MATMUL", "ELU"), _SIGNED | _FLOAT),
    **dict.fromkeys(
        (
            "ABS", "AVERAGE_POOL_2D", "CEIL", "COS", "DIV", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LOG", "MAXIMUM",
            "MINIMUM", "NEG", "PRELU", "RELU", "RELU6", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIN", "SOFTMAX", "SQRT",
            "SQUARE", "SQUARED_DIFFERENCE",
        ),
        _FLOAT,
    ),
}  # fmt: skip

MAX_CONCATENATED = 5
MAX_SPLITS = 4


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What XNNPACK takes of a model.

    Attributes:
        reasons: For each operator why XNNPACK leaves it, or None where it takes it.
        nodes: Into how many parts the taken operators fall; 1 is best.
    """

    reasons: tuple[str | None, ...]
    nodes: int


def coverage(graph: Graph) -> Coverage:
    """Predicts what XNNPACK takes of a model."""
    reasons = tuple(reason_left(graph.main, op) for op in graph.main.operators)
    subsets = partition(graph.main, [reason is None for reason in reasons])
    return Coverage(reasons=reasons, nodes=sum(subset.delegated for subset in subsets))


def reason_left(subgraph: Subgraph, operator: Operator) -> str | None:
    """Returns why XNNPACK leaves an operator to TFLite's own kernels, or None where it takes it."""
    if operator.is_custom:
        return "custom operator"
    if operator.op in _SPECIAL:
        return _SPECIAL[operator.op](subgraph, operator)
    if operator.op not in OPERATORS:
        return "XNNPACK has no such operator"
    if operator.options.get("activation") in ("TANH", "SIGN_BIT"):
        return f"activation {operator.options['activation']} fused into it"
    wrong = _dtypes(subgraph, operator) - OPERATORS[operator.op]
    if wrong:
        return f"works on {' and '.join(sorted(wrong))}, XNNPACK on {', '.join(sorted(OPERATORS[operator.op]))}"
    return _detail(subgraph, operator)


def _dtypes(subgraph: Subgraph, operator: Operator) -> set[str]:
    tensors = (*subgraph.inputs_of(operator), *subgraph.outputs_of(operator))
    return {t.dtype for t in tensors if not t.is_constant}


def _detail(subgraph: Subgraph, operator: Operator) -> str | None:
    if operator.op == "CONCATENATION" and len(operator.inputs) > MAX_CONCATENATED:
        return f"joins {len(operator.inputs)} tensors, XNNPACK up to {MAX_CONCATENATED}"
    if operator.op == "SPLIT" and len(operator.outputs) > MAX_SPLITS:
        return f"splits into {len(operator.outputs)}, XNNPACK up to {MAX_SPLITS}"
    if operator.op == "STRIDED_SLICE":
        if operator.options.get("shrink_axis_mask"):
            return "removes an axis"
        strides = subgraph.tensor_at(operator, 3)
        if strides is not None and strides.is_array and (strides.array() != 1).any():
            return "strides over 1"
    return None


def _quantize(subgraph: Subgraph, operator: Operator) -> str | None:
    """XNNPACK takes float to integers, and a change of scale; not a change between signed and unsigned."""
    dtypes = _dtypes(subgraph, operator)
    if dtypes in ({"int8"}, {"uint8"}, {"float32", "int8"}, {"float32", "uint8"}):
        return None
    return f"changes between {' and '.join(sorted(dtypes))}"


def _dequantize(subgraph: Subgraph, operator: Operator) -> str | None:
    known = {"int8", "uint8", "float16", "float32"}
    dtypes = {t.dtype for t in (*subgraph.inputs_of(operator), *subgraph.outputs_of(operator))}
    return None if dtypes <= known else f"works on {' and '.join(sorted(dtypes - known))}"


_SPECIAL: dict[str, Callable[[Subgraph, Operator], str | None]] = {"QUANTIZE": _quantize, "DEQUANTIZE": _dequantize}
