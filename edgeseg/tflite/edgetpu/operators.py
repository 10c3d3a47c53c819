"""The operators that the Edge TPU compiler has (version 16 of July 2021, the last), as data, each with its source.

What the sources are called, and what the kinds of evidence mean, `edgetpu.rules` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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

_STATIC_BATCH = "convert with a static batch of 1 (edgeseg convert does): dilation then stays in the convolution"

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
