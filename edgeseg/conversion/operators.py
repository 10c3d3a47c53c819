"""TFLite's operators in TensorFlow, as far as segmentation networks use them: real numbers in, real numbers out.

Tensors have any batch; the constants of a file say 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from edgeseg.errors import ConversionError
from edgeseg.tflite.graph import Operator

_ACTIVATIONS = {
    "NONE": lambda x: x,
    "RELU": tf.nn.relu,
    "RELU6": tf.nn.relu6,
    "RELU_N1_TO_1": lambda x: tf.clip_by_value(x, -1.0, 1.0),
}


def apply_operator(op: Operator, values: Sequence[Any]) -> list[Any]:
    """Computes an operator without its weights' quantization, its fused activation included.

    Args:
        op: The operator.
        values: Its inputs: tensors, NumPy constants; None for one that is left out. Kernels have the output channels
            last: (h, w, in, out), (h, w, channels) for depthwise ones, (in, out) for a fully connected layer.

    Returns:
        Its outputs.
    """
    found = _OPERATORS[op.op](op.options, *values)
    activation = _ACTIVATIONS[str(op.options.get("activation", "NONE"))]
    return [activation(value) for value in (found if isinstance(found, list | tuple) else [found])]


def check_known(op: Operator) -> None:
    """Refuses an operator that `apply_operator` does not know.

    Raises:
        ConversionError: It does not.
    """
    if op.op not in _OPERATORS:
        raise ConversionError(
            f"{op.op} (operator {op.index}) cannot be trained through: use --int8 without --qat, or build without it"
        )


def _window(options: Any) -> dict[str, Any]:
    return {"strides": (1, options["stride_h"], options["stride_w"], 1), "padding": str(options["padding"])}


def _biased(x: Any, bias: Any) -> Any:
    return x if bias is None else x + bias


def _convolution(options: Any, x: Any, kernel: Any, bias: Any = None) -> Any:
    dilations = (1, options["dilation_h"], options["dilation_w"], 1)
    return _biased(tf.nn.conv2d(x, kernel, dilations=dilations, **_window(options)), bias)


def _depthwise(options: Any, x: Any, kernel: Any, bias: Any = None) -> Any:
    channels = x.shape[-1]
    rows, columns, outputs = kernel.shape
    shaped = tf.reshape(kernel, (rows, columns, channels, outputs // channels))
    dilations = (options["dilation_h"], options["dilation_w"])
    return _biased(tf.nn.depthwise_conv2d(x, shaped, dilations=dilations, **_window(options)), bias)


def _transposed(options: Any, shape: Any, kernel: Any, x: Any, bias: Any = None) -> Any:
    full = (tf.shape(x)[0], *map(int, shape[1:]))
    grown = tf.nn.conv2d_transpose(x, tf.transpose(kernel, (0, 1, 3, 2)), full, **_window(options))
    return _biased(tf.ensure_shape(grown, (None, *map(int, shape[1:]))), bias)


def _dense(options: Any, x: Any, kernel: Any, bias: Any = None) -> Any:
    flat = x if options["keep_num_dims"] else tf.reshape(x, (-1, kernel.shape[0]))
    return _biased(tf.tensordot(flat, kernel, 1), bias)


def _pool(kind: Callable[..., Any]) -> Callable[..., Any]:
    def pool(options: Any, x: Any) -> Any:
        return kind(x, (1, options["filter_h"], options["filter_w"], 1), **_window(options))

    return pool


def _resize(method: str) -> Callable[..., Any]:
    raw = {"bilinear": tf.raw_ops.ResizeBilinear, "nearest": tf.raw_ops.ResizeNearestNeighbor}[method]

    def resize(options: Any, x: Any, size: Any) -> Any:
        return raw(
            images=x, size=np.asarray(size, np.int32), align_corners=bool(options["align_corners"]),
            half_pixel_centers=bool(options["half_pixel_centers"]),
        )  # fmt: skip

    return resize


def _reduce(kind: Callable[..., Any]) -> Callable[..., Any]:
    return lambda options, x, axes: kind(x, np.ravel(axes).tolist(), keepdims=bool(options["keep_dims"]))


def _reshape(options: Any, x: Any, shape: Any = None) -> Any:
    wanted = [int(n) for n in np.ravel(options["new_shape"] if shape is None else shape)]
    return tf.reshape(x, [-1, *wanted[1:]])


def _strided_slice(options: Any, x: Any, begin: Any, end: Any, strides: Any) -> Any:
    masks = {name: int(options[name]) for name in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")}
    whole = 1 if not masks["shrink_axis_mask"] & 1 else 0  # the batch is not cut
    return tf.strided_slice(
        x, begin, end, strides, begin_mask=int(options["begin_mask"]) | whole,
        end_mask=int(options["end_mask"]) | whole, **masks,
    )  # fmt: skip


def _slice(options: Any, x: Any, begin: Any, size: Any) -> Any:
    return tf.slice(x, begin, [-1, *map(int, size[1:])])


def _broadcast(options: Any, x: Any, shape: Any) -> Any:
    return tf.broadcast_to(x, (tf.shape(x)[0], *map(int, shape[1:])))


_OPERATORS: dict[str, Callable[..., Any]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _dense,
    "ADD": lambda options, a, b: a + b,
    "SUB": lambda options, a, b: a - b,
    "MUL": lambda options, a, b: a * b,
    "DIV": lambda options, a, b: a / b,
    "SQUARED_DIFFERENCE": lambda options, a, b: tf.math.squared_difference(a, b),
    "MEAN": _reduce(tf.reduce_mean),
    "SUM": _reduce(tf.reduce_sum),
    "REDUCE_MAX": _reduce(tf.reduce_max),
    "AVERAGE_POOL_2D": _pool(tf.nn.avg_pool2d),
    "MAX_POOL_2D": _pool(tf.nn.max_pool2d),
    "CONCATENATION": lambda options, *parts: tf.concat(parts, options["axis"]),
    "RESIZE_BILINEAR": _resize("bilinear"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("nearest"),
    "PAD": lambda options, x, pads: tf.pad(x, pads),
    "PADV2": lambda options, x, pads, value: tf.pad(x, pads, constant_values=value),
    "MIRROR_PAD": lambda options, x, pads: tf.pad(x, pads, str(options["mode"])),
    "RELU": lambda options, x: tf.nn.relu(x),
    "RELU6": lambda options, x: tf.nn.relu6(x),
    "LEAKY_RELU": lambda options, x: tf.nn.leaky_relu(x, options["alpha"]),
    "PRELU": lambda options, x, alpha: tf.nn.relu(x) - alpha * tf.nn.relu(-x),
    "HARD_SWISH": lambda options, x: x * tf.nn.relu6(x + 3) / 6,
    "LOGISTIC": lambda options, x: tf.sigmoid(x),
    "TANH": lambda options, x: tf.tanh(x),
    "SOFTMAX": lambda options, x: tf.nn.softmax(options["beta"] * x),
    "L2_NORMALIZATION": lambda options, x: tf.math.l2_normalize(x, -1, epsilon=1e-12),
    "SQUARE": lambda options, x: tf.square(x),
    "ABS": lambda options, x: tf.abs(x),
    "NEG": lambda options, x: -x,
    "SQRT": lambda options, x: tf.sqrt(x),
    "RSQRT": lambda options, x: tf.math.rsqrt(x),
    "MAXIMUM": lambda options, a, b: tf.maximum(a, b),
    "MINIMUM": lambda options, a, b: tf.minimum(a, b),
    "RESHAPE": _reshape,
    "SQUEEZE": lambda options, x: tf.squeeze(x, list(options["squeeze_dims"])),
    "EXPAND_DIMS": lambda options, x, axis: tf.expand_dims(x, int(axis)),
    "TRANSPOSE": lambda options, x, order: tf.transpose(x, order),
    "STRIDED_SLICE": _strided_slice,
    "SLICE": _slice,
    "TILE": lambda options, x, multiples: tf.tile(x, multiples),
    "BROADCAST_TO": _broadcast,
    "SPACE_TO_BATCH_ND": lambda options, x, block, pads: tf.space_to_batch_nd(x, block, pads),
    "BATCH_TO_SPACE_ND": lambda options, x, block, crops: tf.batch_to_space(x, block, crops),
    "SPACE_TO_DEPTH": lambda options, x: tf.nn.space_to_depth(x, int(options["block_size"])),
    "DEPTH_TO_SPACE": lambda options, x: tf.nn.depth_to_space(x, int(options["block_size"])),
    "QUANTIZE": lambda options, x: x,
    "DEQUANTIZE": lambda options, x: x,
}
