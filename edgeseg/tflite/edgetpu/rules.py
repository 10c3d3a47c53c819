"""Why the Edge TPU compiler leaves an operator that it has to the CPU, as data: every rule with its source.

`edgetpu.operators` has the operators. Each rule carries its kind of evidence: "documented" (Coral's table of operations
or a copy of it), "observed" (seen in files that the real compiler made, or in its issue tracker), "inferred" (a
boundary drawn between an observed yes and an observed no, or read out of dates and source code). `edgetpu.predict`
applies them.

Sources, by the names used below:
    Coral: the table of supported operations at coral.ai/docs/edgetpu/models-intro, in the copies that Axis
        (developer.axis.com, ARTPEC-7 supported ops and optimization tips) and dgist-datalab/Datalab_Intern keep.
    #n: issue n of google-coral/edgetpu. changes: CHANGES.md of google-coral/edgetpu and google-coral/libcoral.
    pairs: .tflite files compared with what the compiler made of them.
    runtime_version.cc: tensorflow/lite/tools/versioning/runtime_version.cc.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgeseg.tflite.edgetpu import checks
from edgeseg.tflite.edgetpu.operators import Evidence
from edgeseg.tflite.graph import Operator, Subgraph


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Why an operator that the Edge TPU has may still stay on the CPU.

    Attributes:
        name: For programs.
        ops: The operators concerned; empty for all.
        check: Returns what stands in the way, in words; None where nothing does.
        evidence: See the module.
        source: See the module.
        remedy: What the maker of the model can do.
    """

    name: str
    ops: frozenset[str]
    check: Callable[[Subgraph, Operator], str | None]
    evidence: Evidence
    source: str
    remedy: str


_RESIZE = frozenset({"RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"})
_END_EARLY = (
    "end the model at low-resolution logits (edgeseg convert --target edgetpu) and enlarge the labels on the host"
)
_ALL_OPS: frozenset[str] = frozenset()

RULES: tuple[Rule, ...] = (
    Rule(
        name="dtype",
        ops=_ALL_OPS,
        check=checks.dtype,
        evidence="documented",
        source="Coral; status 'Operation is working on an unsupported data type'",
        remedy="convert all of the model to int8 (edgeseg convert --int8), with uint8 or int8 input and output",
    ),
    Rule(
        name="rank",
        ops=_ALL_OPS,
        check=checks.rank,
        evidence="documented",
        source="Coral; #30 #75 #537 #708",
        remedy="use a batch of 1 and at most 4 dimensions (edgeseg convert makes both)",
    ),
    Rule(
        name="activation-size",
        ops=_ALL_OPS,
        check=checks.activation_size,
        evidence="inferred",
        source="pairs: 12656736 elements map; #176: 512x512x151 is too large",
        remedy="use a smaller input, or fewer channels at high resolution",
    ),
    Rule(
        name="parameters-constant",
        ops=frozenset(checks.PARAMETERS),
        check=checks.parameters,
        evidence="documented",
        source="Coral; #25",
        remedy="make weights, axes and sizes constants of the model",
    ),
    Rule(
        name="no-fused-activation",
        ops=frozenset({"AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION"}),
        check=checks.activation,
        evidence="documented",
        source="Coral",
        remedy="put the activation before the operator",
    ),
    Rule(
        name="equal-dilation",
        ops=frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"}),
        check=checks.dilation,
        evidence="documented",
        source="Coral",
        remedy="dilate rows and columns alike",
    ),
    Rule(
        name="concatenation-constant",
        ops=frozenset({"CONCATENATION"}),
        check=checks.padding_concat,
        evidence="documented",
        source="Coral",
        remedy="pad with zeros, or add the constant in another way",
    ),
    Rule(
        name="fully-connected-1d",
        ops=frozenset({"FULLY_CONNECTED"}),
        check=checks.one_dimensional,
        evidence="documented",
        source="Coral; #27",
        remedy="write the layer as a 1x1 convolution",
    ),
    Rule(
        name="fully-connected-format",
        ops=frozenset({"FULLY_CONNECTED"}),
        check=checks.weights_format,
        evidence="documented",
        source="Coral",
        remedy="convert with a current converter",
    ),
    Rule(
        name="fully-connected-size",
        ops=frozenset({"FULLY_CONNECTED"}),
        check=checks.fully_connected_size,
        evidence="inferred",
        source="pairs: 12288 outputs map; changes: split_fc is there for about 100000",
        remedy="split the layer in two",
    ),
    Rule(
        name="reshape-size",
        ops=frozenset({"RESHAPE"}),
        check=checks.reshape_size,
        evidence="inferred",
        source="Coral: large ones may not map; #512: 261120 elements map, 587520 do not",
        remedy="leave the reshape to the host",
    ),
    Rule(
        name="softmax-1d",
        ops=frozenset({"SOFTMAX"}),
        check=checks.one_dimensional,
        evidence="documented",
        source="Coral; #27",
        remedy="output logits instead (edgeseg convert --output logits): their largest is the same class",
    ),
    Rule(
        name="softmax-size",
        ops=frozenset({"SOFTMAX"}),
        check=checks.softmax_size,
        evidence="observed",
        source="pairs: 16384 elements map; Coral says 16000",
        remedy="output logits instead (edgeseg convert --output logits): their largest is the same class",
    ),
    Rule(
        name="no-batch-reduction",
        ops=frozenset({"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"}),
        check=checks.reduces_batch,
        evidence="documented",
        source="Coral",
        remedy="use a batch of 1",
    ),
    Rule(
        name="mean-depth",
        ops=frozenset({"MEAN"}),
        check=checks.mean_depth,
        evidence="documented",
        source="Coral",
        remedy="use a multiple of 4 channels",
    ),
    Rule(
        name="mean-size",
        ops=frozenset({"MEAN"}),
        check=checks.mean_positions,
        evidence="inferred",
        source="#461: 256x128 is refused, 64x128 maps",
        remedy="average in two steps, or at a lower resolution",
    ),
    Rule(
        name="no-batch-padding",
        ops=frozenset({"PAD"}),
        check=checks.pads_batch,
        evidence="documented",
        source="Coral",
        remedy="use a batch of 1",
    ),
    Rule(
        name="no-batch-split",
        ops=frozenset({"SPLIT"}),
        check=checks.splits_batch,
        evidence="documented",
        source="Coral",
        remedy="split along another axis",
    ),
    Rule(
        name="no-batch-pack",
        ops=frozenset({"PACK"}),
        check=checks.packs_batch,
        evidence="documented",
        source="Coral; changes",
        remedy="stack along another axis",
    ),
    Rule(
        name="strides-1",
        ops=frozenset({"STRIDED_SLICE"}),
        check=checks.strides,
        evidence="documented",
        source="Coral",
        remedy="slice with stride 1, or use a strided convolution or pooling",
    ),
    Rule(
        name="prelu-shared",
        ops=frozenset({"PRELU"}),
        check=checks.shared_slope,
        evidence="documented",
        source="Coral",
        remedy="share the slopes over rows and columns (Keras PReLU(shared_axes=[1, 2])), or use ReLU",
    ),
    Rule(
        name="resize-factor",
        ops=frozenset({"RESIZE_BILINEAR"}),
        check=checks.resize_factor,
        evidence="inferred",
        source="pairs: 2 times maps, 33 to 513 and 1 to 33 do not; #31: refused where precision would be lost",
        remedy="enlarge in steps of 2, and spread a pooled 1x1 by broadcasting (the edge architectures do)",
    ),
    Rule(
        name="resize-size",
        ops=_RESIZE,
        check=checks.resize_side,
        evidence="inferred",
        source="#31: bilinear to 128 maps, to 512 not; #187: nearest to 128 maps, to 256 not",
        remedy=_END_EARLY,
    ),
)
