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

from edgeseg.tflite.graph import Operator, Subgraph, Tensor

Evidence = Literal["documented", "observed", "inferred"]

QUANTIZED_DTYPES = frozenset({"int8", "uint8"})
KNOWN_CUSTOM_OPERATORS = frozenset({"PosenetDecoderOp", "TFLite_Detection_PostProcess"})
COMPILED_OPERATOR = "edgetpu-custom-op"
INT8_RUNTIME = 12  # kWithInt8HostDataTypeSupport in libedgetpu's api/runtime_version.h
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

# Inputs that the compiler must know: weights, biases, sizes, axes.
PARAMETERS: dict[str, tuple[int, ...]] = {
    "CONV_2D": (1, 2),
    "DEPTHWISE_CONV_2D": (1, 2),
    "EXPAND_DIMS": (1,),
    "FULLY_CONNECTED": (1, 2),
    "MEAN": (1,),
    "PAD": (1,),
    "PRELU": (1,),
    "REDUCE_MAX": (1,),
    "REDUCE_MIN": (1,),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SLICE": (1, 2),
    "SPLIT": (0,),
    "STRIDED_SLICE": (1, 2, 3),
    "SUM": (1,),
    "TILE": (1,),
    "TRANSPOSE": (1,),
    "TRANSPOSE_CONV": (0, 1, 3),
}

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

MAX_SOFTMAX_ELEMENTS = 16_384
MAX_RESIZE_FACTOR = 4
MAX_RESIZE_SIDE = 255
MAX_MEAN_POSITIONS = 16_384


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


def activations(subgraph: Subgraph, operator: Operator) -> list[Tensor]:
    """Returns the tensors that an operator reads and writes, constants left out."""
    tensors = (*subgraph.inputs_of(operator), *subgraph.outputs_of(operator))
    return [t for t in tensors if not t.is_constant]


def _dtype(subgraph: Subgraph, operator: Operator) -> str | None:
    wrong = sorted({t.dtype for t in activations(subgraph, operator)} - QUANTIZED_DTYPES)
    return f"works on {' and '.join(wrong)}, the Edge TPU on int8 and uint8" if wrong else None


def _rank(subgraph: Subgraph, operator: Operator) -> str | None:
    for tensor in activations(subgraph, operator):
        if any(size > 1 for size in tensor.shape[:-3]):
            return f"tensor of shape {_size(tensor)}: only the 3 innermost sizes may exceed 1"
    return None


def _parameters(subgraph: Subgraph, operator: Operator) -> str | None:
    for position in PARAMETERS.get(operator.op, ()):
        tensor = subgraph.tensor_at(operator, position)
        if tensor is not None and not tensor.is_constant:
            return f"input {position} ({tensor.name}) is computed; it must be a constant"
    return None


def _activation(subgraph: Subgraph, operator: Operator) -> str | None:
    fused = operator.options.get("activation", "NONE")
    return None if fused == "NONE" else f"has the activation {fused} fused into it"


def _dilation(subgraph: Subgraph, operator: Operator) -> str | None:
    rows, columns = operator.options.get("dilation_h", 1), operator.options.get("dilation_w", 1)
    return None if rows == columns else f"dilation {rows} in rows and {columns} in columns; they must be equal"


def _padding_concat(subgraph: Subgraph, operator: Operator) -> str | None:
    inputs = subgraph.inputs_of(operator)
    constants = [t for t in inputs if t.is_constant]
    if not constants:
        return None
    tensor = constants[0]
    zero = tensor.quantization.zero_points[0] if tensor.quantization else 0
    if len(inputs) == 2 and len(constants) == 1 and tensor.is_array and (tensor.array() == zero).all():
        return None
    return "joins a constant: only one constant of zeros and one other input are possible"


def _one_dimensional(subgraph: Subgraph, operator: Operator) -> str | None:
    out = subgraph.outputs_of(operator)[0]
    return f"output of shape {_size(out)} is not one-dimensional" if any(s > 1 for s in out.shape[:-1]) else None


def _weights_format(subgraph: Subgraph, operator: Operator) -> str | None:
    form = operator.options.get("weights_format", "DEFAULT")
    return None if form == "DEFAULT" else f"weights in the format {form}"


def _softmax_size(subgraph: Subgraph, operator: Operator) -> str | None:
    count = subgraph.outputs_of(operator)[0].elements
    return f"{count} elements, more than {MAX_SOFTMAX_ELEMENTS}" if count > MAX_SOFTMAX_ELEMENTS else None


def _axes(subgraph: Subgraph, operator: Operator) -> set[int]:
    tensor, axes = subgraph.tensor_at(operator, 0), subgraph.tensor_at(operator, 1)
    if tensor is None or axes is None or not axes.is_array or not tensor.shape:
        return set()
    return {int(axis) % len(tensor.shape) for axis in axes.array().ravel()}


def _reduces_batch(subgraph: Subgraph, operator: Operator) -> str | None:
    tensor = subgraph.tensor_at(operator, 0)
    if tensor is None or len(tensor.shape) < 4:
        return None
    return "reduces over the batch" if 0 in _axes(subgraph, operator) and tensor.shape[0] > 1 else None


def _mean_depth(subgraph: Subgraph, operator: Operator) -> str | None:
    tensor = subgraph.tensor_at(operator, 0)
    if tensor is None or len(tensor.shape) - 1 not in _axes(subgraph, operator) or tensor.shape[-1] % 4 == 0:
        return None
    return f"averages over {tensor.shape[-1]} channels, not a multiple of 4"


def _mean_positions(subgraph: Subgraph, operator: Operator) -> str | None:
    tensor = subgraph.tensor_at(operator, 0)
    count = 1
    for axis in _axes(subgraph, operator):
        count *= tensor.shape[axis] if tensor is not None else 1
    return f"averages over {count} values at once" if count > MAX_MEAN_POSITIONS else None


def _pads_batch(subgraph: Subgraph, operator: Operator) -> str | None:
    tensor, pads = subgraph.tensor_at(operator, 0), subgraph.tensor_at(operator, 1)
    if tensor is None or pads is None or len(tensor.shape) < 4 or not pads.is_array or not pads.elements:
        return None
    return "pads the batch" if pads.array()[0].any() else None


def _splits_batch(subgraph: Subgraph, operator: Operator) -> str | None:
    tensor, axis = subgraph.tensor_at(operator, 1), subgraph.tensor_at(operator, 0)
    if tensor is None or axis is None or not axis.is_array or len(tensor.shape) < 4:
        return None
    return "splits the batch" if int(axis.array().ravel()[0]) % len(tensor.shape) == 0 else None


def _packs_batch(subgraph: Subgraph, operator: Operator) -> str | None:
    out = subgraph.outputs_of(operator)[0]
    axis = operator.options.get("axis", 0)
    return "stacks along the batch" if isinstance(axis, int) and out.shape and axis % len(out.shape) == 0 else None


def _strides(subgraph: Subgraph, operator: Operator) -> str | None:
    for mask in ("ellipsis_mask", "new_axis_mask"):
        if operator.options.get(mask):
            return f"uses {mask}"
    strides = subgraph.tensor_at(operator, 3)
    if strides is None or not strides.is_array:
        return None
    return None if (strides.array() == 1).all() else f"strides {strides.array().tolist()}; all must be 1"


def _shared_slope(subgraph: Subgraph, operator: Operator) -> str | None:
    slope = subgraph.tensor_at(operator, 1)
    if slope is None or not any(size > 1 for size in slope.shape[:-1]):
        return None
    return f"slopes of shape {_size(slope)}, not one a channel"


def _resize_factor(subgraph: Subgraph, operator: Operator) -> str | None:
    tensor, out = subgraph.tensor_at(operator, 0), subgraph.outputs_of(operator)[0]
    if tensor is None or len(tensor.shape) != 4 or len(out.shape) != 4:
        return None
    factor = max(out.shape[1] / max(tensor.shape[1], 1), out.shape[2] / max(tensor.shape[2], 1))
    return f"enlarges {_plane(tensor)} to {_plane(out)}, {factor:.3g} times" if factor > MAX_RESIZE_FACTOR else None


def _resize_side(subgraph: Subgraph, operator: Operator) -> str | None:
    out = subgraph.outputs_of(operator)[0]
    too_large = any(size > MAX_RESIZE_SIDE for size in out.shape[1:3])
    return f"makes {_plane(out)}; sides over {MAX_RESIZE_SIDE} are refused" if too_large else None


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "()"


def _plane(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape[1:3]))


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
        check=_dtype,
        evidence="documented",
        source="Coral; status 'Operation is working on an unsupported data type'",
        remedy="convert all of the model to int8 (edgeseg convert --int8), with uint8 or int8 input and output",
    ),
    Rule(
        name="rank",
        ops=_ALL_OPS,
        check=_rank,
        evidence="documented",
        source="Coral; #30 #75 #537 #708",
        remedy="use a batch of 1 and at most 4 dimensions (edgeseg convert makes both)",
    ),
    Rule(
        name="parameters-constant",
        ops=frozenset(PARAMETERS),
        check=_parameters,
        evidence="documented",
        source="Coral; #25",
        remedy="make weights, axes and sizes constants of the model",
    ),
    Rule(
        name="no-fused-activation",
        ops=frozenset({"AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION"}),
        check=_activation,
        evidence="documented",
        source="Coral",
        remedy="put the activation before the operator",
    ),
    Rule(
        name="equal-dilation",
        ops=frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"}),
        check=_dilation,
        evidence="documented",
        source="Coral",
        remedy="dilate rows and columns alike",
    ),
    Rule(
        name="concatenation-constant",
        ops=frozenset({"CONCATENATION"}),
        check=_padding_concat,
        evidence="documented",
        source="Coral",
        remedy="pad with zeros, or add the constant in another way",
    ),
    Rule(
        name="fully-connected-1d",
        ops=frozenset({"FULLY_CONNECTED"}),
        check=_one_dimensional,
        evidence="documented",
        source="Coral; #27",
        remedy="write the layer as a 1x1 convolution",
    ),
    Rule(
        name="fully-connected-format",
        ops=frozenset({"FULLY_CONNECTED"}),
        check=_weights_format,
        evidence="documented",
        source="Coral",
        remedy="convert with a current converter",
    ),
    Rule(
        name="softmax-1d",
        ops=frozenset({"SOFTMAX"}),
        check=_one_dimensional,
        evidence="documented",
        source="Coral; #27",
        remedy="output logits instead (edgeseg convert --output logits): their largest is the same class",
    ),
    Rule(
        name="softmax-size",
        ops=frozenset({"SOFTMAX"}),
        check=_softmax_size,
        evidence="observed",
        source="pairs: 16384 elements map; Coral says 16000",
        remedy="output logits instead (edgeseg convert --output logits): their largest is the same class",
    ),
    Rule(
        name="no-batch-reduction",
        ops=frozenset({"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"}),
        check=_reduces_batch,
        evidence="documented",
        source="Coral",
        remedy="use a batch of 1",
    ),
    Rule(
        name="mean-depth",
        ops=frozenset({"MEAN"}),
        check=_mean_depth,
        evidence="documented",
        source="Coral",
        remedy="use a multiple of 4 channels",
    ),
    Rule(
        name="mean-size",
        ops=frozenset({"MEAN"}),
        check=_mean_positions,
        evidence="inferred",
        source="#461: 256x128 is refused, 64x128 maps",
        remedy="average in two steps, or at a lower resolution",
    ),
    Rule(
        name="no-batch-padding",
        ops=frozenset({"PAD"}),
        check=_pads_batch,
        evidence="documented",
        source="Coral",
        remedy="use a batch of 1",
    ),
    Rule(
        name="no-batch-split",
        ops=frozenset({"SPLIT"}),
        check=_splits_batch,
        evidence="documented",
        source="Coral",
        remedy="split along another axis",
    ),
    Rule(
        name="no-batch-pack",
        ops=frozenset({"PACK"}),
        check=_packs_batch,
        evidence="documented",
        source="Coral; changes",
        remedy="stack along another axis",
    ),
    Rule(
        name="strides-1",
        ops=frozenset({"STRIDED_SLICE"}),
        check=_strides,
        evidence="documented",
        source="Coral",
        remedy="slice with stride 1, or use a strided convolution or pooling",
    ),
    Rule(
        name="prelu-shared",
        ops=frozenset({"PRELU"}),
        check=_shared_slope,
        evidence="documented",
        source="Coral",
        remedy="share the slopes over rows and columns (Keras PReLU(shared_axes=[1, 2])), or use ReLU",
    ),
    Rule(
        name="resize-factor",
        ops=frozenset({"RESIZE_BILINEAR"}),
        check=_resize_factor,
        evidence="inferred",
        source="pairs: 2 times maps, 33 to 513 and 1 to 33 do not; #31: refused where precision would be lost",
        remedy=f"enlarge in steps of 2; spread a pooled 1x1 by broadcasting; {_END_EARLY}",
    ),
    Rule(
        name="resize-size",
        ops=_RESIZE,
        check=_resize_side,
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
