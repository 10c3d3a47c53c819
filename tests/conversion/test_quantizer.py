"""Integer files whose ranges were measured by a fast run: as TensorFlow's own calibration on all pictures sets them."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras

from edgeseg.card import Recipe
from edgeseg.conversion import quantizer
from edgeseg.conversion.converter import run_converter, run_file
from edgeseg.conversion.integer_file import IntegerFile
from edgeseg.conversion.ptq import representative, stored_inputs
from edgeseg.conversion.quantizer import quantize
from edgeseg.conversion.twins import all_settled
from edgeseg.errors import ConversionError
from tests.refining import SPEC, made_files

INT8 = Recipe(name="int8_ptq")


def test_ranges_are_those_of_all_pictures() -> None:
    """Each scale is what the slow calibration finds, and not what it finds on the one picture that it is shown."""
    made = made_files()
    slow, one = (
        IntegerFile(quantizer._quantized(made.floating, INT8, representative(shown, SPEC)))
        for shown in (made.tensors, made.tensors[:1])
    )
    steps: list[tuple[int, int]] = []
    content, ranges = quantize(
        made.floating, INT8, SPEC, made.tensors, run_file, lambda done, total: steps.append((done, total))
    )
    fast = IntegerFile(content)
    assert fast.operators == slow.operators
    average = {op.outputs[0] for op in slow.operators if op.name == "MEAN"}  # ours have a scale of their own
    # ADD writes over what it reads, and the slow calibration looks at that only afterwards: its range is too wide
    overwritten = {t for op in slow.operators if op.name == "ADD" for t in op.inputs}
    activations = [t for group in slow.groups() for t in group if t not in average]
    wanted, got, single = (np.array([file.scale(t).step for t in activations]) for file in (slow, fast, one))  # type: ignore[union-attr]
    assert len(activations) > 10
    assert (got <= wanted * 1.0001).all()
    others = [n for n, t in enumerate(activations) if t not in overwritten]
    assert len(others) > 5
    np.testing.assert_allclose(got[others], wanted[others], rtol=1e-4)
    assert (np.abs(single / wanted - 1) > 0.01).any()
    assert ranges.keys() == made.ranges.keys()
    assert steps == [(n + 1, 6) for n in range(6)]


def test_where_a_scale_cannot_be_set_the_quantizer_sees_all_pictures() -> None:
    layers = tf_keras.layers
    image = layers.Input((32, 48, 3), batch_size=1)
    left, right = layers.Conv2D(4, 1)(image), layers.Conv2D(4, 1)(image)
    network = tf_keras.Model(image, layers.Conv2D(3, 1)(layers.Maximum()([left, right])))
    tensors = made_files().tensors
    floating = run_converter(network, Recipe(name="float32"), SPEC)
    content, _ = quantize(floating, INT8, SPEC, tensors, run_file)
    assert not all_settled(content)
    assert content == quantizer._quantized(floating, INT8, representative(tensors, SPEC))
    assert all_settled(made_files().integer)


def test_a_float_file_that_is_none_is_told_in_one_line() -> None:
    with pytest.raises(ConversionError, match="TensorFlow's quantizer failed"):
        quantizer._quantized(b"none", INT8, representative(made_files().tensors, SPEC))


def test_a_part_gives_what_the_whole_gives() -> None:
    made = made_files()
    file = IntegerFile(made.integer)
    place = len(file.operators) // 2
    behind = {t for op in file.operators[place:] for t in op.inputs}
    (stored,) = stored_inputs(made.integer, made.tensors[:1], SPEC)
    between = [t for op in file.operators[:place] for t in op.outputs if t in behind]
    (values,) = run_file(file.content(between), [stored])
    content, reads = file.part(range(place, len(file.operators)), [file.logits])
    assert set(reads) == set(between)
    held = dict(zip(between, values, strict=True))
    (whole,), (part,) = (
        next(iter(run_file(packed, [given])))
        for packed, given in ((file.content(), stored), (content, [held[t] for t in reads]))
    )
    assert np.abs(whole.astype(int) - part).max() <= 1
    assert len(content) < 0.8 * len(made.integer)
