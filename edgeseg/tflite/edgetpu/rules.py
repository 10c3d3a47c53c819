"""What the Edge TPU compiler (version 16 of July 2021, the last) maps, as data: every rule with its source.

Each rule carries its kind of evidence: "documented" (Coral's table of operations or a copy of it), "observed" (seen in
files that the real compiler made, or in its issue tracker), "inferred" (a boundary drawn between an observed yes and an
observed no, or read out of dates and source code). `edgetpu.predict` applies them.

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
from typing import Literal

from edgeseg.tflite.edgetpu import checks
from edgeseg.tflite.graph import Operator, Subgraph

Evidence = Literal["documented", "observed", "inferred"]

# Coral's own decoder, and what TFLite's own resolver brings (tensorflow/lite/kernels/register.cc).
KNOWN_CUSTOM_OPERATORS = frozenset(
    {"PosenetDecoderOp", "TFLite_Detection_PostProcess", "Mfcc", "AudioSpectrogram", "NumericVerify"}
)
COMPILED_OPERATOR = "edgetpu-custom-op"
INT8_RUNTIME = 12  # kWithInt8HostDataTypeSupport in libedgetpu's api/runtime_version.h
DILATED_DEPTHWISE_RUNTIME = 12  # pairs: the first compiler, 2.0.258810407, left them on the CPU
LAST_KNOWN_OPERATOR = "BROADCAST_ARGS"  # the newest in TFLite 2.6, which reserved numbers 140-145


@dataclass(frozen=True, kw_only=True)
class Support:
    """An operator that the Edge TPU has: the least runtime version that runs it, and how that is known."""

    runtime: int
    evidence: Evidence
    source: str


_ALL = Support(runtime=10, evidence="documented", source="Coral")
_13 = Support(runtime=13, evidence="documented", source="Coral; changes")
_14 = Support(runtime=14, evidence="documented", source="Coral")

SUPPORTED: dict[str, Support] = {
    **dict.fromkeys(
        (
            "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED",
            "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "PAD", "RELU",
            "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "SOFTMAX",
            "SPACE_TO_DEPTH", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "SUB", "TANH",
        ),
        _ALL,
    ),
    **dict.fromkeys(("EXPAND_DIMS", "PACK", "PRELU", "QUANTIZE", "SUM", "TRANSPOSE_CONV"), _13),
    **dict.fromkeys(
        (
            "LSTM", "REDUCE_MAX", "REDUCE_MIN", "RSQRT", "SQUARED_DIFFERENCE", "TRANSPOSE",
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
        ),
        _14,
    ),
    "TILE": Support(runtime=12, evidence="observed", source="pairs: 1x1x128 to 33x33x128 in deeplab_mobilenet_edgetpu"),
}  # fmt: skip

# Highest version of each operator that TFLite 2.6 has; 1 for the others (runtime_version.cc). The compiler rejects a
# whole file for one newer version: CONV_2D 6 (#631), TRANSPOSE_CONV 4 (#845), EXP 2 (tflite-micro#2633).
KNOWN_VERSIONS: dict[str, int] = {
    "ABS": 4, "ADD": 4, "ARG_MAX": 2, "ARG_MIN": 2, "AVERAGE_POOL_2D": 3, "BATCH_MATMUL": 4, "BATCH_TO_SPACE_ND": 3,
    "BIDIRECTIONAL_SEQUENCE_LSTM": 3, "BIDIRECTIONAL_SEQUENCE_RNN": 3, "BROADCAST_TO": 3, "CONCATENATION": 3,
    "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "DEPTH_TO_SPACE": 2, "DEQUANTIZE": 4, "DIV": 2, "EMBEDDING_LOOKUP": 3,
    "EQUAL": 3, "FAKE_QUANT": 2, "FILL": 3, "FLOOR_DIV": 2, "FULLY_CONNECTED": 9, "GATHER": 5, "GATHER_ND": 3,
    "GREATER": 2, "GREATER_EQUAL": 2, "L2_NORMALIZATION": 2, "LEAKY_RELU": 2, "LESS": 2, "LESS_EQUAL": 2,
    "LOGISTIC": 3, "LOG_SOFTMAX": 2, "LSTM": 4, "MAXIMUM": 4, "MAX_POOL_2D": 3, "MEAN": 3, "MINIMUM": 4,
    "MIRROR_PAD": 2, "MUL": 5, "NOT_EQUAL": 3, "PACK": 3, "PAD": 4, "PADV2": 4, "QUANTIZE": 2, "REDUCE_MAX": 3,
    "REDUCE_MIN": 3, "REDUCE_PROD": 2, "RELU": 3, "RELU6": 3, "RESIZE_BILINEAR": 4, "RESIZE_NEAREST_NEIGHBOR": 4,
    "REVERSE_V2": 3, "RNN": 3, "RSQRT": 2, "SELECT": 2, "SLICE": 5, "SOFTMAX": 3, "SPACE_TO_BATCH_ND": 3,
    "SPACE_TO_DEPTH": 2, "SPARSE_TO_DENSE": 3, "SPLIT": 4, "SPLIT_V": 2, "SQUARED_DIFFERENCE": 2, "SQUEEZE": 2,
    "STRIDED_SLICE": 6, "SUB": 5, "SUM": 2, "SVDF": 4, "TANH": 3, "TILE": 2, "TOPK_V2": 2, "TRANSPOSE": 5,
    "TRANSPOSE_CONV": 3, "UNIDIRECTIONAL_SEQUENCE_LSTM": 3, "UNIDIRECTIONAL_SEQUENCE_RNN": 3, "UNPACK": 4,
}  # fmt: skip

# Inputs that set the size of the output: where one is computed, TFLite makes the output's memory at run time, which no
# delegate takes. A batch of -1 alone, in the shape signature, does no harm: the interpreter runs it as 1 (pairs).
SIZES: dict[str, tuple[int, ...]] = {
    "BROADCAST_TO": (1,),
    "FILL": (0,),
    "PAD": (1,),
    "PADV2": (1,),
    "RANGE": (0, 1, 2),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SLICE": (1, 2),
    "TILE": (1,),
    "TRANSPOSE_CONV": (0,),
}


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
_STATIC_BATCH = "convert with a static batch of 1 (edgeseg convert does): dilation then stays in the convolution"
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

REPLACEMENTS: dict[str, str] = {
    "ARG_MAX": "output logits (edgeseg convert --output logits): edgeseg takes the argmax on the host",
    "BATCH_TO_SPACE_ND": _STATIC_BATCH,
    "CAST": "remove it: feed and take uint8 or int8",
    "DEPTH_TO_SPACE": "use TRANSPOSE_CONV or enlarge in steps of 2",
    "DEQUANTIZE": "give the model integer outputs (edgeseg convert --int8)",
    "ELU": "use ReLU or ReLU6",
    "GELU": "use ReLU or ReLU6",
    "HARD_SWISH": "use ReLU or ReLU6 (a 'minimalistic' MobileNetV3)",
    "LEAKY_RELU": "use ReLU, ReLU6 or PReLU with shared slopes",
    "MIRROR_PAD": "pad with zeros",
    "SPACE_TO_BATCH_ND": _STATIC_BATCH,
}
"""What to use in place of operators that the Edge TPU lacks."""
