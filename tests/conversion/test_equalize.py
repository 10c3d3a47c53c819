"""Cross-layer equalization: the function stays, what scaling channels apart does is undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tf_keras

from edgeseg.card import InputSpec, Recipe
from edgeseg.conversion.converter import run_converter, run_file
from edgeseg.conversion.equalize import channel_ranges, equalized, equalized_like, scaled
from edgeseg.conversion.integer_file import BIAS, IntegerFile
from edgeseg.conversion.ptq import span_input_range
from edgeseg.conversion.twins import Ranges, requantized, twin_tensors
from edgeseg.image import Float32, Uint8, normalise
from edgeseg.tflite.graph import parse_graph
from edgeseg.tflite.xnnpack import coverage

SPEC = InputSpec(height=32, width=48)


def mixed_network() -> Any:
    """Inverted residuals with ReLU6 (one of whose channels never reaches 6), pooling that is added, a concatenation."""
    layers = tf_keras.layers
    image = layers.Input((32, 48, 3), batch_size=1)

    def conv(x: Any, filters: int, activation: float | None = -1, size: int = 1) -> Any:
        x = layers.BatchNormalization()(layers.Conv2D(filters, size, padding="same", use_bias=False)(x))
        return x if activation == -1 else layers.ReLU(activation)(x)

    stem = conv(image, 8, 6.0, 3)
    down = conv(stem, 6)
    wide = conv(down, 16, 6.0)
    wide = layers.ReLU(6.0)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(wide)))
    body = layers.Add()([down, conv(wide, 6)])
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(body)
    left, right = conv(body, 5, None), conv(body, 7, None, 3)
    joined = conv(layers.Concatenate()([left, right]), 8)
    head = layers.ReLU()(layers.Add()([joined, conv(pooled, 8)]))
    return tf_keras.Model(image, layers.Conv2D(4, 1)(layers.UpSampling2D(2, interpolation="bilinear")(head)))


@dataclass(frozen=True, kw_only=True)
class Made:
    """Files of `mixed_network`, and pictures."""

    integer: bytes
    per_tensor: bytes
    floating: bytes
    tensors: list[Uint8]
    images: list[Float32]
    ranges: Ranges


def outputs_of(content: bytes) -> list[int]:
    return [tensor for op in IntegerFile(content).operators for tensor in op.outputs]


@pytest.fixture(scope="module")
def made() -> Made:
    tf_keras.utils.set_random_seed(3)
    rng = np.random.default_rng(3)
    network = mixed_network()
    for layer in network.layers:
        if type(layer).__name__ == "BatchNormalization":
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights(
                [gamma, rng.normal(0.3, 0.4, beta.shape), mean, variance * rng.uniform(0.1, 1, beta.shape)]
            )
    tensors = list(rng.integers(0, 256, (6, 32, 48, 3), np.uint8))
    span_input_range(tensors)
    integer, per_tensor = (
        run_converter(network, Recipe(name=name), SPEC, tensors) for name in ("int8_ptq", "int8_ptq_per_tensor")
    )
    floating = run_converter(network, Recipe(name="float32"), SPEC, [])
    images = [normalise(tensor, SPEC) for tensor in tensors]
    ranges = channel_ranges(IntegerFile(floating), outputs_of(floating), run_file, images)
    return Made(
        integer=integer, per_tensor=per_tensor, floating=floating, tensors=tensors, images=images, ranges=ranges
    )


def real_logits(content: bytes, inputs: Any) -> Float32:
    scale = IntegerFile(content).scale(IntegerFile(content).logits)
    return np.stack([out[0] if scale is None else scale.real(out[0]) for out in run_file(content, inputs)])


def noise(content: bytes, made: Made) -> float:
    """Root of the mean squared error of an integer file's logits, over their standard deviation."""
    wanted = real_logits(made.floating, made.images)
    return float(np.sqrt(np.square(real_logits(content, made.tensors) - wanted).mean()) / wanted.std())


def scaled_apart(made: Made) -> tuple[bytes, Ranges]:
    """Multiplies the channels that the residual ties, none of them with ReLU6, by 1/64..64."""
    file = IntegerFile(made.floating)
    ops = parse_graph(made.floating).main.operators
    add = next(op for op in ops if op.op == "ADD" and len(set(map(file.shape, op.inputs))) == 1)
    tied = {*add.inputs, *add.outputs} | {op.outputs[0] for op in ops if op.op == "MEAN"}
    gain = np.exp2(np.random.default_rng(0).uniform(-6, 6, file.shape(add.outputs[0])[-1]))
    for number, op in enumerate(file.operators):
        if op.name not in BIAS:
            continue
        given, wanted = (gain if t in tied else np.ones(1) for t in (op.inputs[0], op.outputs[0]))
        bias = file.bias(number)
        kernel = scaled(op.name, file.weights(number), given, wanted)
        file.set_weights(number, kernel, None if bias is None else (bias * wanted).astype(np.float32))
    return file.content(), {t: r * gain if t in tied else r for t, r in made.ranges.items()}


@pytest.mark.parametrize("per_tensor", [False, True])
def test_the_function_stays(made: Made, per_tensor: bool) -> None:
    changed, ranges, count = equalized(made.floating, made.ranges, per_tensor=per_tensor)
    assert count > 20
    np.testing.assert_allclose(real_logits(changed, made.images), real_logits(made.floating, made.images), atol=1e-4)
    measured = channel_ranges(IntegerFile(changed), outputs_of(changed), run_file, made.images)
    for tensor, told in ranges.items():
        np.testing.assert_allclose(measured[tensor], told, rtol=1e-3, atol=1e-3)


def test_relu6_is_not_reached_anew(made: Made) -> None:
    """Channels that it cut keep their scale; the others are kept below 6, with room."""
    _, ranges, _ = equalized(made.floating, made.ranges)
    cut = [op.outputs[0] for op in parse_graph(made.floating).main.operators if op.options.get("activation") == "RELU6"]
    assert len(cut) == 3
    reached = np.concatenate([made.ranges[t][1] for t in cut]) * 1.1 >= 6
    now = np.concatenate([ranges[t][1] for t in cut])
    assert 0 < reached.sum() < len(reached)
    np.testing.assert_allclose(now[reached], np.concatenate([made.ranges[t][1] for t in cut])[reached])
    assert now[~reached].max() <= 6 / 1.1 + 1e-4
    assert not np.allclose(now[~reached], np.concatenate([made.ranges[t][1] for t in cut])[~reached])


def test_what_scaling_channels_apart_does_to_int8_is_undone(made: Made) -> None:
    apart, ranges = scaled_apart(made)
    np.testing.assert_allclose(real_logits(apart, made.images), real_logits(made.floating, made.images), atol=1e-3)
    converted = requantized(made.integer, apart, ranges)
    mended, mended_ranges, _ = equalized(apart, ranges)
    repaired = requantized(made.integer, mended, mended_ranges)
    assert converted is not None
    assert repaired is not None
    before, broken, after = (noise(content, made) for content in (made.integer, converted, repaired))
    assert broken > 4 * before
    assert after < 1.2 * before


def test_one_scale_a_kernel_gains(made: Made) -> None:
    graph = parse_graph(made.per_tensor)
    assert not any(t.quantization and t.quantization.per_channel for t in graph.main.tensors)
    assert coverage(graph).nodes == 1
    mended, ranges, _ = equalized(made.floating, made.ranges, per_tensor=True)
    repaired = requantized(made.per_tensor, mended, ranges)
    assert repaired is not None
    assert noise(repaired, made) < noise(made.per_tensor, made)


def test_the_graph_and_its_types_stay(made: Made) -> None:
    mended, ranges, _ = equalized(made.floating, made.ranges)
    after = requantized(made.integer, mended, ranges)
    assert after is not None
    before, now = parse_graph(made.integer), parse_graph(after)
    assert [op.op for op in now.main.operators] == [op.op for op in before.main.operators]
    assert {t.dtype for t in now.main.tensors} <= {"int8", "uint8", "int32"}
    assert coverage(now) == coverage(before)


def test_another_network_is_not_a_twin(made: Made) -> None:
    layers = tf_keras.layers
    image = layers.Input((32, 48, 3), batch_size=1)
    other = run_converter(tf_keras.Model(image, layers.Conv2D(4, 1)(image)), Recipe(name="float32"), SPEC, [])
    assert twin_tensors(IntegerFile(made.integer), IntegerFile(other)) is None
    assert requantized(made.integer, other, {}) is None
    twins = twin_tensors(IntegerFile(made.integer), IntegerFile(made.floating))
    assert twins is not None
    assert set(outputs_of(made.floating)) <= set(twins.values())


@pytest.mark.parametrize("per_tensor", [False, True])
def test_gains_are_read_from_the_integer_file(made: Made, per_tensor: bool) -> None:
    """So that an equalized file can be compared with its network, layer by layer."""
    integer = made.per_tensor if per_tensor else made.integer
    mended, ranges, _ = equalized(made.floating, made.ranges, per_tensor=per_tensor)
    file = requantized(integer, mended, ranges)
    assert file is not None
    found = equalized_like(made.floating, file)
    np.testing.assert_allclose(real_logits(found, made.images), real_logits(made.floating, made.images), atol=0.05)
    for number, op in enumerate(IntegerFile(found).operators):
        if op.name in BIAS:
            ours, wanted = (IntegerFile(f).weights(number) for f in (found, mended))
            assert np.abs(ours - wanted).max() < 0.05 * np.abs(wanted).max()
    assert equalized_like(made.floating, made.integer) == made.floating
