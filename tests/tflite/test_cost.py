"""Multiply-accumulates, parameters and activations, against sums done by hand; float and custom operators."""

from __future__ import annotations

import numpy as np
from tiny_tflite import TinyModel, conv, conv_model

from edgeseg.tflite.cost import (
    border_operators,
    custom_operators,
    flex_operators,
    float_operators,
    graph_cost,
    operator_cost,
)
from edgeseg.tflite.graph import Graph, parse_graph


def only_cost(tiny: TinyModel, inputs: list[int], outputs: list[int]) -> int:
    graph = parse_graph(tiny.content(inputs, outputs))
    return operator_cost(graph.main, graph.main.operators[0]).macs


def test_convolution() -> None:
    cost = graph_cost(parse_graph(conv_model(size=8, channels=4)))
    assert cost.macs == 8 * 8 * 4 * 3 * 3 * 3
    assert cost.parameter_bytes == 4 * 3 * 3 * 3 + 4 * 4
    assert cost.activation_bytes == 8 * 8 * 3 + 8 * 8 * 4


def test_depthwise_convolution() -> None:
    tiny = TinyModel()
    image, out = tiny.tensor((1, 8, 8, 4)), tiny.tensor((1, 8, 8, 4))
    weights = tiny.constant(np.ones((1, 3, 3, 4)), "int8")
    tiny.op("DEPTHWISE_CONV_2D", [image, weights], [out], options="DepthwiseConv2DOptions", depthMultiplier=1)
    assert only_cost(tiny, [image], [out]) == 8 * 8 * 4 * 9


def test_fully_connected() -> None:
    tiny = TinyModel()
    image, out = tiny.tensor((1, 32)), tiny.tensor((1, 10))
    tiny.op("FULLY_CONNECTED", [image, tiny.constant(np.ones((10, 32)), "int8")], [out])
    assert only_cost(tiny, [image], [out]) == 320


def test_transposed_convolution_counts_the_input() -> None:
    tiny = TinyModel()
    image, out = tiny.tensor((1, 4, 4, 6)), tiny.tensor((1, 8, 8, 5))
    size, weights = tiny.constant([1, 8, 8, 5]), tiny.constant(np.ones((5, 2, 2, 6)), "int8")
    tiny.op("TRANSPOSE_CONV", [size, weights, image], [out])
    assert only_cost(tiny, [image], [out]) == 4 * 4 * 6 * 2 * 2 * 5


def test_matrix_product() -> None:
    tiny = TinyModel()
    left, right, out = tiny.tensor((1, 3, 7)), tiny.tensor((1, 7, 5)), tiny.tensor((1, 3, 5))
    tiny.op("BATCH_MATMUL", [left, right], [out], options="BatchMatMulOptions")
    assert only_cost(tiny, [left, right], [out]) == 3 * 7 * 5


def test_a_shared_constant_is_counted_once_in_the_whole() -> None:
    tiny = TinyModel()
    a, b, c = (tiny.tensor((1, 4, 4, 3)) for _ in range(3))
    weights = tiny.constant(np.ones((3, 1, 1, 3)), "int8")
    conv(tiny, a, weights, -1, b)
    conv(tiny, b, weights, -1, c)
    assert graph_cost(parse_graph(tiny.content([a], [c]))).parameter_bytes == 9


def mixed() -> Graph:
    """Float in, QUANTIZE, RELU in int8, DEQUANTIZE, NEG in float, QUANTIZE, FlexErf, DEQUANTIZE, float out."""
    tiny = TinyModel()
    a = tiny.tensor((1, 4), "float32")
    b, c = tiny.tensor((1, 4)), tiny.tensor((1, 4))
    d, e = tiny.tensor((1, 4), "float32"), tiny.tensor((1, 4), "float32")
    f, g = tiny.tensor((1, 4)), tiny.tensor((1, 4))
    h = tiny.tensor((1, 4), "float32")
    tiny.op("QUANTIZE", [a], [b])
    tiny.op("RELU", [b], [c])
    tiny.op("DEQUANTIZE", [c], [d])
    tiny.op("NEG", [d], [e])
    tiny.op("QUANTIZE", [e], [f])
    tiny.op("FlexErf", [f], [g])
    tiny.op("DEQUANTIZE", [g], [h])
    return parse_graph(tiny.content([a], [h]))


def test_float_leftovers_are_told_from_the_border() -> None:
    graph = mixed()
    assert [op.index for op in float_operators(graph)] == [2, 3, 4]
    assert [op.index for op in border_operators(graph)] == [0, 6]


def test_custom_and_flex_operators() -> None:
    graph = mixed()
    assert [op.op for op in custom_operators(graph)] == ["FlexErf"]
    assert [op.op for op in flex_operators(graph)] == ["FlexErf"]
    tiny = TinyModel()
    a, b = tiny.tensor((1, 4)), tiny.tensor((1, 4))
    tiny.op("PosenetDecoderOp", [a], [b])
    graph = parse_graph(tiny.content([a], [b]))
    assert len(custom_operators(graph)) == 1
    assert flex_operators(graph) == []


def test_an_integer_network_has_no_float_operators() -> None:
    graph = parse_graph(conv_model())
    assert float_operators(graph) == []
    assert border_operators(graph) == []
