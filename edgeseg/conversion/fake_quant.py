"""A `.tflite` file as a Keras layer that can be trained: its own graph, every tensor rounded as the file rounds it.

Fake quantization follows Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
Only Inference", CVPR 2018, section 3: forward in the integers' values, backward as if there was no rounding. The graph
is the one that the converter made, batch normalisation folded, activations fused, scales shared where an operator
demands it; so what is trained is what the device runs, whatever layers the network was built of.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgeseg.arrays import Float32
from edgeseg.conversion.integer_file import BIAS, IntegerFile
from edgeseg.conversion.operators import apply_operator, check_known
from edgeseg.errors import ConversionError
from edgeseg.tflite.graph import Operator, parse_graph
from edgeseg.tflite.records import Tensor

_TO_CHANNELS_LAST = {
    "CONV_2D": (1, 2, 3, 0), "TRANSPOSE_CONV": (1, 2, 3, 0), "FULLY_CONNECTED": (1, 0),
    "DEPTHWISE_CONV_2D": (0, 1, 2, 3),
}  # fmt: skip


def channels_last(op: str, kernel: Float32) -> Float32:
    """Turns a kernel of a file's layout into one with the output channels last, see `operators`."""
    turned = kernel.transpose(_TO_CHANNELS_LAST[op])
    return turned[0] if op == "DEPTHWISE_CONV_2D" else turned


def file_layout(op: str, kernel: Float32) -> Float32:
    """The inverse of `channels_last`."""
    order = np.argsort(_TO_CHANNELS_LAST[op])
    return np.ascontiguousarray((kernel[None] if op == "DEPTHWISE_CONV_2D" else kernel).transpose(order))


class GraphLayer(keras.layers.Layer):  # type: ignore[misc]
    """The graph of a `.tflite` file up to its logits, on real numbers; rounds where the file is integer.

    Args:
        content: The file.
        float_weights: Kernel (the file's layout) and bias of each operator that has them, by its number; the file's own
            if None, and then they are not trained.
        name: The layer's name.

    Raises:
        ConversionError: An operator cannot be trained through.
    """

    def __init__(
        self, content: bytes, float_weights: dict[int, tuple[Float32, Float32 | None]] | None, *, name: str
    ) -> None:
        super().__init__(name=name, trainable=float_weights is not None)
        file, self._graph = IntegerFile(content), parse_graph(content).main
        self._target = file.logits
        self.kernels: dict[int, Any] = {}
        self.biases: dict[int, Any] = {}
        for op in self._graph.operators:
            if self._target in op.inputs:
                break
            check_known(op)
            if op.op not in BIAS:
                continue
            own = (file.weights(op.index), file.bias(op.index))
            kernel, bias = own if float_weights is None else float_weights[op.index]
            self.kernels[op.index] = self._weight(f"kernel_{op.index}", channels_last(op.op, kernel))
            if bias is not None:
                self.biases[op.index] = self._weight(f"bias_{op.index}", bias)

    def _weight(self, name: str, value: Float32) -> Any:
        variable = self.add_weight(name=name, shape=value.shape, initializer="zeros")
        variable.assign(value)
        return variable

    def call(self, images: Any) -> Any:
        """Returns the logits (batch, h, w, classes) of normalised images (batch, H, W, channels)."""
        tensors = self._graph.tensors
        first = self._graph.inputs[0]
        values: dict[int, Any] = {first: rounded(images, tensors[first])}
        for op in self._graph.operators:
            inputs = [self._input(op, place, index, values) for place, index in enumerate(op.inputs)]
            for index, value in zip(op.outputs, apply_operator(op, inputs), strict=True):
                values[index] = rounded(value, tensors[index])
            if self._target in op.outputs:
                break
        return values[self._target]

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The logits' shape."""
        return (shape[0], *self._graph.tensors[self._target].shape[1:])

    def _input(self, op: Operator, place: int, index: int, values: dict[int, Any]) -> Any:
        if index < 0:
            return None
        tensor = self._graph.tensors[index]
        if op.op in BIAS and place == 1:
            return rounded_kernel(self.kernels[op.index].value, tensor)
        if op.op in BIAS and place == BIAS[op.op][1]:
            return self.biases[op.index].value
        return values[index] if index in values else constant(tensor)


def rounded(value: Any, tensor: Tensor) -> Any:
    """Rounds an activation as its tensor in the file does; float tensors round nothing."""
    quantization = tensor.quantization
    if tensor.dtype not in ("int8", "uint8") or quantization is None:
        return value
    (scale,), (zero,) = quantization.scales, quantization.zero_points
    lowest = -128 if tensor.dtype == "int8" else 0
    low, high = ((level - zero) * scale for level in (lowest, lowest + 255))
    return tf.quantization.fake_quant_with_min_max_args(value, low, high)


def rounded_kernel(kernel: Any, tensor: Tensor) -> Any:
    """Rounds a kernel, its output channels last, to 127 steps either side of zero, by channel where the file does."""
    if tensor.dtype != "int8" or tensor.quantization is None:
        return kernel
    if tensor.quantization.per_channel:
        largest = tf.reduce_max(tf.abs(kernel), list(range(kernel.shape.rank - 1)))
        largest = tf.stop_gradient(tf.maximum(largest, 1e-10))
        return tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel, -largest, largest, num_bits=8, narrow_range=True
        )
    largest = tf.stop_gradient(tf.maximum(tf.reduce_max(tf.abs(kernel)), 1e-10))
    return tf.quantization.fake_quant_with_min_max_vars(kernel, -largest, largest, num_bits=8, narrow_range=True)


def constant(tensor: Tensor) -> npt.NDArray[Any]:
    """Returns a constant's real values."""
    stored = tensor.array()
    quantization = tensor.quantization
    if tensor.dtype != "int8" or quantization is None:
        return stored
    if quantization.per_channel:
        shape = [1] * stored.ndim
        shape[quantization.axis] = -1
        return stored.astype(np.float32) * np.asarray(quantization.scales, np.float32).reshape(shape)
    return (stored.astype(np.float32) - quantization.zero_points[0]) * np.float32(quantization.scales[0])


def float_weights_for(file: IntegerFile, reference: IntegerFile) -> dict[int, tuple[Float32, Float32 | None]]:
    """Pairs the float kernels of a network with the operators of its integer file, whose (tuned) biases stay.

    Raises:
        ConversionError: The converter made two different graphs of it.
    """
    return {mine: (reference.weights(its), file.bias(mine)) for mine, its in paired_operators(file, reference)}


def paired_operators(file: IntegerFile, reference: IntegerFile) -> list[tuple[int, int]]:
    """Pairs the operators with weights of an integer file and of the float file of the same network.

    Raises:
        ConversionError: The converter made two different graphs of it.
    """
    ours, theirs = ([n for n, op in enumerate(f.operators) if op.name in BIAS] for f in (file, reference))
    if len(ours) != len(theirs):
        raise ConversionError(
            f"the integer graph has {len(ours)} operators with weights, the float graph {len(theirs)}: this network "
            "cannot be trained for int8, nor keep layers in float; use --int8 alone"
        )
    pairs = list(zip(ours, theirs, strict=True))
    for mine, its in pairs:
        if file.weights(mine).shape != reference.weights(its).shape:
            raise ConversionError(
                f"operator {mine} has another kernel than the float graph's {its}: this network cannot be trained for "
                "int8, nor keep layers in float; use --int8 alone"
            )
    return pairs


def trained_file(content: bytes, layer: GraphLayer) -> bytes:
    """Returns an integer file with the weights of a trained layer, everything else as it was."""
    file = IntegerFile(content)
    for index, kernel in layer.kernels.items():
        name = file.operators[index].name
        bias = layer.biases.get(index)
        file.set_weights(
            index,
            file_layout(name, keras.ops.convert_to_numpy(kernel)),
            None if bias is None else keras.ops.convert_to_numpy(bias),
        )
    return file.content()
