"""What maps to the Edge TPU: each rule broken and kept, the cut, refusals, and the real compiler's verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_tflite import TinyModel, conv, conv_model

from edgeseg.tflite.edgetpu import operators, rules
from edgeseg.tflite.edgetpu.predict import predict
from edgeseg.tflite.graph import parse_graph, read_graph

Shape = tuple[int, ...]


def single(
    name: str, shape: Shape, out: Shape, *constants: Any, dtype: str = "int8", inputs: int = 1, **options: Any
) -> bytes:
    """A model of one operator: `inputs` activations of `shape`, then int32 constants."""
    tiny = TinyModel()
    read = [tiny.tensor(shape, dtype) for _ in range(inputs)]
    written = tiny.tensor(out, dtype)
    tiny.op(name, [*read, *(tiny.constant(c) for c in constants)], [written], **options)
    return tiny.content(read, [written])


def weighted(name: str, shape: Shape, weights: Shape, out: Shape, **options: Any) -> bytes:
    """A model of one operator with int8 weights."""
    tiny = TinyModel()
    read, written = tiny.tensor(shape), tiny.tensor(out)
    tiny.op(name, [read, tiny.constant(np.ones(weights), "int8")], [written], **options)
    return tiny.content([read], [written])


def concatenation(constant: Any) -> bytes:
    """An activation joined with a constant."""
    tiny = TinyModel()
    read, written = tiny.tensor((1, 4, 4, 2)), tiny.tensor((1, 4, 4, 4))
    added = tiny.constant(np.broadcast_to(constant, (1, 4, 4, 2)), "int8")
    tiny.op("CONCATENATION", [read, added], [written], options="ConcatenationOptions", axis=3)
    return tiny.content([read], [written])


def split(axis: int, shape: Shape, out: Shape) -> bytes:
    tiny = TinyModel()
    at, read = tiny.constant(axis), tiny.tensor(shape)
    written = [tiny.tensor(out) for _ in range(2)]
    tiny.op("SPLIT", [at, read], written, options="SplitOptions", numSplits=2)
    return tiny.content([read], written)


def convolution(**options: Any) -> bytes:
    tiny = TinyModel()
    read, written = tiny.tensor((1, 8, 8, 4)), tiny.tensor((1, 8, 8, 4))
    conv(tiny, read, tiny.constant(np.ones((4, 3, 3, 4)), "int8"), tiny.constant(np.zeros(4)), written, **options)
    return tiny.content([read], [written])


def computed_weights() -> bytes:
    tiny = TinyModel()
    read, weights, written = tiny.tensor((1, 8, 8, 4)), tiny.tensor((4, 1, 1, 4)), tiny.tensor((1, 8, 8, 4))
    conv(tiny, read, weights, tiny.constant(np.zeros(4)), written)
    return tiny.content([read, weights], [written])


def pooled(name: str, activation: int) -> bytes:
    options = {"strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2, "fusedActivationFunction": activation}
    return single(name, (1, 8, 8, 4), (1, 4, 4, 4), options="Pool2DOptions", **options)


def reduced(name: str, shape: Shape, axes: list[int]) -> bytes:
    out = tuple(1 if i in axes else size for i, size in enumerate(shape))
    return single(name, shape, out, axes, options="ReducerOptions", keepDims=True)


def resized(name: str, shape: Shape, rows: int, columns: int) -> bytes:
    return single(
        name, shape, (1, rows, columns, shape[3]), [rows, columns], options=name.title().replace("_", "") + "Options"
    )


FC = {"options": "FullyConnectedOptions"}
# rule -> a model that breaks it, a model that keeps it
EXAMPLES: dict[str, tuple[Callable[[], bytes], Callable[[], bytes]]] = {
    "dtype": (
        lambda: single("ADD", (1, 4, 4, 2), (1, 4, 4, 2), inputs=2, dtype="int16"),
        lambda: single("ADD", (1, 4, 4, 2), (1, 4, 4, 2), inputs=2, dtype="uint8"),
    ),
    "rank": (
        lambda: single("RELU", (3, 128, 128, 1), (3, 128, 128, 1)),
        lambda: single("RELU", (1, 128, 128, 3), (1, 128, 128, 3)),
    ),
    "activation-size": (
        lambda: single("RELU", (1, 512, 512, 151), (1, 512, 512, 151)),
        lambda: single("RELU", (1, 513, 257, 96), (1, 513, 257, 96)),
    ),
    "parameters-constant": (computed_weights, convolution),
    "no-fused-activation": (lambda: pooled("AVERAGE_POOL_2D", 1), lambda: pooled("AVERAGE_POOL_2D", 0)),
    "equal-dilation": (
        lambda: convolution(dilationHFactor=2, dilationWFactor=1),
        lambda: convolution(dilationHFactor=2, dilationWFactor=2),
    ),
    "concatenation-constant": (lambda: concatenation(1), lambda: concatenation(0)),
    "fully-connected-1d": (
        lambda: weighted("FULLY_CONNECTED", (5, 8), (4, 8), (5, 4), **FC),
        lambda: weighted("FULLY_CONNECTED", (1, 8), (4, 8), (1, 4), **FC),
    ),
    "fully-connected-format": (
        lambda: weighted("FULLY_CONNECTED", (1, 8), (4, 8), (1, 4), weightsFormat=1, **FC),
        lambda: weighted("FULLY_CONNECTED", (1, 8), (4, 8), (1, 4), weightsFormat=0, **FC),
    ),
    "fully-connected-size": (
        lambda: weighted("FULLY_CONNECTED", (1, 2), (100_000, 2), (1, 100_000), **FC),
        lambda: weighted("FULLY_CONNECTED", (1, 2), (12_288, 2), (1, 12_288), **FC),
    ),
    "reshape-size": (
        lambda: single("RESHAPE", (1, 48, 48, 255), (1, 2304, 255), [1, 2304, 255]),
        lambda: single("RESHAPE", (1, 32, 32, 255), (1, 1024, 255), [1, 1024, 255]),
    ),
    "softmax-1d": (
        lambda: single("SOFTMAX", (1, 8, 8, 11), (1, 8, 8, 11), options="SoftmaxOptions", beta=1.0),
        lambda: single("SOFTMAX", (1, 1, 1, 1001), (1, 1, 1, 1001), options="SoftmaxOptions", beta=1.0),
    ),
    "softmax-size": (
        lambda: single("SOFTMAX", (1, 65_536), (1, 65_536), options="SoftmaxOptions", beta=1.0),
        lambda: single("SOFTMAX", (1, 16_384), (1, 16_384), options="SoftmaxOptions", beta=1.0),
    ),
    "no-batch-reduction": (lambda: reduced("SUM", (2, 8, 8, 4), [0, 1]), lambda: reduced("SUM", (1, 8, 8, 4), [1, 2])),
    "mean-depth": (lambda: reduced("MEAN", (1, 8, 8, 6), [3]), lambda: reduced("MEAN", (1, 8, 8, 8), [3])),
    "mean-size": (
        lambda: reduced("MEAN", (1, 256, 128, 3), [1, 2]),
        lambda: reduced("MEAN", (1, 64, 128, 3), [1, 2]),
    ),
    "no-batch-padding": (
        lambda: single("PAD", (1, 4, 4, 2), (2, 4, 4, 2), [[0, 1], [0, 0], [0, 0], [0, 0]]),
        lambda: single("PAD", (1, 4, 4, 2), (1, 5, 5, 2), [[0, 0], [0, 1], [0, 1], [0, 0]]),
    ),
    "no-batch-split": (
        lambda: split(0, (2, 4, 4, 4), (1, 4, 4, 4)),
        lambda: split(3, (1, 4, 4, 4), (1, 4, 4, 2)),
    ),
    "no-batch-pack": (
        lambda: single("PACK", (4, 4), (2, 4, 4), inputs=2, options="PackOptions", valuesCount=2, axis=0),
        lambda: single("PACK", (1, 4), (1, 2, 4), inputs=2, options="PackOptions", valuesCount=2, axis=1),
    ),
    "strides-1": (
        lambda: single("STRIDED_SLICE", (1, 4, 4, 2), (1, 2, 2, 2), [0] * 4, [1, 4, 4, 2], [1, 2, 2, 1]),
        lambda: single("STRIDED_SLICE", (1, 4, 4, 2), (1, 2, 2, 2), [0] * 4, [1, 2, 2, 2], [1, 1, 1, 1]),
    ),
    "prelu-shared": (
        lambda: weighted("PRELU", (1, 4, 4, 2), (4, 4, 2), (1, 4, 4, 2)),
        lambda: weighted("PRELU", (1, 4, 4, 2), (1, 1, 2), (1, 4, 4, 2)),
    ),
    "resize-factor": (
        lambda: resized("RESIZE_BILINEAR", (1, 1, 1, 256), 33, 33),
        lambda: resized("RESIZE_BILINEAR", (1, 24, 24, 24), 48, 48),
    ),
    "resize-size": (
        lambda: resized("RESIZE_NEAREST_NEIGHBOR", (1, 128, 128, 8), 256, 256),
        lambda: resized("RESIZE_NEAREST_NEIGHBOR", (1, 64, 64, 8), 128, 128),
    ),
}  # fmt: skip


def test_every_rule_has_an_example_a_source_and_a_remedy() -> None:
    assert {rule.name for rule in rules.RULES} == set(EXAMPLES)
    for rule in rules.RULES:
        assert rule.evidence in ("documented", "observed", "inferred")
        assert rule.source
        assert rule.remedy


@pytest.mark.parametrize("name", EXAMPLES)
def test_rule(name: str) -> None:
    breaks, keeps = (predict(parse_graph(make())) for make in EXAMPLES[name])
    (verdict,) = breaks.verdicts
    rule = next(rule for rule in rules.RULES if rule.name == name)
    finding = next((f for f in verdict.findings if f.rule == name), None)
    assert not verdict.mapped
    assert finding is not None, [f.rule for f in verdict.findings]
    assert (finding.evidence, finding.source) == (rule.evidence, rule.source)
    assert rule.remedy in breaks.remedies or breaks.rejections
    assert [v.mapped for v in keeps.verdicts] == [True], keeps.verdicts[0].reason


@pytest.mark.parametrize(
    "name",
    ["ARG_MAX", "CAST", "DEQUANTIZE", "DIV", "EXP", "GATHER", "HARD_SWISH", "LEAKY_RELU", "ELU", "DEPTH_TO_SPACE",
     "SPACE_TO_BATCH_ND", "MIRROR_PAD", "UNPACK", "SQRT", "POW", "SELECT", "TOPK_V2", "PADV2"],
)  # fmt: skip
def test_operators_that_the_edge_tpu_lacks(name: str) -> None:
    (verdict,) = predict(parse_graph(single(name, (1, 4, 4, 4), (1, 4, 4, 4)))).verdicts
    assert (verdict.mapped, verdict.findings[0].rule) == (False, "unsupported-operator")


@pytest.mark.parametrize("name", sorted(operators.SUPPORTED))
def test_every_supported_operator_is_one_of_tflite(name: str) -> None:
    from edgeseg.tflite.schema import OPERATORS

    assert name in OPERATORS


# What is known of files that are not here: (operator, input, output, constants) that the real compiler mapped.
@pytest.mark.parametrize(
    ("name", "shape", "out", "constant"),
    [
        ("RESIZE_BILINEAR", (1, 6, 6, 64), (1, 12, 12, 64), [12, 12]),
        ("RESIZE_BILINEAR", (1, 33, 33, 19), (1, 33, 33, 19), [33, 33]),
        ("RESIZE_NEAREST_NEIGHBOR", (1, 8, 10, 16), (1, 16, 20, 16), [16, 20]),
        ("TILE", (1, 1, 1, 128), (1, 33, 33, 128), [1, 33, 33, 1]),
        ("PAD", (1, 720, 1280, 3), (1, 721, 1281, 3), [[0, 0], [0, 1], [0, 1], [0, 0]]),
        ("RESHAPE", (1, 16, 20, 45), (1, 2880, 5), [1, 2880, 5]),
        ("MEAN", (1, 7, 7, 1280), (1, 1, 1, 1280), [1, 2]),
    ],
)
def test_what_is_known_to_map(name: str, shape: Shape, out: Shape, constant: list[Any]) -> None:
    assert [v.reason for v in predict(parse_graph(single(name, shape, out, constant))).verdicts] == [""]


def test_the_state_of_a_recurrent_layer_may_be_int16() -> None:
    tiny = TinyModel()
    read, state, cell, written = (tiny.tensor(s, d) for s, d in (
        ((1, 28, 28), "int8"), ((1, 20), "int8"), ((1, 20), "int16"), ((1, 28, 20), "int8")))  # fmt: skip
    for index in (state, cell):
        tiny.graph.tensors[index].isVariable = True
    tiny.op("UNIDIRECTIONAL_SEQUENCE_LSTM", [read, -1, state, cell], [written])
    assert predict(parse_graph(tiny.content([read], [written]))).mapped == 1


def deeplab_tail() -> bytes:
    """conv -> {resize from 1x1 (CPU), conv behind it in the list} -> concatenation -> conv: the old DeepLabs' tail."""
    tiny = TinyModel()
    shape = (1, 33, 33, 4)
    image, pooled_, spread, branch, joined, out = (
        tiny.tensor(s, name=n)
        for n, s in (("image", shape), ("pooled", (1, 1, 1, 4)), ("spread", shape), ("branch", shape),
                     ("joined", (1, 33, 33, 8)), ("out", shape))
    )  # fmt: skip
    pool = {"strideW": 33, "strideH": 33, "filterWidth": 33, "filterHeight": 33, "padding": 1}
    tiny.op("AVERAGE_POOL_2D", [image], [pooled_], options="Pool2DOptions", **pool)
    tiny.op("RESIZE_BILINEAR", [pooled_, tiny.constant([33, 33])], [spread], options="ResizeBilinearOptions")
    conv(tiny, image, tiny.constant(np.ones((4, 1, 1, 4)), "int8"), tiny.constant(np.zeros(4)), branch)
    tiny.op("CONCATENATION", [spread, branch], [joined], options="ConcatenationOptions", axis=3)
    conv(tiny, joined, tiny.constant(np.ones((4, 1, 1, 8)), "int8"), tiny.constant(np.zeros(4)), out)
    return tiny.content([image], [out])


def test_the_first_part_is_kept_and_the_cut_is_named() -> None:
    prediction = predict(parse_graph(deeplab_tail()))
    assert [v.mapped for v in prediction.verdicts] == [True, False, True, False, False]
    assert prediction.segments == ((0, 2),)
    assert [v.findings[0].rule for v in prediction.verdicts if v.findings] == [
        "resize-factor",
        "one-subgraph",
        "one-subgraph",
    ]
    assert [(c.tensor, c.bytes, c.producer, c.readers) for c in prediction.cuts] == [
        ("pooled", 4, 0, (1,)),
        ("branch", 33 * 33 * 4, 2, (3,)),
    ]
    assert (prediction.mapped, prediction.cpu, prediction.rejections) == (2, 3, ())


def test_multiple_subgraphs_keep_all_parts() -> None:
    prediction = predict(parse_graph(deeplab_tail()), multiple_subgraphs=True)
    assert prediction.segments == ((0, 2), (3, 4))
    assert prediction.mapped == 4


def test_runtime_versions() -> None:
    assert predict(parse_graph(EXAMPLES["dtype"][1]())).runtime == 10  # uint8
    assert predict(parse_graph(conv_model())).runtime == 12  # int8
    assert predict(parse_graph(EXAMPLES["prelu-shared"][1]())).runtime == 13


@pytest.mark.parametrize(("dilation", "runtime"), [(1, 10), (2, 12)])
def test_dilated_depthwise_convolutions_need_a_newer_runtime(dilation: int, runtime: int) -> None:
    tiny = TinyModel()
    read, written = tiny.tensor((1, 8, 8, 4), "uint8"), tiny.tensor((1, 8, 8, 4), "uint8")
    weights = tiny.constant(np.ones((1, 3, 3, 4)), "uint8")
    tiny.op(
        "DEPTHWISE_CONV_2D", [read, weights], [written], options="DepthwiseConv2DOptions",
        strideW=1, strideH=1, depthMultiplier=1, dilationHFactor=dilation, dilationWFactor=dilation,
    )  # fmt: skip
    assert predict(parse_graph(tiny.content([read], [written]))).runtime == runtime


def rejected(content: bytes) -> list[str]:
    prediction = predict(parse_graph(content))
    assert prediction.mapped == 0
    assert prediction.segments == ()
    assert all(v.reason for v in prediction.verdicts)
    return [f.rule for f in prediction.rejections]


def test_a_float_file_is_refused() -> None:
    assert rejected(single("RELU", (1, 4), (1, 4), dtype="float32")) == ["quantized"]


def versioned(name: str, version: int) -> bytes:
    tiny = TinyModel()
    a, b, c = (tiny.tensor((1, 4, 4, 4)) for _ in range(3))
    tiny.op("RELU", [a], [b])
    tiny.op(name, [b], [c], version=version)
    return tiny.content([a], [c])


@pytest.mark.parametrize(
    ("name", "version"),
    [("CONV_2D", 6), ("TRANSPOSE_CONV", 4), ("EXP", 2), ("GELU", 1), ("TILE", 3), ("QUANTIZE", 3), ("DILATE", 1)],
)
def test_an_operator_that_the_compiler_does_not_know_refuses_the_file(name: str, version: int) -> None:
    assert "known-version" in rejected(versioned(name, version))


@pytest.mark.parametrize(("name", "version"), [("RELU6", 2), ("TANH", 3), ("RESIZE_BILINEAR", 3), ("LOGISTIC", 2)])
def test_versions_that_the_compiler_knows(name: str, version: int) -> None:
    assert predict(parse_graph(versioned(name, version))).rejections == ()


def test_a_size_that_is_computed_refuses_the_file() -> None:
    tiny = TinyModel()
    read, shape, written = tiny.tensor((1, 4, 4, 1)), tiny.tensor((2,), "int32"), tiny.tensor((1, 16))
    tiny.op("SHAPE", [read], [shape])
    tiny.op("RESHAPE", [read, shape], [written])
    assert rejected(tiny.content([read], [written])) == ["static-shapes"]


def test_a_batch_of_unknown_size_alone_does_no_harm() -> None:
    """The real compiler took such a file: the interpreter runs it with a batch of 1."""
    tiny = TinyModel()
    read, written = (tiny.tensor((1, 4), signature=(-1, 4)) for _ in range(2))
    tiny.op("RELU", [read], [written])
    assert predict(parse_graph(tiny.content([read], [written]))).mapped == 1


def test_weights_outside_the_flatbuffer_refuse_the_file() -> None:
    tiny = TinyModel()
    read, written = tiny.tensor((1, 8, 8, 4)), tiny.tensor((1, 8, 8, 4))
    weights = tiny.constant(np.ones((4, 1, 1, 4)), "int8")
    conv(tiny, read, weights, tiny.constant(np.zeros(4)), written)
    tiny.graph.tensors[weights].externalBuffer = 1
    assert rejected(tiny.content([read], [written])) == ["buffers-inside"]


@pytest.mark.parametrize(("name", "refused"), [("Atan", True), ("FlexErf", True), ("PosenetDecoderOp", False)])
def test_custom_operators(name: str, refused: bool) -> None:
    prediction = predict(parse_graph(versioned(name, 1)))
    assert [v.mapped for v in prediction.verdicts] == [not refused, False]
    assert [f.rule for f in prediction.rejections] == (["unknown-custom-operator"] if refused else [])


def known_mappings(folder: Path) -> dict[str, Any]:
    mapping: dict[str, Any] = json.loads((folder / "edgetpu" / "mapping.json").read_text())
    assert len(mapping) >= 20
    return mapping


def test_every_operator_of_every_public_file_as_the_real_compiler_put_it(test_data: Path) -> None:
    wrong = {}
    for name, real in known_mappings(test_data).items():
        graph = read_graph(test_data / "edgetpu" / name)
        prediction = predict(graph, multiple_subgraphs="-a" in real["flags"])
        mapped = [v.index for v in prediction.verdicts if v.mapped]
        if mapped != real["mapped"] or len(prediction.segments) != real["tpu_segments"]:
            wrong[name] = sorted(set(mapped) ^ set(real["mapped"]))
        assert len(prediction.verdicts) == real["ops"]
    assert wrong == {}
