"""Builds small .tflite files for tests, with the schema code and the flatbuffers package that ai-edge-litert brings."""

from __future__ import annotations

from typing import Any

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
import numpy as np

_DTYPES = {name: value for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
_OPERATORS = {name: value for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
_OPTIONS = {name: value for name, value in vars(schema.BuiltinOptions).items() if not name.startswith("_")}


class TinyModel:
    """A model under construction; `tensor` and `constant` return tensor indices, `content` the file's bytes."""

    def __init__(self, description: str = "tiny") -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = description
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.model.metadata = []
        self.graph = schema.SubGraphT()
        self.graph.name = "main"
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: str = "int8",
        *,
        scales: tuple[float, ...] | None = (0.5,),
        zero_points: tuple[int, ...] | None = None,
        axis: int = 0,
        signature: tuple[int, ...] | None = None,
        name: str = "",
        data: bytes = b"",
    ) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type = list(shape), _DTYPES[dtype.upper()]
        tensor.name = name or f"t{len(self.graph.tensors)}"
        tensor.shapeSignature = None if signature is None else list(signature)
        if scales is not None and dtype in ("int8", "uint8", "int16", "int32"):
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(scales)
            tensor.quantization.zeroPoint = list(zero_points or (0,) * len(scales))
            tensor.quantization.quantizedDimension = axis
        tensor.buffer = 0
        if data:
            tensor.buffer = len(self.model.buffers)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, values: Any, dtype: str = "int32", **more: Any) -> int:
        array = np.asarray(values, dtype)
        more.setdefault("scales", None if dtype == "int32" else (0.5,))
        return self.tensor(array.shape, dtype, data=array.tobytes(), **more)

    def op(
        self,
        name: str,
        inputs: list[int],
        outputs: list[int],
        *,
        version: int = 1,
        custom_options: bytes = b"",
        options: str = "",
        **fields: Any,
    ) -> None:
        """Adds an operator; a name that TFLite lacks makes it a custom one. `options` is the schema's class."""
        code = schema.OperatorCodeT()
        code.builtinCode = _OPERATORS.get(name, _OPERATORS["CUSTOM"])
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        if name not in _OPERATORS:
            code.customCode = name
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if custom_options:
            operator.customOptions = np.frombuffer(custom_options, np.uint8)
        if options:
            operator.builtinOptionsType = _OPTIONS[options]
            operator.builtinOptions = getattr(schema, options + "T")()
            for field, value in fields.items():
                if not hasattr(operator.builtinOptions, field):
                    raise AttributeError(f"{options} has no {field}")
                setattr(operator.builtinOptions, field, value)
        self.model.operatorCodes.append(code)
        self.graph.operators.append(operator)

    def content(self, inputs: list[int], outputs: list[int], *, min_runtime_version: str = "") -> bytes:
        self.graph.inputs, self.graph.outputs = inputs, outputs
        if min_runtime_version:
            metadata = schema.MetadataT()
            metadata.name, metadata.buffer = "min_runtime_version", len(self.model.buffers)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(min_runtime_version.encode().ljust(16, b"\0"), np.uint8)
            self.model.buffers.append(buffer)
            self.model.metadata.append(metadata)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def conv_model(size: int = 8, channels: int = 4) -> bytes:
    """One int8 3x3 convolution."""
    tiny = TinyModel()
    image = tiny.tensor((1, size, size, 3), name="image")
    weights = tiny.constant(np.ones((channels, 3, 3, 3)), "int8", name="weights")
    bias = tiny.constant(np.zeros(channels), "int32", scales=(0.25,), name="bias")
    out = tiny.tensor((1, size, size, channels), name="features")
    conv(tiny, image, weights, bias, out)
    return tiny.content([image], [out])


def conv(tiny: TinyModel, image: int, weights: int, bias: int, out: int, *, version: int = 3, **fields: Any) -> None:
    given = {"padding": 0, "strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1, **fields}
    tiny.op("CONV_2D", [image, weights, bias], [out], version=version, options="Conv2DOptions", **given)
