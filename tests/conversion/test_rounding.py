"""Adaptive rounding: a layer as a product is the layer, and learnt rounding comes nearer to the float network."""

from __future__ import annotations

import numpy as np
import pytest
from refining import SPEC, Made, made_files, noise

from edgeseg.conversion.converter import run_file
from edgeseg.conversion.integer_file import IntegerFile
from edgeseg.conversion.rounding import Layer, RoundingOptions, _layer, _patches, learn_rounding, round_adaptively
from edgeseg.tflite.graph import parse_graph


@pytest.fixture(scope="module")
def made() -> Made:
    return made_files()


def one_output(rng: np.random.Generator, kernel: np.ndarray) -> Layer:
    """One channel of four inputs that are nearly the same: rounding errors add up unless they are balanced."""
    rows = (rng.normal(0, 1, (2000, 1, 1)) + rng.normal(0, 0.05, (2000, 1, 4))).astype(np.float32)
    targets = rows.reshape(-1, 4) @ kernel.reshape(4, 1).astype(np.float32)
    return Layer(
        rows=rows, targets=targets, kernel=kernel.reshape(1, 4, 1).astype(np.float32), steps=np.ones(1, np.float32),
        bias=np.zeros(1, np.float32), low=-1e9, high=1e9, unit=1.0,
    )  # fmt: skip


def test_errors_are_balanced() -> None:
    """All four weights are 0.4 above a step: the nearest lose 1.6 in all, two that go up leave 0.4."""
    layer = one_output(np.random.default_rng(0), np.array([3.4, 5.4, -2.6, 8.4]))
    levels, _ = learn_rounding(layer, RoundingOptions(steps=600, regularization=0.05), np.random.default_rng(0))
    np.testing.assert_allclose(np.abs(levels - layer.kernel - 0.1), 0.5, atol=1e-5)
    assert (levels > layer.kernel).sum() == 2


def test_whole_steps_stay() -> None:
    layer = one_output(np.random.default_rng(0), np.array([3.0, 5.0, -2.0, 8.0]))
    levels, bias = learn_rounding(layer, RoundingOptions(steps=50), np.random.default_rng(0))
    np.testing.assert_array_equal(levels, layer.kernel)
    assert abs(bias[0]) < 1e-3


def test_a_layer_as_a_product_is_the_layer(made: Made) -> None:
    """Strides, dilation, padding, depthwise: integer steps give what the file gives, to one step of its output."""
    file, graph = IntegerFile(made.integer), parse_graph(made.integer).main
    rng = np.random.default_rng(1)
    convolutions = [op for op in graph.operators if "CONV" in op.op]
    assert len(convolutions) == 10
    for op in convolutions:
        ((x, y),) = run_file(file.content([op.inputs[0], op.outputs[0]]), made.tensors[:1])
        at = np.stack([rng.integers(0, size, 300) for size in y.shape[1:3]], 1)
        at[:4] = np.array([[0, 0], [0, -1], [-1, 0], [-1, -1]]) % y.shape[1:3]
        reading, writing = file.scale(op.inputs[0]), file.scale(op.outputs[0])
        assert reading is not None
        assert writing is not None
        wanted = writing.real(y[0][at[:, 0], at[:, 1]])
        layer = _layer(file, op, file.weights(op.index), _patches(reading.real(x[0]), op, file, at), wanted)
        got = np.clip(layer.outputs(layer.kernel, layer.bias, layer.rows), layer.low, layer.high)
        assert np.abs(got - wanted).max() < 0.6 * writing.step, op


def test_it_comes_nearer_and_the_graph_stays(made: Made) -> None:
    steps: list[tuple[int, int]] = []
    done = round_adaptively(
        made.per_tensor, made.floating, made.tensors, SPEC, run_file, lambda *step: steps.append(step),
        RoundingOptions(steps=100),
    )  # fmt: skip
    assert done is not None
    file, moved, total = done
    assert 0 < moved < total / 2
    assert steps == [(n, len(steps)) for n in range(1, len(steps) + 1)]
    assert noise(file, made) < 0.9 * noise(made.per_tensor, made)
    before, after = parse_graph(made.per_tensor), parse_graph(file)
    assert [op.op for op in after.main.operators] == [op.op for op in before.main.operators]
    assert [t.dtype for t in after.main.tensors] == [t.dtype for t in before.main.tensors]
    kernels = [(f, IntegerFile(f)) for f in (made.per_tensor, file)]
    for op in after.main.operators:
        if "CONV" in op.op:
            first, second = (f.weights(op.index) / f.weight_steps(op.index).max() for _, f in kernels)
            assert np.abs(first - second).max() <= 1.001
