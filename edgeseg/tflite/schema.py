"""Names and field numbers of the TensorFlow Lite schema, version 3, as data.

The facts are those of `tensorflow/compiler/mlir/lite/schema/schema.fbs` (TensorFlow 2.21). A name's place in a tuple is
its number in the schema.
"""

from __future__ import annotations

from typing import NamedTuple

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3

OPERATORS: tuple[str, ...] = (
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE",
    "EMBEDDING_LOOKUP", "FLOOR", "FULLY_CONNECTED", "HASHTABLE_LOOKUP", "L2_NORMALIZATION", "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION", "LOGISTIC", "LSH_PROJECTION", "LSTM", "MAX_POOL_2D", "MUL", "RELU",
    "RELU_N1_TO_1", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RNN", "SOFTMAX", "SPACE_TO_DEPTH", "SVDF", "TANH",
    "CONCAT_EMBEDDINGS", "SKIP_GRAM", "CALL", "CUSTOM", "EMBEDDING_LOOKUP_SPARSE", "PAD",
    "UNIDIRECTIONAL_SEQUENCE_RNN", "GATHER", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "TRANSPOSE", "MEAN", "SUB",
    "DIV", "SQUEEZE", "UNIDIRECTIONAL_SEQUENCE_LSTM", "STRIDED_SLICE", "BIDIRECTIONAL_SEQUENCE_RNN", "EXP",
    "TOPK_V2", "SPLIT", "LOG_SOFTMAX", "DELEGATE", "BIDIRECTIONAL_SEQUENCE_LSTM", "CAST", "PRELU", "MAXIMUM",
    "ARG_MAX", "MINIMUM", "LESS", "NEG", "PADV2", "GREATER", "GREATER_EQUAL", "LESS_EQUAL", "SELECT", "SLICE",
    "SIN", "TRANSPOSE_CONV", "SPARSE_TO_DENSE", "TILE", "EXPAND_DIMS", "EQUAL", "NOT_EQUAL", "LOG", "SUM", "SQRT",
    "RSQRT", "SHAPE", "POW", "ARG_MIN", "FAKE_QUANT", "REDUCE_PROD", "REDUCE_MAX", "PACK", "LOGICAL_OR", "ONE_HOT",
    "LOGICAL_AND", "LOGICAL_NOT", "UNPACK", "REDUCE_MIN", "FLOOR_DIV", "REDUCE_ANY", "SQUARE", "ZEROS_LIKE", "FILL",
    "FLOOR_MOD", "RANGE", "RESIZE_NEAREST_NEIGHBOR", "LEAKY_RELU", "SQUARED_DIFFERENCE", "MIRROR_PAD", "ABS",
    "SPLIT_V", "UNIQUE", "CEIL", "REVERSE_V2", "ADD_N", "GATHER_ND", "COS", "WHERE", "RANK", "ELU",
    "REVERSE_SEQUENCE", "MATRIX_DIAG", "QUANTIZE", "MATRIX_SET_DIAG", "ROUND", "HARD_SWISH", "IF", "WHILE",
    "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "SCATTER_ND", "SELECT_V2", "DENSIFY", "SEGMENT_SUM",
    "BATCH_MATMUL", "PLACEHOLDER_FOR_GREATER_OP_CODES", "CUMSUM", "CALL_ONCE", "BROADCAST_TO", "RFFT2D", "CONV_3D",
    "IMAG", "REAL", "COMPLEX_ABS", "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE",
    "REDUCE_ALL", "CONV_3D_TRANSPOSE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "BROADCAST_ARGS",
    "RANDOM_STANDARD_NORMAL", "BUCKETIZE", "RANDOM_UNIFORM", "MULTINOMIAL", "GELU", "DYNAMIC_UPDATE_SLICE",
    "RELU_0_TO_1", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_SUM", "ATAN2",
    "UNSORTED_SEGMENT_MIN", "SIGN", "BITCAST", "BITWISE_XOR", "RIGHT_SHIFT", "STABLEHLO_LOGISTIC", "STABLEHLO_ADD",
    "STABLEHLO_DIVIDE", "STABLEHLO_MULTIPLY", "STABLEHLO_MAXIMUM", "STABLEHLO_RESHAPE", "STABLEHLO_CLAMP",
    "STABLEHLO_CONCATENATE", "STABLEHLO_BROADCAST_IN_DIM", "STABLEHLO_CONVOLUTION", "STABLEHLO_SLICE",
    "STABLEHLO_CUSTOM_CALL", "STABLEHLO_REDUCE", "STABLEHLO_ABS", "STABLEHLO_AND", "STABLEHLO_COSINE",
    "STABLEHLO_EXPONENTIAL", "STABLEHLO_FLOOR", "STABLEHLO_LOG", "STABLEHLO_MINIMUM", "STABLEHLO_NEGATE",
    "STABLEHLO_OR", "STABLEHLO_POWER", "STABLEHLO_REMAINDER", "STABLEHLO_RSQRT", "STABLEHLO_SELECT",
    "STABLEHLO_SUBTRACT", "STABLEHLO_TANH", "STABLEHLO_SCATTER", "STABLEHLO_COMPARE", "STABLEHLO_CONVERT",
    "STABLEHLO_DYNAMIC_SLICE", "STABLEHLO_DYNAMIC_UPDATE_SLICE", "STABLEHLO_PAD", "STABLEHLO_IOTA",
    "STABLEHLO_DOT_GENERAL", "STABLEHLO_REDUCE_WINDOW", "STABLEHLO_SORT", "STABLEHLO_WHILE", "STABLEHLO_GATHER",
    "STABLEHLO_TRANSPOSE", "DILATE", "STABLEHLO_RNG_BIT_GENERATOR", "REDUCE_WINDOW", "STABLEHLO_COMPOSITE",
    "STABLEHLO_SHIFT_LEFT", "STABLEHLO_CBRT", "STABLEHLO_CASE",
)  # fmt: skip

DTYPES: tuple[str, ...] = (
    "float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64",
    "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16", "int2", "uint4",
    "float8_e4m3fn", "float8_e5m2",
)  # fmt: skip

FLOAT_DTYPES = frozenset(
    {"float32", "float16", "float64", "bfloat16", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"}
)

PADDING = ("SAME", "VALID")
ACTIVATION = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
MIRROR = ("REFLECT", "SYMMETRIC")


class Field(NamedTuple):
    """An option of an operator: number, `struct` format ("*i": a vector of int32), default, and names of its values."""

    number: int
    kind: str
    default: int | float = 0
    names: tuple[str, ...] = ()


_ACTIVATION_0 = {"activation": Field(0, "b", 0, ACTIVATION)}
_WINDOW = {
    "padding": Field(0, "b", 0, PADDING),
    "stride_w": Field(1, "i"),
    "stride_h": Field(2, "i"),
}

# Keys are numbers of the union BuiltinOptions. Options that no rule reads are left out.
OPTIONS: dict[int, dict[str, Field]] = {
    1: {  # Conv2DOptions
        **_WINDOW,
        "activation": Field(3, "b", 0, ACTIVATION),
        "dilation_w": Field(4, "i", 1),
        "dilation_h": Field(5, "i", 1),
    },
    2: {  # DepthwiseConv2DOptions
        **_WINDOW,
        "depth_multiplier": Field(3, "i"),
        "activation": Field(4, "b", 0, ACTIVATION),
        "dilation_w": Field(5, "i", 1),
        "dilation_h": Field(6, "i", 1),
    },
    5: {  # Pool2DOptions
        **_WINDOW,
        "filter_w": Field(3, "i"),
        "filter_h": Field(4, "i"),
        "activation": Field(5, "b", 0, ACTIVATION),
    },
    8: {  # FullyConnectedOptions
        **_ACTIVATION_0,
        "weights_format": Field(1, "b", 0, ("DEFAULT", "SHUFFLED4x16INT8")),
        "keep_num_dims": Field(2, "?"),
    },
    9: {"beta": Field(0, "f")},  # SoftmaxOptions
    10: {"axis": Field(0, "i"), "activation": Field(1, "b", 0, ACTIVATION)},  # ConcatenationOptions
    11: _ACTIVATION_0,  # AddOptions
    12: _ACTIVATION_0,  # L2NormOptions
    14: {**_ACTIVATION_0, "kernel_type": Field(3, "b", 0, ("FULL", "BASIC"))},  # LSTMOptions
    15: {"align_corners": Field(2, "?"), "half_pixel_centers": Field(3, "?")},  # ResizeBilinearOptions
    17: {"new_shape": Field(0, "*i")},  # ReshapeOptions
    19: {"block_size": Field(0, "i")},  # SpaceToDepthOptions
    21: _ACTIVATION_0,  # MulOptions
    23: {"axis": Field(0, "i"), "batch_dims": Field(1, "i")},  # GatherOptions
    27: {"keep_dims": Field(0, "?")},  # ReducerOptions
    28: _ACTIVATION_0,  # SubOptions
    29: _ACTIVATION_0,  # DivOptions
    30: {"squeeze_dims": Field(0, "*i")},  # SqueezeOptions
    32: {  # StridedSliceOptions
        "begin_mask": Field(0, "i"),
        "end_mask": Field(1, "i"),
        "ellipsis_mask": Field(2, "i"),
        "new_axis_mask": Field(3, "i"),
        "shrink_axis_mask": Field(4, "i"),
        "offset": Field(5, "?"),
    },
    35: {"num_splits": Field(0, "i")},  # SplitOptions
    37: {"in_dtype": Field(0, "b", 0, DTYPES), "out_dtype": Field(1, "b", 0, DTYPES)},  # CastOptions
    40: {"output_type": Field(0, "b", 0, DTYPES)},  # ArgMaxOptions
    49: {**_WINDOW, "activation": Field(3, "b", 0, ACTIVATION)},  # TransposeConvOptions
    57: {"output_type": Field(0, "b", 0, DTYPES)},  # ArgMinOptions
    59: {"values_count": Field(0, "i"), "axis": Field(1, "i")},  # PackOptions
    64: {"num": Field(0, "i"), "axis": Field(1, "i")},  # UnpackOptions
    71: {**_ACTIVATION_0, "time_major": Field(3, "?")},  # UnidirectionalSequenceLSTMOptions
    74: {"align_corners": Field(0, "?"), "half_pixel_centers": Field(1, "?")},  # ResizeNearestNeighborOptions
    75: {"alpha": Field(0, "f")},  # LeakyReluOptions
    77: {"mode": Field(0, "b", 0, MIRROR)},  # MirrorPadOptions
    79: {"num_splits": Field(0, "i")},  # SplitVOptions
    94: {"block_size": Field(0, "i")},  # DepthToSpaceOptions
    101: {"adj_x": Field(0, "?"), "adj_y": Field(1, "?")},  # BatchMatMulOptions
    116: {"approximate": Field(0, "?")},  # GeluOptions
}

BITS: dict[str, int] = {
    "float32": 32, "float16": 16, "int32": 32, "uint8": 8, "int64": 64, "bool": 8, "int16": 16, "complex64": 64,
    "int8": 8, "float64": 64, "complex128": 128, "uint64": 64, "uint32": 32, "uint16": 16, "int4": 4, "bfloat16": 16,
    "int2": 2, "uint4": 4, "float8_e4m3fn": 8, "float8_e5m2": 8,
}  # fmt: skip
"""Bits of one value; types of no fixed size are left out."""
