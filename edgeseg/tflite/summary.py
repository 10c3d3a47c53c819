"""All that `edgeseg inspect` tells of a `.tflite` file, as one dictionary of plain values (the command's JSON)."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeseg.card_file import read_model
from edgeseg.tflite import cost, latency, xnnpack
from edgeseg.tflite.edgetpu import memory as edgetpu_memory
from edgeseg.tflite.edgetpu import package as edgetpu_package
from edgeseg.tflite.edgetpu import predict as edgetpu
from edgeseg.tflite.edgetpu.rejections import unknown_version
from edgeseg.tflite.graph import Graph, Subgraph, Tensor, parse_graph, read_graph

INTEGER_DTYPES = frozenset({"int8", "uint8", "int32"})
"""What a file for integer hardware holds: weights and activations, pixels, biases and shapes."""


def summarize(path: str | os.PathLike[str], *, multiple_subgraphs: bool = False) -> dict[str, Any]:
    """Inspects a `.tflite` file, without TensorFlow and without running it.

    Args:
        path: The file.
        multiple_subgraphs: Predict the Edge TPU compiler's option `-a`.

    Returns:
        The keys of the contract (`ops`, `edgetpu`, `card`) and more.

    Raises:
        ModelFileError: The file is missing, damaged, or no `.tflite`.
    """
    graph = read_graph(path)
    has_card = Path(path).stat().st_size > graph.size  # without one there is no need to read all of the file
    card = read_model(path)[1] if has_card else None
    result = summarize_graph(graph, multiple_subgraphs=multiple_subgraphs)
    return {"file": os.fspath(path), **result, "card": None if card is None else dataclasses.asdict(card)}


def summarize_bytes(model: bytes, *, multiple_subgraphs: bool = False) -> dict[str, Any]:
    """Inspects the content of a `.tflite` file; see `summarize`."""
    return summarize_graph(parse_graph(model), multiple_subgraphs=multiple_subgraphs)


def summarize_graph(graph: Graph, *, multiple_subgraphs: bool = False) -> dict[str, Any]:
    """Inspects a graph; see `summarize`."""
    main = graph.main
    prediction = edgetpu.predict(graph, multiple_subgraphs=multiple_subgraphs)
    costs = [cost.operator_cost(main, op) for op in main.operators]
    taken_over = xnnpack.coverage(graph)
    reasons = taken_over.reasons
    total = cost.graph_cost(graph)
    version = graph.min_runtime_version
    taken = sum(spent.macs for spent, reason in zip(costs, reasons, strict=True) if reason is None)
    return {
        "bytes": graph.size,
        "description": graph.description,
        "min_runtime_version": None if version is None else ".".join(map(str, version)),
        "inputs": [_tensor(main.tensors[i]) for i in main.inputs],
        "outputs": [_tensor(main.tensors[i]) for i in main.outputs],
        "ops": _operators(main, prediction, reasons, costs),
        "macs": total.macs,
        "parameter_bytes": total.parameter_bytes,
        "float_ops": [op.index for op in cost.float_operators(graph)],
        "integers": _integers(graph),
        "border_ops": [op.index for op in cost.border_operators(graph)],
        "custom_ops": [op.index for op in cost.custom_operators(graph)],
        "xnnpack": {
            "delegated": sum(reason is None for reason in reasons),
            "nodes": taken_over.nodes,
            "macs_share": taken / total.macs if total.macs else None,
        },
        "edgetpu": {
            "mapped": prediction.mapped,
            "cpu": prediction.cpu,
            "subgraphs": len(prediction.segments),
            "rejected": "; ".join(f.reason for f in prediction.rejections) or None,
            "runtime": prediction.runtime,
            "cuts": [dataclasses.asdict(cut) for cut in prediction.cuts],
            "remedies": list(prediction.remedies),
            "memory": _memory(graph, prediction),
            "packages": [
                {**dataclasses.asdict(p), "cached_bytes": p.cached_bytes, "streamed_bytes": p.streamed_bytes}
                for p in edgetpu_package.packages(graph)
            ],
        },
        "latency_segmentation_ratio": list(latency.SEGMENTATION_RATIO),
        "latency_withheld": [
            {"target": target, **dataclasses.asdict(board)} for target, board in latency.WITHHELD.items()
        ],
        "latency_estimates": [dataclasses.asdict(guess) for guess in latency.estimate(graph, prediction, taken_over)],
    }


def _integers(graph: Graph) -> dict[str, Any]:
    """Returns of what types all tensors are, and which operators' versions the Edge TPU's compiler does not know.

    Tensors that no operator reads or writes, which converters leave behind, count as well.
    """
    types = Counter(tensor.dtype for sub in graph.subgraphs for tensor in sub.tensors)
    unknown = [op for op in graph.main.operators if unknown_version(op)]
    return {
        "only": types.keys() <= INTEGER_DTYPES,
        "types": dict(sorted(types.items())),
        "unknown_versions": [op.index for op in unknown],
    }


def _operators(
    main: Subgraph, prediction: edgetpu.Prediction, reasons: Sequence[str | None], costs: Sequence[cost.Cost]
) -> list[dict[str, Any]]:
    """Returns what is told of each operator."""
    return [
        {
            "index": op.index,
            "op": op.op,
            "version": op.version,
            "mapped": verdict.mapped,
            "reason": verdict.reason or None,
            "evidence": verdict.evidence,
            "source": verdict.source,
            "findings": [dataclasses.asdict(finding) for finding in verdict.findings],
            "xnnpack": reason is None,
            "xnnpack_reason": reason,
            "macs": spent.macs,
            "parameter_bytes": spent.parameter_bytes,
            "outputs": [{"shape": list(t.shape), "dtype": t.dtype} for t in main.outputs_of(op)],
        }
        for op, verdict, reason, spent in zip(main.operators, prediction.verdicts, reasons, costs, strict=True)
    ]


def _memory(graph: Graph, prediction: edgetpu.Prediction) -> dict[str, int] | None:
    """Returns the estimate for what is mapped; None where nothing is, or where the file is compiled."""
    if not prediction.mapped or prediction.is_compiled:
        return None
    kept = [verdict.index for verdict in prediction.verdicts if verdict.mapped]
    return dataclasses.asdict(edgetpu_memory.estimate(graph.main, kept))


def _tensor(tensor: Tensor) -> dict[str, Any]:
    quantization = tensor.quantization
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": None if quantization is None else quantization.scales[0],
        "zero_point": None if quantization is None else quantization.zero_points[0],
    }
