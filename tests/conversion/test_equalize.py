"""Cross-layer equalization: the function stays, what scaling channels apart does is undone."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras
from refining import SPEC, Made, made_files, noise, outputs_of, real_logits

from edgeseg.architectures.backbones.mobilenetv3 import squeeze_and_excite
from edgeseg.card import Recipe
from edgeseg.conversion.converter import run_converter, run_file
from edgeseg.conversion.equalize import equalized, equalized_like, scaled
from edgeseg.conversion.integer_file import BIAS, IntegerFile
from edgeseg.conversion.twins import Ranges, channel_ranges, requantized, twin_tensors
from edgeseg.tflite.graph import parse_graph
from edgeseg.tflite.xnnpack import coverage


@pytest.fixture(scope="module")
def made() -> Made:
    return made_files()


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


def test_a_gate_leaves_the_channels_that_it_multiplies_free() -> None:
    """Squeeze and excitation: the map's channels get other gains before and behind the product, the gate stays."""
    layers, rng = tf_keras.layers, np.random.default_rng(5)
    image = layers.Input((32, 48, 3), batch_size=1)
    norm = layers.BatchNormalization()
    x = layers.ReLU()(norm(layers.Conv2D(8, 3, use_bias=False)(image)))
    x = squeeze_and_excite(tf_keras, x, "squeeze_")
    network = tf_keras.Model(image, layers.Conv2D(4, 1)(x))
    gamma, beta, *statistics = norm.get_weights()
    norm.set_weights([gamma * np.exp2(rng.uniform(-6, 6, gamma.shape)), beta, *statistics])
    floating = run_converter(network, Recipe(name="float32"), SPEC, [])
    integer = run_converter(network, Recipe(name="int8_ptq"), SPEC, made_files().tensors)
    images = made_files().images
    ranges = channel_ranges(IntegerFile(floating), outputs_of(floating), run_file, images)
    mended, after, count = equalized(floating, ranges)
    *_, product = (op for op in IntegerFile(floating).operators if op.name == "MUL")
    before, now = (np.ptp(np.log2(found[product.outputs[0]][1])) for found in (ranges, after))
    assert count > 8
    assert now < before / 2  # octaves between its widest channel and its narrowest
    wanted = real_logits(floating, images)
    np.testing.assert_allclose(real_logits(mended, images), wanted, atol=1e-4 * np.ptp(wanted))
    file = requantized(integer, mended, after)
    assert file is not None
    found = equalized_like(floating, file)
    np.testing.assert_allclose(real_logits(found, images), wanted, atol=0.01 * np.ptp(wanted))


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
    wanted = real_logits(made.floating, made.images)
    np.testing.assert_allclose(real_logits(found, made.images), wanted, atol=0.01 * np.ptp(wanted))
    for number, op in enumerate(IntegerFile(found).operators):
        if op.name in BIAS:
            ours, wanted = (IntegerFile(f).weights(number) for f in (found, mended))
            assert np.abs(ours - wanted).max() < 0.05 * np.abs(wanted).max()
    assert equalized_like(made.floating, made.integer) == made.floating
