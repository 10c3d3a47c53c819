"""Layers of an integer file that stay in float: the graph around them stays, the result is nearer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from meadow import SIZE

import edgeseg
from edgeseg.arrays import Uint8
from edgeseg.card import InputSpec, Recipe
from edgeseg.conversion.converter import run_converter, run_file
from edgeseg.conversion.float_layers import cost_in_words, kept_in_float
from edgeseg.conversion.integer_file import BIAS, IntegerFile
from edgeseg.conversion.ptq import span_input_range
from edgeseg.conversion.surgery import with_fixed_batch
from edgeseg.data.dataset import Dataset
from edgeseg.errors import UsageError
from edgeseg.image import normalise
from edgeseg.tflite.graph import parse_graph

L = keras.layers
SPEC = InputSpec(height=SIZE[0], width=SIZE[1])


@pytest.fixture(scope="module")
def files(meadow: tuple[Dataset, Dataset]) -> tuple[bytes, bytes, list[Uint8]]:
    """The int8 and the float32 file of a network with every kind of layer that has weights, and its images."""
    keras.utils.set_random_seed(3)
    image = keras.Input((*SIZE, 3))
    x = first = L.Conv2D(8, 3, strides=2, padding="same", activation="relu")(image)
    x = L.DepthwiseConv2D(3, padding="same")(x)
    x = L.Add()([first, L.Conv2D(8, 1)(x)])
    x = L.Conv2DTranspose(4, 3, strides=2, padding="same")(x)
    network = with_fixed_batch(keras.Model(image, L.Conv2D(3, 1)(x)), SPEC)
    tensors = [taken for taken, _ in meadow[0]]
    span_input_range(tensors)
    int8, float32 = (run_converter(network, Recipe(name=name), SPEC, tensors) for name in ("int8_ptq", "float32"))
    return int8, float32, tensors


def float_weights(files: Any) -> dict[int, Any]:
    integers, floats = IntegerFile(files[0]), IntegerFile(files[1])
    mine, its = ([n for n, op in enumerate(file.operators) if op.name in BIAS] for file in (integers, floats))
    return {a: (floats.weights(b), floats.bias(b)) for a, b in zip(mine, its, strict=True)}


def error(content: bytes, files: Any) -> float:
    """Root of the mean squared error of the logits."""
    _, reference, tensors = files
    wanted = [outputs[0] for outputs in run_file(reference, [normalise(tensor, SPEC) for tensor in tensors])]
    found = [outputs[0] for outputs in run_file(content, tensors)]
    if found[0].dtype == np.int8:
        file = IntegerFile(content)
        scale = file.scale(file.logits)
        assert scale is not None
        found = [scale.real(values) for values in found]
    return float(np.sqrt(np.mean(np.square(np.stack(found) - np.stack(wanted)))))


def test_all_layers_in_float_leave_only_the_roundings_in_between(files: Any) -> None:
    weights = float_weights(files)
    assert len(weights) == 5
    content = kept_in_float(files[0], weights)
    assert error(content, files) < 0.7 * error(files[0], files)
    ops = [op.op for op in parse_graph(content).main.operators]
    assert ops.count("DEQUANTIZE") == 2  # the image, and the sum, which stays integer
    graph = parse_graph(content).main
    assert graph.tensors[graph.outputs[0]].dtype == "float32"
    assert not any(tensor.is_constant and tensor.dtype == "int8" for tensor in graph.tensors)


def test_layers_inside_keep_the_output_what_it_was(files: Any) -> None:
    weights = float_weights(files)
    content = kept_in_float(files[0], {n: weights[n] for n in list(weights)[1:3]})
    graph = parse_graph(content).main
    assert graph.tensors[graph.outputs[0]].dtype == "int8"
    ops = [op.op for op in graph.operators]
    assert (ops.count("DEQUANTIZE"), ops.count("QUANTIZE")) == (1, 2)  # the image's bytes are the other
    assert error(content, files) < error(files[0], files)


def test_what_it_costs_is_told(files: Any) -> None:
    weights = float_weights(files)
    last = max(weights)
    content = kept_in_float(files[0], {last: weights[last]})
    told = cost_in_words(parse_graph(files[0]), parse_graph(content))
    assert "% of the multiply-accumulates, about 1." in told
    assert "times the latency on a Raspberry Pi 4; the Edge TPU takes" in told


def test_the_command_says_what_stays_in_float(tiny_keras_model: Path, tmp_path: Path, cli: Any) -> None:
    file = tmp_path / "mixed.tflite"
    words = ("convert", tiny_keras_model, "--calibration", "synthetic:6", "-o", file, "--float-layers", 1)
    assert "1 layers in float with int8_ptq: expected 1 or more, with --int8 --mixed" in cli(*words).error
    done = cli(*words, "--mixed", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["recipe"] == "int8_mixed"
    assert "in float: logits; 100.0% of the multiply-accumulates" in done.stderr
    assert not cli("inspect", file, "--json").json["integers"]["only"]
    assert edgeseg.Segmenter(file).card is not None
    with pytest.raises(UsageError, match="the Edge TPU computes in integers only"):
        edgeseg.convert(tiny_keras_model, "int8_mixed", calibration="synthetic:6", target="edgetpu")
