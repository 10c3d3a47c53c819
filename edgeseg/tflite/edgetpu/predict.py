"""What the Edge TPU compiler will make of a `.tflite` file, told from the file alone.

The compiler asks for each operator whether the Edge TPU can run it (`rules`), cuts the graph as any TFLite
delegate does (`partition`), and keeps the first part that fell to the Edge TPU; with `-a` it keeps all. Some traits
make it refuse the whole file.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.tflite.edgetpu import checks, operators, rules
from edgeseg.tflite.edgetpu.operators import Evidence
from edgeseg.tflite.edgetpu.package import packages
from edgeseg.tflite.edgetpu.rejections import Finding
from edgeseg.tflite.edgetpu.rejections import rejections as found_rejections
from edgeseg.tflite.graph import Graph, Operator, Subgraph
from edgeseg.tflite.partition import partition

MORE_THAN_ONE_SUBGRAPH = "behind the cut"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Where one operator will run, and why.

    Attributes:
        index: The operator's place in the model.
        mapped: Whether it runs on the Edge TPU.
        findings: What keeps it on the CPU; empty where it is mapped.
        evidence: How that is known: of the first finding, or that the Edge TPU has such an operator.
        source: Where that is written or was seen.
    """

    index: int
    mapped: bool
    findings: tuple[Finding, ...]
    evidence: Evidence
    source: str

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
        is_compiled: The compiler has been over the file already; the verdicts are then facts.
    """

    verdicts: tuple[Verdict, ...]
    segments: tuple[tuple[int, ...], ...]
    rejections: tuple[Finding, ...]
    cuts: tuple[Cut, ...]
    runtime: int
    is_compiled: bool = False

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
    if any(op.op == operators.COMPILED_OPERATOR for op in main.operators):
        return _compiled(graph)
    rejections = tuple(found_rejections(graph))
    findings = [_findings(main, op) for op in main.operators]
    if rejections:
        whole = Finding(
            rule="rejected", reason="the compiler refuses the file", evidence="observed", source="see rejected"
        )
        verdicts = tuple(_verdict(op, found or (whole,)) for op, found in zip(main.operators, findings, strict=True))
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
        _verdict(op, () if op.index in kept else found or (stranded,))
        for op, found in zip(main.operators, findings, strict=True)
    )
    return Prediction(
        verdicts=verdicts,
        segments=tuple(segments),
        rejections=(),
        cuts=tuple(_cuts(main, kept)),
        runtime=max((_runtime(main, main.operators[i]) for i in kept), default=10),
    )


def _verdict(operator: Operator, findings: tuple[Finding, ...]) -> Verdict:
    known = findings[0] if findings else operators.SUPPORTED[operator.op]
    return Verdict(
        index=operator.index,
        mapped=not findings,
        findings=findings,
        evidence=known.evidence,
        source=known.source,
    )


def _compiled(graph: Graph) -> Prediction:
    """Returns what a compiled file shows: the custom operators run on the Edge TPU, the others were left behind."""
    subgraph = graph.main
    left = Finding(
        rule="compiled", reason="left on the CPU when the file was compiled", evidence="observed", source="the file"
    )
    kept = {op.index for op in subgraph.operators if op.op == operators.COMPILED_OPERATOR}
    return Prediction(
        verdicts=tuple(
            Verdict(
                index=op.index,
                mapped=op.index in kept,
                findings=() if op.index in kept else (left,),
                evidence=left.evidence,
                source=left.source,
            )
            for op in subgraph.operators
        ),
        segments=tuple((i,) for i in sorted(kept)),
        rejections=(),
        cuts=tuple(_cuts(subgraph, kept)),
        runtime=max(package.min_runtime_version for package in packages(graph)),
        is_compiled=True,
    )


def _findings(subgraph: Subgraph, operator: Operator) -> tuple[Finding, ...]:
    """Returns what keeps one operator off the Edge TPU, wherever it stands."""
    if operator.op not in operators.SUPPORTED:
        kind = "custom operator" if operator.is_custom else "the Edge TPU has no such operator"
        return (
            Finding(
                rule="unsupported-operator",
                reason=kind,
                evidence="documented",
                source="Coral",
                remedy=operators.REPLACEMENTS.get(operator.op, ""),
            ),
        )
    if not subgraph.outputs_of(operator) or not checks.activations(subgraph, operator):
        return (
            Finding(
                rule="no-activation",
                reason="computes nothing from the input",
                evidence="inferred",
                source="TFLite computes it before any delegate",
            ),
        )
    applying = (rule for rule in rules.RULES if not rule.ops or operator.op in rule.ops)
    checked = ((rule, rule.check(subgraph, operator)) for rule in applying)
    return tuple(
        Finding(rule=rule.name, reason=reason, evidence=rule.evidence, source=rule.source, remedy=rule.remedy)
        for rule, reason in checked
        if reason is not None
    )


def _runtime(subgraph: Subgraph, operator: Operator) -> int:
    needed = operators.SUPPORTED[operator.op].runtime
    if any(t.dtype == "int8" for t in checks.activations(subgraph, operator)):
        needed = max(needed, operators.INT8_RUNTIME)
    if operator.op == "DEPTHWISE_CONV_2D" and operator.options.get("dilation_h") != 1:
        needed = max(needed, operators.DILATED_DEPTHWISE_RUNTIME)
    return needed


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
