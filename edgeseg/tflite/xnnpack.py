"""Which operators LiteRT hands to XNNPACK, its fast CPU library: a prediction from the file alone.

The table was measured with ai-edge-litert 2.3 on one-operator files (see `benchmarks/xnnpack_coverage.py`). The others
run in TFLite's own kernels: right, but several times slower, and every change from one to the other costs a pass.
"""

from __future__ import annotations

from edgeseg.tflite.graph import Graph, Operator, Subgraph

_BOTH = frozenset(
    {
        "ADD", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "ELU", "EXPAND_DIMS",
        "FULLY_CONNECTED", "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PAD", "RELU", "RELU6",
        "RESHAPE", "RESIZE_BILINEAR", "SLICE", "SPLIT", "SPACE_TO_DEPTH", "STRIDED_SLICE", "SUB", "SUM",
        "TANH", "TRANSPOSE", "TRANSPOSE_CONV", "BATCH_MATMUL",
    }
)  # fmt: skip
_FLOAT_ONLY = frozenset(
    {
        "ABS", "AVERAGE_POOL_2D", "CEIL", "COS", "DIV", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LOG",
        "MAXIMUM", "MINIMUM", "NEG", "PRELU", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIN", "SOFTMAX", "SQRT",
        "SQUARE", "SQUARED_DIFFERENCE",
    }
)  # fmt: skip
_CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE"})
_QUANTIZED = frozenset({"int8", "uint8"})


def reason_not_delegated(subgraph: Subgraph, operator: Operator) -> str | None:
    """Returns why XNNPACK leaves an operator to TFLite's own kernels, or None where it takes it."""
    if operator.is_custom:
        return "custom operator"
    name = operator.op
    if name not in _BOTH | _FLOAT_ONLY | _CONVERSIONS:
        return "XNNPACK has no such operator"
    activations = [t for t in (*subgraph.inputs_of(operator), *subgraph.outputs_of(operator)) if not t.is_constant]
    if any(t.is_dynamic for t in activations):
        return "a size is set only at run time"
    dtypes = {t.dtype for t in activations}
    if name in _CONVERSIONS:
        return None if dtypes <= _QUANTIZED | {"float32"} else f"not on {', '.join(sorted(dtypes))}"
    if dtypes <= {"float32"}:
        return None
    if not dtypes <= _QUANTIZED:
        return f"not on {', '.join(sorted(dtypes))}"
    return "only on float32" if name in _FLOAT_ONLY else None


def delegated(graph: Graph) -> tuple[str | None, ...]:
    """Returns for each operator of the model `reason_not_delegated`."""
    return tuple(reason_not_delegated(graph.main, op) for op in graph.main.operators)
