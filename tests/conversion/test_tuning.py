"""Tuned integer files: ranges and biases change, the graph and what it computes do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.architectures.registry import build_network
from edgeseg.arrays import Uint8
from edgeseg.card import ModelCard, Recipe
from edgeseg.conversion.integer_file import IntegerFile, Scale
from edgeseg.conversion.ptq import span_input_range
from edgeseg.conversion.tuning import (
    channel_means,
    deciding_scale,
    least_error_scale,
    matching_convolutions,
    narrowed,
    tune_biases,
    tune_logits,
    tune_ranges,
)
from edgeseg.image import fit, normalise
from edgeseg.keras_model import network_spec
from edgeseg.postprocess import label_map
from edgeseg.tflite.graph import parse_graph
from edgeseg.tflite.xnnpack import coverage

LEVELS = np.arange(-128, 128)
ENDS = np.array([-128, 127])
ReluScale = Scale(0.1, -128)
"""0 to 25.5."""


@pytest.fixture(scope="module")
def files(small_card: ModelCard) -> tuple[bytes, bytes, list[Uint8], ModelCard]:
    """The int8 and the float32 file of an untrained U-Net, its calibration tensors and its card."""
    import tf_keras

    from edgeseg.conversion.converter import run_converter

    tf_keras.utils.set_random_seed(0)
    card = replace(small_card, architecture="unet", backbone="resnet18_0.1", output_stride=8)
    network = build_network(tf_keras, network_spec(card), batch_size=1)
    rng = np.random.default_rng(0)
    for layer in network.layers:  # statistics and biases that matter
        if type(layer).__name__ == "BatchNormalization":
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma, rng.normal(0, 0.3, beta.shape), mean, variance * rng.uniform(0.3, 2, mean.shape)])
    coarse = rng.integers(0, 256, (6, 8, 12, 3), np.uint8)
    tensors = [fit(image, card.input) for image in coarse]
    span_input_range(tensors)
    integer = run_converter(network, Recipe(name="int8_ptq"), card.input, tensors)
    return integer, run_converter(network, Recipe(name="float32"), card.input, []), tensors, card


def run(content: bytes, inputs: Sequence[Any]) -> Any:
    from edgeseg.conversion.converter import run_file

    return run_file(content, inputs)


def tune(content: bytes, reference: bytes, tensors: Any, spec: Any, run: Any, advance: Any) -> tuple[bytes, int]:
    """All of it, in the recipes' order."""
    content = tune_ranges(content, tensors, spec, run)
    content, biases = tune_biases(content, reference, tensors, spec, run, advance)
    return tune_logits(content, reference, tensors, spec, run), biases


def logits(content: bytes, inputs: Sequence[Any]) -> Any:
    scale = IntegerFile(content).scale(IntegerFile(content).logits)
    return np.stack([out[0] if scale is None else scale.real(out[0]) for out in run(content, inputs)])


def test_an_outlier_is_clipped() -> None:
    """A million values of a bell and one far outside it."""
    bell = 1e6 * np.exp(-np.square((LEVELS + 128) / 20) / 2)
    bell[255] += 1
    tuned = least_error_scale(bell, ReluScale)
    assert tuned.zero_point == -128
    assert 6 < tuned.step * 255 < 12  # of 25.5; the bell's sigma is 2


def test_a_range_that_is_used_evenly_stays() -> None:
    assert least_error_scale(np.ones(256), ReluScale).step == pytest.approx(ReluScale.step, rel=0.03)


def test_both_ends_are_clipped_and_zero_stays_exact() -> None:
    bell = 1e6 * np.exp(-np.square(LEVELS / 10) / 2)
    bell[[0, 255]] += 1
    tuned = least_error_scale(bell, Scale(0.1, 0))
    assert tuned.step < 0.06
    assert abs(tuned.zero_point) < 8
    assert tuned.real(np.array([tuned.zero_point]))[0] == 0


def test_logits_are_narrowed_towards_what_decides_at_their_pixel() -> None:
    """Of logits from -12 to 20, the weakest winner 1 and the strongest loser 9: 0 to a little more than 9 would do."""
    whole, half, tight = (narrowed(Scale.of_range(-12, 20), 1.0, 9.0, share).real(ENDS) for share in (0, 0.5, 1))
    assert whole == pytest.approx([-12, 20], abs=0.1)
    assert half == pytest.approx([-6, 14.8], abs=0.1)
    assert tight == pytest.approx([0, 9.5], abs=0.1)


def test_an_outlier_is_cut_off_the_logits() -> None:
    rng = np.random.default_rng(0)
    logits = cv2.GaussianBlur(rng.normal(0, 9, (16, 16, 3)).astype(np.float32), (5, 5), 0)
    logits[0, 0] = 90, -90, -90
    tuned = deciding_scale(Scale.of_range(-90, 90), [logits], (64, 64))
    assert np.ptp(tuned.real(ENDS)) < 60


def test_logits_stay_wide_where_a_cut_would_move_outlines() -> None:
    """A class that wins by far and one that wins by little: their outline is where the interpolated logits cross."""
    logits = np.where(np.arange(16)[:, None] < 8, [20.0, -10.0], [-1.0, 1.0]).astype(np.float32)[None].repeat(16, 0)
    scale = Scale.of_range(-12, 22)
    tuned = deciding_scale(scale, [logits], (256, 256))
    wanted = label_map(logits, 256, 256)
    cut = narrowed(scale, 1.0, -1.0, 1.0)
    assert np.mean(label_map(tuned.stored(logits), 256, 256) == wanted) > 0.995
    assert np.mean(label_map(cut.stored(logits), 256, 256) == wanted) < 0.99


def test_another_scale_changes_no_result(files: Any) -> None:
    """Ranges a quarter wider cost precision and nothing else: biases behind them follow."""
    content, _, tensors, _ = files
    file = IntegerFile(content)
    groups = file.groups()
    assert len(groups) > 10
    for group in groups:
        scale = file.scale(group[0])
        assert scale is not None
        file.rescale(group, Scale(scale.step * 1.25, scale.zero_point if scale.zero_point == -128 else 0))
    before, after = logits(content, tensors), logits(file.content(), tensors)
    assert np.abs(after - before).mean() < 0.04 * np.ptp(before)
    assert np.corrcoef(after.ravel(), before.ravel())[0, 1] > 0.98


def test_tuning_comes_nearer_to_the_float_network(files: Any) -> None:
    content, reference, tensors, card = files
    steps: list[tuple[int, int]] = []
    tuned, biases = tune(content, reference, tensors, card.input, run, lambda done, total: steps.append((done, total)))
    floats = [normalise(tensor, card.input) for tensor in tensors]
    size = (card.input.height, card.input.width)
    ran = ((reference, floats), (content, tensors), (tuned, tensors))
    wanted, *found = ([label_map(one[0], *size) for one in logits(file, inputs)] for file, inputs in ran)
    agreement = [np.mean(np.equal(maps, wanted)) for maps in found]
    assert agreement[1] > agreement[0]
    assert biases > 10
    assert steps[-1][0] == steps[-1][1] == len(steps)

    floating = IntegerFile(reference)
    pairs = matching_convolutions(IntegerFile(content), floating)[:-1]  # the logits' range is narrowed behind the last
    theirs = channel_means(floating, [tensor for _, tensor in pairs], len(floating.operators), run, floats)
    shifts = []
    for file in (IntegerFile(content), IntegerFile(tuned)):
        outputs = [file.operators[number].outputs[0] for number, _ in pairs]
        ours = channel_means(file, outputs, len(file.operators), run, tensors)
        shifts.append(np.mean([np.abs(a - b).mean() for a, b in zip(ours, theirs, strict=True)]))
    assert shifts[1] < shifts[0] / 2


def test_the_graph_stays(files: Any) -> None:
    content, reference, tensors, card = files
    tuned, _ = tune(content, reference, tensors, card.input, run, lambda done, total: None)
    before, after = parse_graph(content), parse_graph(tuned)
    assert [op.op for op in after.main.operators] == [op.op for op in before.main.operators]
    assert coverage(after) == coverage(before)
    first = [graph.main.tensors[graph.main.inputs[0]].quantization for graph in (before, after)]
    assert first[0] == first[1]  # the camera's bytes go in as they are


def test_biases_stay_where_the_float_graph_is_another(files: Any) -> None:
    content, _, tensors, card = files
    steps: list[tuple[int, int]] = []
    import keras
    import tf_keras

    from edgeseg.conversion.converter import run_converter

    keras.utils.set_random_seed(7)
    stranger = build_network(tf_keras, network_spec(card), batch_size=1)
    other = run_converter(stranger, Recipe(name="float32"), card.input, [])
    changed, biases = tune(content, other, tensors, card.input, run, lambda done, total: steps.append((done, total)))
    assert biases == 0
    tuned = IntegerFile(changed)
    before = IntegerFile(content)
    assert not steps
    for number, op in enumerate(before.operators):
        if op.name == "CONV_2D":
            moved = np.abs(tuned.bias(number) - before.bias(number))
            assert (moved < (bias_steps(tuned, number) + bias_steps(before, number)) / 2).all()  # rounding anew alone


def bias_steps(file: IntegerFile, operator: int) -> Any:
    """What one step of an operator's integer bias is in real units, for each channel."""
    incoming = file.scale(file.operators[operator].inputs[0])
    return file.weight_steps(operator) * (2 / 255 if incoming is None else incoming.step)
