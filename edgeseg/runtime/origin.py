"""What stands before an output in a `.tflite` file: what its values are."""

from __future__ import annotations

from edgeseg.errors import ModelFileError
from edgeseg.runtime.protocol import Activation, Origin
from edgeseg.tflite.graph import parse_graph
from edgeseg.tflite.records import Operator, Subgraph

_CARRIERS = ("CAST", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE")
"""Operators that pass a label map or a probability on as it is."""
_RESIZES = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
"""Interpolated probabilities are probabilities."""
_ACTIVATIONS: dict[str, Activation] = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}


def origin_of(content: bytes, output: int) -> Origin:
    """Returns what the values of an output are.

    Args:
        content: The file.
        output: The tensor's number.
    """
    try:
        graph = parse_graph(content).subgraphs[0]
    except ModelFileError:  # the runtime could load it; that edgeseg's own reader is stricter costs only the guess
        return Origin()
    operator = _made_by(graph, output)
    if operator is None:
        return Origin()
    first = graph.tensor_at(operator, 0)
    num_classes = first.shape[-1] if operator.op == "ARG_MAX" and first is not None and first.shape else 0
    return Origin(activation=_ACTIVATIONS.get(operator.op, ""), num_classes=num_classes)


def _made_by(graph: Subgraph, wanted: int) -> Operator | None:
    """Finds the operator that makes a tensor's values."""
    for operator in reversed(graph.operators):
        if wanted in operator.outputs:
            if operator.op not in (*_CARRIERS, *_RESIZES):
                return operator
            wanted = operator.inputs[0]
    return None
