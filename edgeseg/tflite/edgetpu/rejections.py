"""What makes the Edge TPU compiler refuse a whole file."""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.tflite import schema
from edgeseg.tflite.edgetpu import checks, operators
from edgeseg.tflite.edgetpu.operators import Evidence
from edgeseg.tflite.graph import Graph, Operator, Subgraph


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that keeps an operator, or the whole file, off the Edge TPU.

    Attributes:
        rule: Its name, for programs.
        reason: In words.
        evidence: "documented", "observed" or "inferred".
        source: Where that is written or was seen.
        remedy: What to do about it; empty where nothing is known.
    """

    rule: str
    reason: str
    evidence: Evidence
    source: str
    remedy: str = ""


def rejections(graph: Graph) -> list[Finding]:
    """Returns what makes the compiler refuse the whole file."""
    main = graph.main
    found: list[Finding] = []
    used = [t for op in main.operators for t in (*main.inputs_of(op), *main.outputs_of(op))]
    if not any(
        t.dtype in checks.QUANTIZED_DTYPES and t.quantization for op in main.operators for t in main.outputs_of(op)
    ):
        found.append(
            Finding(
                rule="quantized",
                reason="Model not quantized: no operator computes in int8 or uint8",
                evidence="observed",
                source="#829 and others: 'Invalid model', 'Model not quantized'",
                remedy="convert it to int8 (edgeseg convert --int8)",
            )
        )
    found += [f for op in main.operators if (f := _dynamic(main, op)) is not None]
    outside = next((t for t in used if t.is_outside), None)
    if outside is not None:
        found.append(
            Finding(
                rule="buffers-inside",
                reason=f"the content of {outside.name} lies outside the flatbuffer: no constant to the compiler",
                evidence="inferred",
                source="reports on files of ai-edge-quantizer: 'not constant at compile-time'",
                remedy="convert with TensorFlow's converter (edgeseg convert)",
            )
        )
    found += [f for op in main.operators if (f := unknown_version(op)) is not None]
    return list(dict.fromkeys(found))


def _dynamic(subgraph: Subgraph, operator: Operator) -> Finding | None:
    reason = None
    for position in operators.SIZES.get(operator.op, ()):
        size = subgraph.tensor_at(operator, position)
        if size is not None and not size.is_constant:
            reason = f"{operator.op} {operator.index} takes a size that is computed at run time ({size.name})"
    unset = next((t for t in subgraph.outputs_of(operator) if any(side < 0 for side in t.shape)), None)
    if unset is not None:
        reason = f"{operator.op} {operator.index} makes {unset.name}, which has no fixed size"
    if reason is None:
        return None
    return Finding(
        rule="static-shapes",
        reason=reason,
        evidence="documented",
        source="Coral; #829: 'a delegate that only supports static-sized tensors'; tensorflow#57905",
        remedy="convert with a static batch of 1 (edgeseg convert does)",
    )


def unknown_version(operator: Operator) -> Finding | None:
    """Returns why the compiler does not know an operator, or not in this version; None if it does."""
    if operator.is_custom:
        if operator.op in operators.KNOWN_CUSTOM_OPERATORS | {operators.COMPILED_OPERATOR}:
            return None
        return Finding(
            rule="unknown-custom-operator",
            reason=f"custom operator {operator.op} is unknown to the compiler",
            evidence="observed",
            source="'Encountered unresolved custom op', 'Model failed in Tflite interpreter'",
            remedy="convert with TFLite's own operators only (edgeseg convert does)",
        )
    newest = operators.KNOWN_VERSIONS.get(operator.op, 1)
    number = schema.OPERATORS.index(operator.op) if operator.op in schema.OPERATORS else len(schema.OPERATORS)
    if number > schema.OPERATORS.index(operators.LAST_KNOWN_OPERATOR):
        reason = f"{operator.op} is newer than the compiler of 2021"
    elif operator.version > newest:
        reason = (
            f"{operator.op} version {operator.version} is newer than the compiler of 2021, which knows up to {newest}"
        )
    else:
        return None
    return Finding(
        rule="known-version",
        reason=reason,
        evidence="inferred",
        source="#631 #845; versions by date from runtime_version.cc",
        remedy=VERSION_REMEDIES.get(
            operator.op, "write the layer with an older operator (edgeseg convert --target edgetpu)"
        ),
    )


VERSION_REMEDIES = {
    "CONV_2D": "do without grouped convolutions: use depthwise ones, or slices and several convolutions",
    "TRANSPOSE_CONV": "put no ReLU right behind a transposed convolution: concatenate or convolve first, or use PReLU",
    "TILE": "enlarge with RESIZE_NEAREST_NEIGHBOR (a Resizing layer), not UpSampling2D('nearest')",
}
