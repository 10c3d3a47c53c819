"""Reading .tflite files: against the schema's own generated reader, and on files built here field by field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest
from cards import FULL
from tiny_tflite import TinyModel, conv, conv_model

from edgeseg import card_file
from edgeseg.card_mark import marked
from edgeseg.errors import ModelFileError
from edgeseg.tflite.graph import parse_graph, read_graph
from edgeseg.tflite.schema import DTYPES, OPERATORS


def test_names_are_those_of_the_schema() -> None:
    operators = {name: value for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    assert {name: OPERATORS.index(name) for name in OPERATORS} == operators
    dtypes = {name.lower(): value for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
    assert {name: DTYPES.index(name) for name in DTYPES} == dtypes


def test_a_convolution_is_read_field_by_field() -> None:
    graph = parse_graph(conv_model(size=8, channels=4))
    assert (graph.version, graph.description, len(graph.subgraphs)) == (3, "tiny", 1)
    main = graph.main
    assert (main.name, main.inputs, main.outputs) == ("main", (0,), (3,))
    (op,) = main.operators
    assert (op.index, op.op, op.version, op.inputs, op.outputs, op.is_custom) == (
        0,
        "CONV_2D",
        3,
        (0, 1, 2),
        (3,),
        False,
    )
    assert op.options == {
        "padding": "SAME",
        "stride_w": 1,
        "stride_h": 1,
        "activation": "NONE",
        "dilation_w": 1,
        "dilation_h": 1,
    }
    image, weights, bias, features = main.tensors
    assert (image.name, image.shape, image.dtype, image.is_constant) == ("image", (1, 8, 8, 3), "int8", False)
    assert (features.elements, features.bytes) == (8 * 8 * 4, 8 * 8 * 4)
    assert image.quantization is not None
    assert (image.quantization.scales, image.quantization.zero_points) == ((0.5,), (0,))
    np.testing.assert_array_equal(weights.array(), np.ones((4, 3, 3, 3), np.int8))
    assert bias.array().dtype == np.int32
    assert main.tensor_at(op, 1) == weights
    assert main.tensor_at(op, 3) is None


@pytest.mark.parametrize(
    ("name", "options", "given", "read"),
    [
        (
            "CONCATENATION",
            "ConcatenationOptions",
            {"axis": -1, "fusedActivationFunction": 1},
            {"axis": -1, "activation": "RELU"},
        ),
        (
            "AVERAGE_POOL_2D",
            "Pool2DOptions",
            {"padding": 1, "strideW": 2, "strideH": 3, "filterWidth": 4, "filterHeight": 5},
            {"padding": "VALID", "stride_w": 2, "stride_h": 3, "filter_w": 4, "filter_h": 5, "activation": "NONE"},
        ),
        (
            "RESIZE_BILINEAR",
            "ResizeBilinearOptions",
            {"alignCorners": True},
            {"align_corners": True, "half_pixel_centers": False},
        ),
        (
            "RESIZE_NEAREST_NEIGHBOR",
            "ResizeNearestNeighborOptions",
            {"halfPixelCenters": True},
            {"align_corners": False, "half_pixel_centers": True},
        ),
        ("SOFTMAX", "SoftmaxOptions", {"beta": 0.5}, {"beta": 0.5}),
        ("RESHAPE", "ReshapeOptions", {"newShape": [1, -1]}, {"new_shape": (1, -1)}),
        (
            "DEPTHWISE_CONV_2D",
            "DepthwiseConv2DOptions",
            {"strideW": 1, "strideH": 1, "depthMultiplier": 2, "dilationHFactor": 4},
            {
                "padding": "SAME",
                "stride_w": 1,
                "stride_h": 1,
                "depth_multiplier": 2,
                "activation": "NONE",
                "dilation_w": 1,
                "dilation_h": 4,
            },
        ),
        (
            "STRIDED_SLICE",
            "StridedSliceOptions",
            {"beginMask": 1, "shrinkAxisMask": 2},
            {
                "begin_mask": 1,
                "end_mask": 0,
                "ellipsis_mask": 0,
                "new_axis_mask": 0,
                "shrink_axis_mask": 2,
                "offset": False,
            },
        ),
        (
            "TRANSPOSE_CONV",
            "TransposeConvOptions",
            {"strideW": 2, "strideH": 2},
            {"padding": "SAME", "stride_w": 2, "stride_h": 2, "activation": "NONE"},
        ),
        (
            "FULLY_CONNECTED",
            "FullyConnectedOptions",
            {"keepNumDims": True},
            {"activation": "NONE", "weights_format": "DEFAULT", "keep_num_dims": True},
        ),
        ("CAST", "CastOptions", {"inDataType": 9, "outDataType": 2}, {"in_dtype": "int8", "out_dtype": "int32"}),
        ("LEAKY_RELU", "LeakyReluOptions", {"alpha": 0.25}, {"alpha": 0.25}),
    ],
)
def test_options(name: str, options: str, given: dict[str, Any], read: dict[str, Any]) -> None:
    tiny = TinyModel()
    image, out = tiny.tensor((1, 4)), tiny.tensor((1, 4))
    tiny.op(name, [image], [out], options=options, **given)
    (op,) = parse_graph(tiny.content([image], [out])).main.operators
    assert op.options == read


def test_custom_operators_optional_inputs_and_metadata() -> None:
    tiny = TinyModel()
    image, out = tiny.tensor((1, 4)), tiny.tensor((1, 4))
    tiny.op("PosenetDecoderOp", [image, -1], [out], custom_options=b"\x01\x02")
    graph = parse_graph(tiny.content([image], [out], min_runtime_version="2.10.0"))
    (op,) = graph.main.operators
    assert (op.op, op.is_custom, bytes(op.custom_options)) == ("PosenetDecoderOp", True, b"\x01\x02")
    assert len(graph.main.inputs_of(op)) == 1
    assert graph.min_runtime_version == (2, 10, 0)


def test_dynamic_and_variable_and_per_channel_tensors() -> None:
    tiny = TinyModel()
    tiny.tensor((1, 4), signature=(-1, 4))
    tiny.tensor((4, 3), scales=(0.1, 0.2, 0.3, 0.4), axis=0)
    tiny.tensor((1, 4), "float32")
    first, second, third = parse_graph(tiny.content([], [])).main.tensors
    assert first.is_dynamic
    assert not second.is_dynamic
    assert second.quantization is not None
    assert second.quantization.per_channel
    assert second.quantization.zero_points == (0, 0, 0, 0)
    assert (third.is_float, third.quantization) == (True, None)


def test_a_buffer_behind_the_flatbuffer_is_found_and_marked() -> None:
    tiny = TinyModel()
    tiny.constant([1, 2, 3], "int32")
    tiny.model.buffers[1].data = None
    tiny.model.buffers[1].offset, tiny.model.buffers[1].size = 2, 12  # a first guess: the true offset is known later
    content = tiny.content([], [])
    tiny.model.buffers[1].offset = len(content)
    content = tiny.content([], []) + np.array([1, 2, 3], "<i4").tobytes()
    (tensor,) = parse_graph(content).main.tensors
    assert tensor.is_constant
    assert tensor.is_outside
    assert np.frombuffer(tensor.data, "<i4").tolist() == [1, 2, 3]


def test_the_card_behind_the_graph_is_no_part_of_it() -> None:
    content = conv_model()
    with_card = card_file.attach(content, FULL)
    assert parse_graph(with_card).size == len(marked(content))
    assert parse_graph(with_card).main == parse_graph(content).main


def test_a_constant_that_does_not_fill_its_shape_is_named() -> None:
    tiny = TinyModel()
    tiny.tensor((2, 2), "int32", data=b"\0" * 12, name="axes")
    (tensor,) = parse_graph(tiny.content([], [])).main.tensors
    with pytest.raises(ModelFileError, match=r"tensor 0 \(axes\): 12 bytes are no int32\[2, 2\]"):
        tensor.array()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"TFL3", "not a .tflite file"),
        (b"PK\3\4" * 100, "not a .tflite file"),
        (b"\0" * 1000, "not a .tflite"),
    ],
)
def test_what_is_no_tflite_file_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_graph(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"cannot read model .*gone\.tflite"):
        read_graph(tmp_path / "gone.tflite")


def test_public_files_read_as_the_generated_reader_reads_them(test_data: Path) -> None:
    files = sorted(test_data.glob("*/*.tflite"))
    assert len(files) >= 20
    for file in files:
        theirs, ours = schema.ModelT.InitFromPackedBuf(file.read_bytes(), 0), read_graph(file)
        assert ours.description == (theirs.description or b"").decode()
        sub = theirs.subgraphs[0]
        for mine, other in zip(ours.main.tensors, sub.tensors, strict=True):
            data = theirs.buffers[other.buffer].data
            assert mine.name == other.name.decode()
            assert mine.shape == tuple(other.shape if other.shape is not None else ())
            assert DTYPES.index(mine.dtype) == other.type
            assert bytes(mine.data) == bytes(data if data is not None else b"")
            scales = None if other.quantization is None else other.quantization.scale
            assert (() if mine.quantization is None else mine.quantization.scales) == tuple(
                scales if scales is not None else ()
            )
        for mine_op, other_op in zip(ours.main.operators, sub.operators, strict=True):
            code = theirs.operatorCodes[other_op.opcodeIndex]
            number = max(code.deprecatedBuiltinCode, code.builtinCode)
            assert mine_op.op == (code.customCode.decode() if number == 32 else OPERATORS[number])
            assert (mine_op.version, mine_op.inputs) == (code.version, tuple(other_op.inputs))
            assert mine_op.outputs == tuple(other_op.outputs)
            if mine_op.op == "CONV_2D":
                assert mine_op.options["stride_h"] == other_op.builtinOptions.strideH
                assert mine_op.options["dilation_w"] == other_op.builtinOptions.dilationWFactor


def test_an_operator_newer_than_the_schema_keeps_its_number() -> None:
    tiny = TinyModel()
    image, out = tiny.tensor((1, 8, 8, 3)), tiny.tensor((1, 8, 8, 3))
    conv(tiny, image, tiny.constant(np.ones((3, 1, 1, 3)), "int8"), -1, out)
    tiny.model.operatorCodes[0].builtinCode = 900
    (op,) = parse_graph(tiny.content([image], [out])).main.operators
    assert (op.op, op.is_custom) == ("BUILTIN_900", False)
