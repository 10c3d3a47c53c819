"""What may stand in an operator's way on the Edge TPU: one function for each rule of `rules`.

Each returns in words what is wrong with an operator of a kind that the Edge TPU has, or None where nothing is.
"""

from __future__ import annotations

from edgeseg.tflite.graph import Operator, Subgraph, Tensor

QUANTIZED_DTYPES = frozenset({"int8", "uint8"})

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

MAX_ACTIVATION_ELEMENTS = 24_000_000
MAX_SOFTMAX_ELEMENTS = 16_384
MAX_FULLY_CONNECTED = 65_536
MAX_RESHAPE_ELEMENTS = 400_000
MAX_RESIZE_FACTOR = 4
MAX_RESIZE_SIDE = 255
MAX_MEAN_POSITIONS = 16_384
MAX_ZEROS = 1 << 24  # bytes; more than any activation that the chip can hold


def activations(subgraph: Subgraph, operator: Operator) -> list[Tensor]:
    """Returns the tensors that an operator reads and writes, constants and the state of recurrent layers left out."""
    tensors = (*subgraph.inputs_of(operator), *subgraph.outputs_of(operator))
    return [t for t in tensors if not t.is_constant and not t.is_variable]


def dtype(subgraph: Subgraph, operator: Operator) -> str | None:
    """Element types other than int8 and uint8."""
    wrong = sorted({t.dtype for t in activations(subgraph, operator)} - QUANTIZED_DTYPES)
    return f"works on {' and '.join(wrong)}, the Edge TPU on int8 and uint8" if wrong else None


def rank(subgraph: Subgraph, operator: Operator) -> str | None:
    """Sizes over 1 outside the 3 innermost dimensions."""
    for tensor in activations(subgraph, operator):
        if any(size > 1 for size in tensor.shape[:-3]):
            return f"tensor of shape {_size(tensor)}: only the 3 innermost sizes may exceed 1"
    return None


def activation_size(subgraph: Subgraph, operator: Operator) -> str | None:
    """An activation of more elements than was ever seen on the Edge TPU."""
    for tensor in activations(subgraph, operator):
        if tensor.elements > MAX_ACTIVATION_ELEMENTS:
            return f"tensor of shape {_size(tensor)}: {tensor.elements} elements, more than {MAX_ACTIVATION_ELEMENTS}"
    return None


def parameters(subgraph: Subgraph, operator: Operator) -> str | None:
    """Weights, biases, axes or sizes that are computed."""
    for position in PARAMETERS.get(operator.op, ()):
        tensor = subgraph.tensor_at(operator, position)
        if tensor is not None and not tensor.is_constant:
            return f"input {position} ({tensor.name}) is computed; it must be a constant"
    return None


def activation(subgraph: Subgraph, operator: Operator) -> str | None:
    """An activation fused into an operator that may have none."""
    fused = operator.options.get("activation", "NONE")
    return None if fused == "NONE" else f"has the activation {fused} fused into it"


def dilation(subgraph: Subgraph, operator: Operator) -> str | None:
    """Unequal dilation of rows and columns."""
    rows, columns = operator.options.get("dilation_h", 1), operator.options.get("dilation_w", 1)
    return None if rows == columns else f"dilation {rows} in rows and {columns} in columns; they must be equal"


def padding_concat(subgraph: Subgraph, operator: Operator) -> str | None:
    """Joining a constant other than a block of zeros."""
    inputs = subgraph.inputs_of(operator)
    constants = [t for t in inputs if t.is_constant]
    if not constants:
        return None
    tensor = constants[0]
    zero = tensor.quantization.zero_points[0] if tensor.quantization else 0
    small = tensor.is_array and tensor.bytes <= MAX_ZEROS
    if len(inputs) == 2 and len(constants) == 1 and small and (tensor.array() == zero).all():
        return None
    return "joins a constant: only one constant of zeros and one other input are possible"


def one_dimensional(subgraph: Subgraph, operator: Operator) -> str | None:
    """An output with more than one dimension."""
    out = subgraph.outputs_of(operator)[0]
    return f"output of shape {_size(out)} is not one-dimensional" if any(s > 1 for s in out.shape[:-1]) else None


def weights_format(subgraph: Subgraph, operator: Operator) -> str | None:
    """Weights of a fully connected layer in another order."""
    form = operator.options.get("weights_format", "DEFAULT")
    return None if form == "DEFAULT" else f"weights in the format {form}"


def softmax_size(subgraph: Subgraph, operator: Operator) -> str | None:
    """A softmax over too many elements."""
    count = subgraph.outputs_of(operator)[0].elements
    return f"{count} elements, more than {MAX_SOFTMAX_ELEMENTS}" if count > MAX_SOFTMAX_ELEMENTS else None


def _axes(subgraph: Subgraph, operator: Operator) -> set[int]:
    tensor, axes = subgraph.tensor_at(operator, 0), subgraph.tensor_at(operator, 1)
    if tensor is None or axes is None or not axes.is_array or not tensor.shape:
        return set()
    return {int(axis) % len(tensor.shape) for axis in axes.array().ravel()[: len(tensor.shape)]}


def fully_connected_size(subgraph: Subgraph, operator: Operator) -> str | None:
    """A fully connected layer with too many outputs."""
    count = subgraph.outputs_of(operator)[0].elements
    return f"{count} outputs, more than {MAX_FULLY_CONNECTED}" if count > MAX_FULLY_CONNECTED else None


def reshape_size(subgraph: Subgraph, operator: Operator) -> str | None:
    """Reshaping a large tensor."""
    count = subgraph.outputs_of(operator)[0].elements
    return f"{count} elements, more than {MAX_RESHAPE_ELEMENTS}" if count > MAX_RESHAPE_ELEMENTS else None


def reduces_batch(subgraph: Subgraph, operator: Operator) -> str | None:
    """A reduction over the batch."""
    tensor = subgraph.tensor_at(operator, 0)
    if tensor is None or len(tensor.shape) < 4:
        return None
    return "reduces over the batch" if 0 in _axes(subgraph, operator) and tensor.shape[0] > 1 else None


def mean_depth(subgraph: Subgraph, operator: Operator) -> str | None:
    """A mean over channels that are no multiple of 4."""
    tensor = subgraph.tensor_at(operator, 0)
    if tensor is None or len(tensor.shape) - 1 not in _axes(subgraph, operator) or tensor.shape[-1] % 4 == 0:
        return None
    return f"averages over {tensor.shape[-1]} channels, not a multiple of 4"


def mean_positions(subgraph: Subgraph, operator: Operator) -> str | None:
    """A mean over too many values."""
    tensor = subgraph.tensor_at(operator, 0)
    count = 1
    for axis in _axes(subgraph, operator):
        count *= tensor.shape[axis] if tensor is not None else 1
    return f"averages over {count} values at once" if count > MAX_MEAN_POSITIONS else None


def pads_batch(subgraph: Subgraph, operator: Operator) -> str | None:
    """Padding of the batch."""
    tensor, pads = subgraph.tensor_at(operator, 0), subgraph.tensor_at(operator, 1)
    if tensor is None or pads is None or len(tensor.shape) < 4 or not pads.is_array or not pads.elements:
        return None
    return "pads the batch" if pads.array()[0].any() else None


def splits_batch(subgraph: Subgraph, operator: Operator) -> str | None:
    """Splitting the batch."""
    tensor, axis = subgraph.tensor_at(operator, 1), subgraph.tensor_at(operator, 0)
    if tensor is None or axis is None or not axis.is_array or len(tensor.shape) < 4:
        return None
    return "splits the batch" if int(axis.array().ravel()[0]) % len(tensor.shape) == 0 else None


def packs_batch(subgraph: Subgraph, operator: Operator) -> str | None:
    """Stacking along the batch."""
    out = subgraph.outputs_of(operator)[0]
    axis = operator.options.get("axis", 0)
    return "stacks along the batch" if isinstance(axis, int) and out.shape and axis % len(out.shape) == 0 else None


def strides(subgraph: Subgraph, operator: Operator) -> str | None:
    """Strides and masks that a slice must not have."""
    for mask in ("ellipsis_mask", "new_axis_mask"):
        if operator.options.get(mask):
            return f"uses {mask}"
    strides = subgraph.tensor_at(operator, 3)
    if strides is None or not strides.is_array:
        return None
    return None if (strides.array() == 1).all() else f"strides {strides.array().tolist()}; all must be 1"


def shared_slope(subgraph: Subgraph, operator: Operator) -> str | None:
    """PReLU slopes that differ by place."""
    slope = subgraph.tensor_at(operator, 1)
    if slope is None or not any(size > 1 for size in slope.shape[:-1]):
        return None
    return f"slopes of shape {_size(slope)}, not one a channel"


def resize_factor(subgraph: Subgraph, operator: Operator) -> str | None:
    """An enlargement by too much at once."""
    tensor, out = subgraph.tensor_at(operator, 0), subgraph.outputs_of(operator)[0]
    if tensor is None or len(tensor.shape) != 4 or len(out.shape) != 4:
        return None
    factor = max(out.shape[1] / max(tensor.shape[1], 1), out.shape[2] / max(tensor.shape[2], 1))
    return f"enlarges {_plane(tensor)} to {_plane(out)}, {factor:.3g} times" if factor > MAX_RESIZE_FACTOR else None


def resize_side(subgraph: Subgraph, operator: Operator) -> str | None:
    """An enlargement to too large an image."""
    out = subgraph.outputs_of(operator)[0]
    too_large = any(size > MAX_RESIZE_SIDE for size in out.shape[1:3])
    return f"makes {_plane(out)}; sides over {MAX_RESIZE_SIDE} are refused" if too_large else None


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "()"


def _plane(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape[1:3]))
