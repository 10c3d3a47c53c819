"""XNNPACK's share: the prediction against the runtime itself, on models of one operator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from tiny_tflite import TinyModel, conv

from edgeseg.tflite.graph import parse_graph, read_graph
from edgeseg.tflite.xnnpack import coverage

SHAPE = (1, 8, 8, 4)
Make = Callable[[str], bytes]


def delegate_nodes(model: bytes | str) -> int:
    """How many parts the runtime hands to XNNPACK."""
    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": model}
    interpreter = Interpreter(num_threads=1, **source)
    interpreter.allocate_tensors()
    return sum(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details())


def simple(name: str, out: tuple[int, ...] = SHAPE, *constants: Any, inputs: int = 1, **options: Any) -> Make:
    """A maker of one-operator models in any element type."""

    def make(dtype: str) -> bytes:
        tiny = TinyModel()
        scale, zero = QUANTIZATION.get((name, dtype), (1 / 128, 0))
        read = [tiny.tensor(SHAPE, dtype, scales=(1 / 128,)) for _ in range(inputs)]
        written = tiny.tensor(out, dtype, scales=(scale,), zero_points=(zero,))
        tiny.op(name, [*read, *(tiny.constant(c) for c in constants)], [written], **options)
        return tiny.content(read, [written])

    return make


# LiteRT insists on these output ranges.
QUANTIZATION = {
    ("LOGISTIC", "int8"): (1 / 256, -128),
    ("LOGISTIC", "uint8"): (1 / 256, 0),
    ("SOFTMAX", "int8"): (1 / 256, -128),
    ("SOFTMAX", "uint8"): (1 / 256, 0),
    ("TANH", "uint8"): (1 / 128, 128),
    ("L2_NORMALIZATION", "uint8"): (1 / 128, 128),
}


def layer(name: str) -> Make:
    """A maker of models of one layer with weights."""

    def make(dtype: str) -> bytes:
        tiny = TinyModel()
        out = {"TRANSPOSE_CONV": (1, 16, 16, 4), "FULLY_CONNECTED": (1, 4)}.get(name, SHAPE)
        weights_shape = {
            "CONV_2D": (4, 3, 3, 4), "DEPTHWISE_CONV_2D": (1, 3, 3, 4), "TRANSPOSE_CONV": (4, 2, 2, 4),
            "FULLY_CONNECTED": (4, 256), "PRELU": (1, 1, 4),
        }[name]  # fmt: skip
        read, written = tiny.tensor(SHAPE, dtype, scales=(0.1,)), tiny.tensor(out, dtype, scales=(0.1,))
        weights = tiny.constant(np.ones(weights_shape), dtype, scales=(0.1,))
        bias = tiny.constant(np.zeros(4), "float32" if dtype == "float32" else "int32", scales=(0.01,))
        stride = {"padding": 0, "strideW": 1, "strideH": 1}
        if name == "CONV_2D":
            conv(tiny, read, weights, bias, written)
        elif name == "DEPTHWISE_CONV_2D":
            tiny.op(name, [read, weights, bias], [written], version=3, options="DepthwiseConv2DOptions",
                    depthMultiplier=1, dilationWFactor=1, dilationHFactor=1, **stride)  # fmt: skip
        elif name == "FULLY_CONNECTED":
            tiny.op(name, [read, weights, bias], [written], version=4, options="FullyConnectedOptions")
        elif name == "PRELU":
            tiny.op(name, [read, weights], [written])
        else:
            size = tiny.constant(out)
            tiny.op(name, [size, weights, read, bias], [written], version=3, options="TransposeConvOptions",
                    padding=0, strideW=2, strideH=2)  # fmt: skip
        return tiny.content([read], [written])

    return make


def splitting(parts: int) -> Make:
    def make(dtype: str) -> bytes:
        tiny = TinyModel()
        axis, read = tiny.constant(3), tiny.tensor((1, 8, 8, parts), dtype)
        written = [tiny.tensor((1, 8, 8, 1), dtype) for _ in range(parts)]
        tiny.op("SPLIT", [axis, read], written, options="SplitOptions", numSplits=parts)
        return tiny.content([read], written)

    return make


REDUCE = {"options": "ReducerOptions", "keepDims": True}
POOL = {"options": "Pool2DOptions", "padding": 1, "strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2}
SLICE = {"options": "StridedSliceOptions"}
CASES: dict[str, Make] = {
    **{name: layer(name) for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "PRELU")},
    **{name: simple(name) for name in ("ELU", "EXP", "HARD_SWISH", "LOGISTIC", "NEG", "RELU", "RELU6", "TANH")},
    **{name: simple(name, inputs=2, options=f"{name.title()}Options") for name in ("ADD", "DIV", "MUL", "SUB")},
    **{name: simple(name, inputs=2) for name in ("MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")},
    "ADD tanh": simple("ADD", inputs=2, options="AddOptions", fusedActivationFunction=4),
    "LEAKY_RELU": simple("LEAKY_RELU", options="LeakyReluOptions", alpha=0.1),
    "GELU": simple("GELU", options="GeluOptions"),
    "SOFTMAX": simple("SOFTMAX", options="SoftmaxOptions", beta=1.0),
    "AVERAGE_POOL_2D": simple("AVERAGE_POOL_2D", (1, 4, 4, 4), version=2, **POOL),
    "MAX_POOL_2D": simple("MAX_POOL_2D", (1, 4, 4, 4), version=2, **POOL),
    "CONCATENATION 2": simple("CONCATENATION", (1, 8, 8, 8), inputs=2, options="ConcatenationOptions", axis=3),
    "CONCATENATION 5": simple("CONCATENATION", (1, 8, 8, 20), inputs=5, options="ConcatenationOptions", axis=3),
    "CONCATENATION 6": simple("CONCATENATION", (1, 8, 8, 24), inputs=6, options="ConcatenationOptions", axis=3),
    "SPLIT 4": splitting(4),
    "SPLIT 5": splitting(5),
    "PAD": simple("PAD", (1, 10, 10, 4), [[0, 0], [1, 1], [1, 1], [0, 0]]),
    "MIRROR_PAD": simple("MIRROR_PAD", (1, 10, 10, 4), [[0, 0], [1, 1], [1, 1], [0, 0]], options="MirrorPadOptions"),
    "RESHAPE": simple("RESHAPE", (1, 64, 4), [1, 64, 4]),
    "RESIZE_BILINEAR": simple("RESIZE_BILINEAR", (1, 16, 16, 4), [16, 16], version=3, options="ResizeBilinearOptions",
                              halfPixelCenters=True),
    "RESIZE_NEAREST_NEIGHBOR": simple("RESIZE_NEAREST_NEIGHBOR", (1, 16, 16, 4), [16, 16], version=3,
                                      options="ResizeNearestNeighborOptions", halfPixelCenters=True),
    **{name: simple(name, (1, 1, 1, 4), [1, 2], **REDUCE) for name in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")},
    "TRANSPOSE": simple("TRANSPOSE", (1, 4, 8, 8), [0, 3, 1, 2]),
    "TILE": simple("TILE", (1, 16, 16, 4), [1, 2, 2, 1]),
    "SLICE": simple("SLICE", (1, 4, 4, 4), [0, 2, 2, 0], [1, 4, 4, 4]),
    "STRIDED_SLICE": simple("STRIDED_SLICE", (1, 4, 4, 4), [0, 2, 2, 0], [1, 6, 6, 4], [1] * 4, **SLICE),
    "STRIDED_SLICE by 2": simple("STRIDED_SLICE", (1, 4, 4, 4), [0] * 4, [1, 8, 8, 4], [1, 2, 2, 1], **SLICE),
    "DEPTH_TO_SPACE": simple("DEPTH_TO_SPACE", (1, 16, 16, 1), options="DepthToSpaceOptions", blockSize=2),
    "SPACE_TO_DEPTH": simple("SPACE_TO_DEPTH", (1, 4, 4, 16), options="SpaceToDepthOptions", blockSize=2),
    "SPACE_TO_BATCH_ND": simple("SPACE_TO_BATCH_ND", (4, 4, 4, 4), [2, 2], [[0, 0], [0, 0]]),
    "L2_NORMALIZATION": simple("L2_NORMALIZATION", options="L2NormOptions"),
    "GATHER": simple("GATHER", (1, 8, 8, 2), [0, 1], options="GatherOptions", axis=3),
    "EXPAND_DIMS": simple("EXPAND_DIMS", (1, 1, 8, 8, 4), [0]),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_prediction_is_what_the_runtime_does(case: str, dtype: str) -> None:
    content = CASES[case](dtype)
    (reason,) = coverage(parse_graph(content)).reasons
    assert (reason is None) == bool(delegate_nodes(content)), reason


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [("QUANTIZE", "float32", "int8"), ("QUANTIZE", "float32", "uint8"), ("QUANTIZE", "int8", "int8"),
     ("QUANTIZE", "int8", "uint8"), ("QUANTIZE", "uint8", "int8"), ("DEQUANTIZE", "int8", "float32"),
     ("DEQUANTIZE", "uint8", "float32")],
)  # fmt: skip
def test_conversions(name: str, source: str, target: str) -> None:
    tiny = TinyModel()
    zeros = {"int8": (0,), "uint8": (128,)}
    read = tiny.tensor(SHAPE, source, scales=(0.01,), zero_points=zeros.get(source))
    written = tiny.tensor(SHAPE, target, scales=(0.02 if source == target else 0.01,), zero_points=zeros.get(target))
    tiny.op(name, [read], [written])
    content = tiny.content([read], [written])
    (reason,) = coverage(parse_graph(content)).reasons
    assert (reason is None) == bool(delegate_nodes(content)), reason


def test_number_of_parts_on_public_files(test_data: Path) -> None:
    counted = 0
    for file in sorted(test_data.glob("*/*.tflite")):
        graph = read_graph(file)
        if any(op.is_custom for op in graph.main.operators):
            continue  # LiteRT has no PosenetDecoderOp
        assert coverage(graph).nodes == delegate_nodes(str(file)), file.name
        counted += 1
    assert counted >= 12


def test_a_custom_operator_is_left() -> None:
    tiny = TinyModel()
    read, written = tiny.tensor(SHAPE), tiny.tensor(SHAPE)
    tiny.op("PosenetDecoderOp", [read], [written])
    assert coverage(parse_graph(tiny.content([read], [written]))).reasons == ("custom operator",)
