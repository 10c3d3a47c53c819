"""Small `.tflite` networks, built by hand, that run on the device half alone: no TensorFlow.

`colour_model()` tells four classes apart by colour: 0 grey, 1 red, 2 green, 3 blue. Its only layer is a convolution
with kernel = stride, so every pixel of its output belongs to one square of the input.
"""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

CLASSES = ("grey", "red", "green", "blue")
COLORS_BGR = np.array([(128, 128, 128), (0, 0, 255), (0, 255, 0), (255, 0, 0)], np.uint8)
"""A pixel of class i, blue-green-red."""

_TYPES = {
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
    np.dtype(np.float32): schema.TensorType.FLOAT32,
}
_SHARPEN = np.array([[0, 0, 0], [1, -0.5, -0.5], [-0.5, 1, -0.5], [-0.5, -0.5, 1]], np.float32)  # class x (R, G, B)
_GREY = np.array([0.25, 0, 0, 0], np.float32)


class Builder:
    """Collects tensors and operators and packs them into a file."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "tiny"
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, name, shape, dtype, scale=None, zero_point=0, data=None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), _TYPES[np.dtype(dtype)], 0
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, code, inputs, outputs, options=None, kind=0, custom="") -> None:
        kinds = self.model.operatorCodes
        kinds.append(schema.OperatorCodeT())
        kinds[-1].builtinCode, kinds[-1].version = code, 1
        kinds[-1].deprecatedBuiltinCode = min(code, 127)
        if custom:
            kinds[-1].customCode = custom
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(kinds) - 1, inputs, outputs
        operator.builtinOptions, operator.builtinOptionsType = options, kind
        self.graph.operators.append(operator)

    def build(self, inputs, outputs) -> bytes:
        self.graph.inputs, self.graph.outputs = inputs, outputs
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def colour_model(
    height=32, width=48, stride=1, *, input_type=np.uint8, output="logits", output_type=np.int8, labels_type=np.int64
) -> bytes:
    """Builds the colour network.

    Args:
        height: Rows of the input.
        width: Columns of the input.
        stride: Side of the squares that become one output pixel.
        input_type: uint8, int8 or float32; quantized inputs stand for (pixel - 128) / 128, so do float ones.
        output: "logits" or "labels".
        output_type: int8 or float32, of the logits.
        labels_type: int32 or int64.
    """
    build = Builder()
    float_net = np.dtype(input_type) == np.float32
    zero = {np.dtype(np.uint8): 128, np.dtype(np.int8): 0}.get(np.dtype(input_type), 0)
    frame = build.tensor("frame", (1, height, width, 3), input_type, None if float_net else 1 / 128, zero)
    kernel = np.repeat(np.repeat(_SHARPEN[:, None, None, :], stride, 1), stride, 2) / stride**2
    rows, columns = height // stride, width // stride
    if float_net:
        weights = build.tensor("weights", kernel.shape, np.float32, data=kernel)
        bias = build.tensor("bias", (4,), np.float32, data=_GREY)
        source, logits = frame, build.tensor("logits", (1, rows, columns, 4), np.float32)
    else:
        source = frame
        if np.dtype(input_type) == np.uint8:
            source = build.tensor("frame_int8", (1, height, width, 3), np.int8, 1 / 128, 0)
            build.operator(schema.BuiltinOperator.QUANTIZE, [frame], [source])
        step = float(np.abs(kernel).max()) / 127
        weights = build.tensor("weights", kernel.shape, np.int8, step, data=np.rint(kernel / step))
        bias = build.tensor("bias", (4,), np.int32, step / 128, data=np.rint(_GREY / (step / 128)))
        logits = build.tensor("logits", (1, rows, columns, 4), np.int8, 1 / 50, 3)
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = stride
    options.padding = schema.Padding.VALID
    build.operator(
        schema.BuiltinOperator.CONV_2D, [source, weights, bias], [logits], options, schema.BuiltinOptions.Conv2DOptions
    )
    if output == "labels":
        axis = build.tensor("axis", (1,), np.int32, data=[3])
        labels = build.tensor("labels", (1, rows, columns), labels_type)
        options = schema.ArgMaxOptionsT()
        options.outputType = _TYPES[np.dtype(labels_type)]
        build.operator(
            schema.BuiltinOperator.ARG_MAX, [logits, axis], [labels], options, schema.BuiltinOptions.ArgMaxOptions
        )
        return build.build([frame], [labels])
    if not float_net and np.dtype(output_type) == np.float32:
        real = build.tensor("real", (1, rows, columns, 4), np.float32)
        build.operator(schema.BuiltinOperator.DEQUANTIZE, [logits], [real])
        return build.build([frame], [real])
    return build.build([frame], [logits])


def binary_model(height=32, width=48) -> bytes:
    """Builds a float network of one output channel: red minus the rest, through a sigmoid."""
    build = Builder()
    frame = build.tensor("frame", (1, height, width, 3), np.float32)
    weights = build.tensor("weights", (1, 1, 1, 3), np.float32, data=_SHARPEN[1:2])
    bias = build.tensor("bias", (1,), np.float32, data=[-0.25])
    logits = build.tensor("logits", (1, height, width, 1), np.float32)
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 1
    options.padding = schema.Padding.VALID
    build.operator(
        schema.BuiltinOperator.CONV_2D, [frame, weights, bias], [logits], options, schema.BuiltinOptions.Conv2DOptions
    )
    chance = build.tensor("chance", (1, height, width, 1), np.float32)
    build.operator(schema.BuiltinOperator.LOGISTIC, [logits], [chance])
    return build.build([frame], [chance])


def edgetpu_model() -> bytes:
    """Builds what looks like a file for the Edge TPU: one custom operator that only its delegate knows."""
    build = Builder()
    frame = build.tensor("frame", (1, 4, 4, 3), np.uint8, 1 / 128, 128)
    logits = build.tensor("logits", (1, 4, 4, 4), np.uint8, 1 / 50, 128)
    build.operator(schema.BuiltinOperator.CUSTOM, [frame], [logits], custom="edgetpu-custom-op")
    return build.build([frame], [logits])


def painted(label_map) -> np.ndarray:
    """Paints a label map of the colour network's classes: (H, W) to (H, W, 3), blue-green-red."""
    return COLORS_BGR[np.asarray(label_map)]
