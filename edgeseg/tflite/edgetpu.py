"""What the Edge TPU compiler will make of a `.tflite` file, told from the file alone.

The compiler asks for each operator whether the Edge TPU can run it (`edgetpu_rules`), cuts the graph as any TFLite
delegate does (`partition`), and keeps the first part that fell to the Edge TPU; with `-a` it keeps all. Some traits
make it refuse the whole file.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.tflite import edgetpu_rules as rules
from edgeseg.tflite import schema
from edgeseg.tflite.edgetpu_rules import Evidence
from edgeseg.tflite.graph import Graph, Operator, Subgraph
from edgeseg.tflite.partition import partition

MORE_THAN_ONE_SUBGRAPH = "behind the cut"


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


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Where one operator will run: on the Edge TPU (`mapped`) or on the CPU, and why."""

    index: int
    mapped: bool
    findings: tuple[Finding, ...]

    @property
    def reason(self) -> str:
        """Why it stays on the CPU; empty where it is mapped."""
        return "; ".join(finding.reason for finding in self.findings)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Where the work changes from the Edge TPU to the CPU: the tensor, its size, and who computes and reads it."""

    tensor: str
    bytes: int
    producer: int
    readers: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the compiler will do with a file.

    Attributes:
        verdicts: One for each operator of the model.
        segments: Operators of each part that runs on the Edge TPU, in the order of running.
        rejections: Why the compiler refuses the file; empty where it accepts it.
        cuts: The tensors handed from the Edge TPU to the CPU.
        runtime: Least Edge TPU runtime version that the operators need (10 to 14).
    """

    verdicts: tuple[Verdict, ...]
    segments: tuple[tuple[int, ...], ...]
    rejections: tuple[Finding, ...]
    cuts: tuple[Cut, ...]
    runtime: int

    @property
    def mapped(self) -> int:
        """How many operators run on the Edge TPU."""
        return sum(v.mapped for v in self.verdicts)

    @property
    def cpu(self) -> int:
        """How many operators stay on the CPU."""
        return len(self.verdicts) - self.mapped

    @property
    def remedies(self) -> tuple[str, ...]:
        """What to change, the most pressing first, each once."""
        found = [*self.rejections, *(f for v in self.verdicts for f in v.findings)]
        return tuple(dict.fromkeys(f.remedy for f in found if f.remedy))


def predict(graph: Graph, *, multiple_subgraphs: bool = False) -> Prediction:
    """Predicts what Edge TPU compiler 16 does with a model.

    Args:
        graph: The `.tflite` file.
        multiple_subgraphs: As the compiler's option `-a`: keep every part that can run on the Edge TPU, not the first
            alone.
    """
    main = graph.main
    if any(op.op == rules.COMPILED_OPERATOR for op in main.operators):
        return _compiled(main)
    rejections = tuple(_rejections(graph))
    findings = [_findings(main, op) for op in main.operators]
    if rejections:
        whole = Finding(rule="rejected", reason="the compiler refuses the file", evidence="observed", source="")
        verdicts = tuple(Verdict(index=i, mapped=False, findings=found or (whole,)) for i, found in enumerate(findings))
        return Prediction(verdicts=verdicts, segments=(), rejections=rejections, cuts=(), runtime=10)
    subsets = partition(main, [not found for found in findings])
    segments = [subset.operators for subset in subsets if subset.delegated]
    segments = segments if multiple_subgraphs else segments[:1]
    kept = {i for segment in segments for i in segment}
    stranded = Finding(
        rule="one-subgraph",
        reason=MORE_THAN_ONE_SUBGRAPH,
        evidence="observed",
        source="Coral; #461: status 'More than one subgraph is not supported'",
        remedy="remove what causes the cut, or compile with -a (edgeseg compile --multiple-subgraphs)",
    )
    verdicts = tuple(
        Verdict(index=i, mapped=i in kept, findings=() if i in kept else found or (stranded,))
        for i, found in enumerate(findings)
    )
    return Prediction(
        verdicts=verdicts,
        segments=tuple(segments),
        rejections=(),
        cuts=tuple(_cuts(main, kept)),
        runtime=max((_runtime(main, main.operators[i]) for i in kept), default=10),
    )


def _compiled(subgraph: Subgraph) -> Prediction:
    """Returns what a compiled file shows: the custom operators run on the Edge TPU, the others were left behind."""
    left = Finding(
        rule="compiled", reason="left on the CPU when the file was compiled", evidence="observed", source="the file"
    )
    kept = {op.index for op in subgraph.operators if op.op == rules.COMPILED_OPERATOR}
    return Prediction(
        verdicts=tuple(
            Verdict(index=op.index, mapped=op.index in kept, findings=() if op.index in kept else (left,))
            for op in subgraph.operators
        ),
        segments=tuple((i,) for i in sorted(kept)),
        rejections=(),
        cuts=tuple(_cuts(subgraph, kept)),
        runtime=10,
    )


def _findings(subgraph: Subgraph, operator: Operator) -> tuple[Finding, ...]:
    """Returns what keeps one operator off the Edge TPU, wherever it stands."""
    if operator.op not in rules.SUPPORTED:
        kind = "custom operator" if operator.is_custom else "the Edge TPU has no such operator"
        return (
            Finding(
                rule="unsupported-operator",
                reason=kind,
                evidence="documented",
                source="Coral",
                remedy=rules.REPLACEMENTS.get(operator.op, ""),
            ),
        )
    if not subgraph.outputs_of(operator) or not rules.activations(subgraph, operator):
        return (
            Finding(rule="no-activation", reason="computes nothing from the input", evidence="inferred", source=""),
        )
    applying = (rule for rule in rules.RULES if not rule.ops or operator.op in rule.ops)
    checked = ((rule, rule.check(subgraph, operator)) for rule in applying)
    return tuple(
        Finding(rule=rule.name, reason=reason, evidence=rule.evidence, source=rule.source, remedy=rule.remedy)
        for rule, reason in checked
        if reason is not None
    )


def _rejections(graph: Graph) -> list[Finding]:
    """Returns what makes the compiler refuse the whole file."""
    main = graph.main
    found: list[Finding] = []
    used = [t for op in main.operators for t in (*main.inputs_of(op), *main.outputs_of(op))]
    if not any(
        t.dtype in rules.QUANTIZED_DTYPES and t.quantization for op in main.operators for t in main.outputs_of(op)
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
    found += [f for op in main.operators if (f := _unknown_version(op)) is not None]
    return list(dict.fromkeys(found))


def _dynamic(subgraph: Subgraph, operator: Operator) -> Finding | None:
    reason = None
    for position in rules.SIZES.get(operator.op, ()):
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


def _unknown_version(operator: Operator) -> Finding | None:
    if operator.is_custom:
        if operator.op in rules.KNOWN_CUSTOM_OPERATORS | {rules.COMPILED_OPERATOR}:
            return None
        return Finding(
            rule="unknown-custom-operator",
            reason=f"custom operator {operator.op} is unknown to the compiler",
            evidence="observed",
            source="'Encountered unresolved custom op', 'Model failed in Tflite interpreter'",
            remedy="convert with TFLite's own operators only (edgeseg convert does)",
        )
    newest = rules.KNOWN_VERSIONS.get(operator.op, 1)
    number = schema.OPERATORS.index(operator.op) if operator.op in schema.OPERATORS else len(schema.OPERATORS)
    if number > schema.OPERATORS.index(rules.LAST_KNOWN_OPERATOR):
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


def _runtime(subgraph: Subgraph, operator: Operator) -> int:
    needed = rules.SUPPORTED[operator.op].runtime
    int8 = any(t.dtype == "int8" for t in rules.activations(subgraph, operator))
    return max(needed, rules.INT8_RUNTIME) if int8 else needed


def _cuts(subgraph: Subgraph, kept: set[int]) -> list[Cut]:
    """Returns the tensors that the Edge TPU computes and the CPU reads, the model's own outputs left out."""
    producers = {tensor: i for i in kept for tensor in subgraph.operators[i].outputs}
    readers: dict[int, list[int]] = {}
    for op in subgraph.operators:
        for tensor in op.inputs:
            if op.index not in kept and tensor in producers and op.index not in readers.get(tensor, ()):
                readers.setdefault(tensor, []).append(op.index)
    return [
        Cut(
            tensor=subgraph.tensors[tensor].name,
            bytes=subgraph.tensors[tensor].bytes,
            producer=producers[tensor],
            readers=tuple(indices),
        )
        for tensor, indices in sorted(readers.items())
    ]
