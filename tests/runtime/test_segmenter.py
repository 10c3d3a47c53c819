"""The Segmenter on hand-made networks whose answer is known for every pixel."""

import dataclasses

import numpy as np
import pytest
from tiny_models import CLASSES, binary_model, colour_model, edgetpu_model, painted

from edgeseg.card import InputSpec, LabelSet, ModelCard, Recipe
from edgeseg.card_file import attach
from edgeseg.errors import EdgesegError, ModelFileError, UsageError
from edgeseg.runtime.protocol import Origin, TensorInfo
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.signature import Preprocessing, input_table

QUARTERS = np.repeat(np.repeat([[0, 1, 2], [3, 0, 1]], 16, 0), 16, 1)  # 32x48: squares of 16


def card(**changes):
    record = ModelCard(
        name="colours",
        architecture="",
        backbone="",
        output_stride=0,
        input=InputSpec(height=32, width=48),
        labels=LabelSet.from_names(CLASSES),
        recipe=Recipe(name="int8_ptq"),
    )
    return dataclasses.replace(record, **changes)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"input_type": np.int8},
        {"input_type": np.float32},
        {"output_type": np.float32},
        {"output": "labels"},
        {"output": "labels", "labels_type": np.int32},
    ],
    ids=str,
)
def test_every_kind_of_file_gives_the_same_label_map(options):
    segmenter = Segmenter(attach(colour_model(**options), card()))
    assert segmenter.notices == ()
    assert segmenter.labels.names == CLASSES
    label_map = segmenter.segment(painted(QUARTERS))
    assert label_map.dtype == np.uint8
    np.testing.assert_array_equal(label_map, QUARTERS)


def test_repeated_calls_do_not_share_results():
    segmenter = Segmenter(attach(colour_model(), card()))
    first = segmenter.segment(painted(QUARTERS))
    segmenter.segment(painted(np.zeros_like(QUARTERS)))
    np.testing.assert_array_equal(first, QUARTERS)


def test_staged_on_another_thread_equals_prepared():
    segmenter = Segmenter(attach(colour_model(input_type=np.int8), card()))
    staged = segmenter.staging()
    segmenter.stage(painted(QUARTERS), staged)
    segmenter.load(staged, QUARTERS.shape)
    segmenter.invoke()
    np.testing.assert_array_equal(segmenter.label_map(), QUARTERS)


@pytest.mark.parametrize("options", [{}, {"input_type": np.int8}, {"input_type": np.float32}], ids=str)
def test_a_twin_is_filled_and_read_on_its_own(options):
    """Two interpreters of one network, each with an image of its own, in any order of steps."""
    first = Segmenter(colour_model(**options))
    second = first.twin()
    mirrored = np.ascontiguousarray(QUARTERS[:, ::-1])
    first.prepare(painted(QUARTERS))
    second.prepare(painted(mirrored))
    first.invoke()
    second.invoke()
    assert np.array_equal(first.label_map(), QUARTERS)
    assert np.array_equal(second.label_map(), mirrored)


def test_twins_work_in_arrays_of_their_own():
    """They preprocess and decide on two threads."""
    first = Segmenter(colour_model())
    second = first.twin()
    assert not np.shares_memory(first._rgb, second._rgb)
    assert second._decoder is not first._decoder


def test_result_at_the_size_of_the_frame():
    segmenter = Segmenter(attach(colour_model(stride=8), card()))
    assert segmenter.output_size == (4, 6)
    large = np.repeat(np.repeat(QUARTERS, 3, 0), 3, 1)
    assert segmenter.segment(painted(large)).shape == large.shape
    np.testing.assert_array_equal(segmenter.segment(painted(large), sharp=False), large)
    np.testing.assert_array_equal(segmenter.segment(painted(large), 32, 48, sharp=False), QUARTERS)
    assert segmenter.coarse_label_map(painted(large)).shape == segmenter.output_size
    with pytest.raises(UsageError, match="give both or none"):
        segmenter.segment(painted(large), 32)


def test_sharp_draws_a_slanted_outline_where_repeated_pixels_make_steps():
    y, x = np.mgrid[:32, :48]
    truth = np.where(3 * y > 2 * x, 1, 3)
    segmenter = Segmenter(attach(colour_model(stride=8), card()))
    coarse = segmenter.segment(painted(truth), sharp=False)
    sharp = segmenter.segment(painted(truth))
    assert (sharp != truth).mean() < (coarse != truth).mean()


def test_letterbox_returns_only_what_the_frame_covers():
    segmenter = Segmenter(attach(colour_model(), card()), preprocessing=Preprocessing(resize="letterbox"))
    square = painted(np.full((64, 64), 2))
    assert segmenter.coarse_label_map(square).shape == (32, 32)
    assert (segmenter.coarse_label_map(square) == 2).all()
    for sharp in (False, True):
        assert segmenter.segment(square, sharp=sharp).shape == (64, 64)
        assert (segmenter.segment(square, sharp=sharp) == 2).all()


def test_a_tall_frame_in_a_letterbox_is_covered_prepared_and_loaded_alike():
    segmenter = Segmenter(attach(colour_model(), card()), preprocessing=Preprocessing(resize="letterbox"))
    tall, staged = painted(np.full((64, 32), 2)), segmenter.staging()
    assert segmenter.coarse_label_map(tall).shape == (32, 16)
    segmenter.prepare(painted(QUARTERS))
    segmenter.stage(tall, staged)
    segmenter.load(staged, (64, 32))
    segmenter.invoke()
    assert segmenter.label_map().shape == (32, 16)


def test_a_call_gives_the_label_map_with_its_classes():
    result = Segmenter(attach(colour_model(), card()))(painted(QUARTERS))
    np.testing.assert_array_equal(result.label_map, QUARTERS)
    assert result.labels.names == CLASSES


def test_without_a_card_what_is_inferred_is_told():
    segmenter = Segmenter(colour_model())
    assert segmenter.input == InputSpec(height=32, width=48, mean=128.0, std=128.0)
    assert segmenter.labels.names == ("class_0", "class_1", "class_2", "class_3")
    assert any("as they are" in notice for notice in segmenter.notices)
    assert any("4 classes" in notice for notice in segmenter.notices)
    np.testing.assert_array_equal(segmenter.segment(painted(QUARTERS)), QUARTERS)


def test_the_number_of_classes_of_a_file_that_gives_labels_comes_from_its_argmax():
    assert Segmenter(colour_model(output="labels")).labels.num_classes == 4


def test_a_float_file_without_a_card_tells_its_assumption_unless_told():
    notices = Segmenter(colour_model(input_type=np.float32)).notices
    assert any("RGB; say otherwise with --mean, --std and --order" in notice for notice in notices)
    told = Segmenter(
        colour_model(input_type=np.float32),
        preprocessing=Preprocessing(mean=128.0, std=128.0),
        labels=LabelSet.from_names(CLASSES),
    )
    assert told.notices == ()
    np.testing.assert_array_equal(told.segment(painted(QUARTERS)), QUARTERS)


def test_other_normalisation_is_applied_to_quantized_inputs():
    """Pixels 0-127 through (pixel - 64) / 64 are what 0-255 are through (pixel - 128) / 128."""
    segmenter = Segmenter(colour_model(), preprocessing=Preprocessing(mean=64.0, std=64.0))
    np.testing.assert_array_equal(segmenter.segment(painted(QUARTERS) // 2), QUARTERS)


@pytest.mark.parametrize("input_type", [np.uint8, np.int8, np.float32])
def test_a_file_that_takes_blue_first_is_told_so(input_type):
    preprocessing = Preprocessing(mean=128.0, std=128.0, order="bgr")
    segmenter = Segmenter(colour_model(input_type=input_type), preprocessing=preprocessing)
    swapped = np.array([0, 3, 2, 1])[QUARTERS]  # red and blue change places
    np.testing.assert_array_equal(segmenter.segment(painted(QUARTERS)), swapped)


@pytest.mark.parametrize("input_type", [np.uint8, np.int8, np.float32])
def test_each_channel_has_its_own_normalisation(input_type):
    """The network's red is brought from 0-63, its green from 0-127, its blue as it is."""
    told = Preprocessing(mean=(32.0, 64.0, 128.0), std=(32.0, 64.0, 128.0))
    segmenter = Segmenter(colour_model(input_type=input_type), preprocessing=told)
    darker = painted(QUARTERS) // np.array([1, 2, 4], np.uint8)
    np.testing.assert_array_equal(segmenter.segment(darker), QUARTERS)


@pytest.mark.parametrize("order", ["grey", "as_is"])
def test_an_order_that_the_file_cannot_have_is_refused(order):
    with pytest.raises(EdgesegError, match="input of 3 channels in the order grey" if order == "grey" else "float32"):
        Segmenter(colour_model(), preprocessing=Preprocessing(order=order)).segment(np.zeros((32, 48, 3), np.float32))


def test_a_pixel_half_a_step_off_keeps_its_256_levels():
    """(pixel - 127.5) / 127.5 on a scale of 1/127.5: every pixel value falls between two stored ones."""
    tensor = TensorInfo(index=0, name="", shape=(1, 1, 1, 3), dtype=np.dtype(np.int8), scale=1 / 127.5, zero_point=0)
    table = input_table(InputSpec(height=1, width=1, mean=127.5, std=127.5), tensor)
    assert len(np.unique(table)) == 255  # the last one has no place in 8 bits


def test_one_channel_through_a_sigmoid_is_split_at_one_half():
    segmenter = Segmenter(binary_model(), preprocessing=Preprocessing(mean=128.0, std=128.0))
    assert any("above 0.5" in notice for notice in segmenter.notices)
    np.testing.assert_array_equal(segmenter.segment(painted(QUARTERS)), QUARTERS == 1)


def test_plain_kernels_agree_with_xnnpack():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (32, 48, 3), np.uint8)
    plain, fast = Segmenter(colour_model(), delegate="none"), Segmenter(colour_model(), delegate="xnnpack")
    assert (plain.delegate, fast.delegate) == ("none", "xnnpack")
    np.testing.assert_array_equal(plain.segment(frame), fast.segment(frame))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a .tflite model"),
        (b"hello" * 100, "not a .tflite model"),
        (colour_model()[:500], "cut off or damaged"),
        (edgetpu_model(), "--delegate edgetpu"),
    ],
    ids=["empty", "text", "cut off", "compiled for the Edge TPU"],
)
def test_unusable_files_get_one_line(content, message, capfd):
    with pytest.raises(ModelFileError, match=message) as caught:
        Segmenter(content)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_missing_file(tmp_path):
    with pytest.raises(ModelFileError, match="no such file"):
        Segmenter(tmp_path / "nothing.tflite")


def test_a_flipped_bit_in_the_graph_is_noticed(tmp_path):
    content = bytearray(attach(colour_model(), card()))
    content[len(content) // 3] ^= 1
    (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(ModelFileError, match="damaged"):
        Segmenter(tmp_path / "model.tflite")


def test_arguments_that_contradict_the_file():
    with pytest.raises(UsageError, match="0 threads"):
        Segmenter(colour_model(), threads=0)
    with pytest.raises(UsageError, match="4 classes, the label set 2"):
        Segmenter(colour_model(), labels=LabelSet.from_names(("a", "b")))
    with pytest.raises(ModelFileError, match="takes 32x48x3, its card says 64x64x3"):
        Segmenter(attach(colour_model(), card(input=InputSpec(height=64, width=64))))
    with pytest.raises(UsageError, match="logits"):
        Segmenter(colour_model(output="labels")).logits()


def test_logits_are_a_copy_in_the_files_own_units():
    segmenter = Segmenter(colour_model())
    segmenter.segment(painted(QUARTERS))
    logits = segmenter.logits()
    assert (logits.shape, logits.dtype) == ((32, 48, 4), np.int8)
    segmenter.segment(painted(np.zeros_like(QUARTERS)))
    np.testing.assert_array_equal(logits.argmax(-1), QUARTERS)


@pytest.mark.parametrize("options", [{}, {"output_type": np.float32}], ids=str)
def test_probabilities_are_the_softmax_of_the_real_logits(options):
    segmenter = Segmenter(colour_model(**options))
    segmenter.segment(painted(QUARTERS))
    logits = segmenter.logits().astype(np.float64)
    real = np.exp(logits if options else (logits - 3) / 50)  # of `colour_model`'s scale
    probabilities = segmenter.probabilities(32, 48)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, real / real.sum(-1, keepdims=True), atol=1e-6)
    assert segmenter.probabilities(64, 100).shape == (64, 100, 4)


def test_what_a_sigmoid_gives_is_a_probability_already():
    segmenter = Segmenter(binary_model())
    segmenter.segment(painted(QUARTERS))
    chance = segmenter.logits()
    np.testing.assert_allclose(segmenter.probabilities(32, 48), np.dstack([1 - chance, chance]), atol=1e-6)


def test_another_size_is_made_of_decided_pixels_unless_asked_sharp():
    y, x = np.mgrid[:32, :48]
    segmenter = Segmenter(colour_model(stride=8))
    frame = painted(np.where(3 * y > 2 * x, 1, 3))
    decided = segmenter.segment(frame, sharp=False)
    np.testing.assert_array_equal(segmenter.sized_label_map(32, 48), decided)
    assert (segmenter.segment(frame, 32, 48) != decided).any()


def test_before_the_first_image_the_label_map_is_of_the_whole_output():
    segmenter = Segmenter(colour_model(stride=8), preprocessing=Preprocessing(resize="letterbox"))
    segmenter.invoke()
    assert segmenter.label_map().shape == (4, 6)


@pytest.mark.parametrize("carded", [True, False])
def test_the_preprocessing_that_is_given_goes_before_the_cards_and_needs_no_notice(carded):
    content = attach(colour_model(), card()) if carded else colour_model()
    told = InputSpec(height=32, width=48, mean=64.0, std=64.0)
    segmenter = Segmenter(content, input_spec=told, labels=LabelSet.from_names(CLASSES))
    assert (segmenter.input, segmenter.notices) == (told, ())
    np.testing.assert_array_equal(segmenter.segment(painted(QUARTERS) // 2), QUARTERS)


def test_one_thread_unless_told():
    assert [Segmenter(colour_model(), threads=threads).threads for threads in (None, 1, 2)] == [1, 1, 2]


class Ids:
    """An accelerator's network that gives class ids with an axis of one channel: 1 where the first channel is set."""

    name, device, accelerator, notices = "ids", "made up", True, ()
    inputs = (TensorInfo(index=0, name="pixels", shape=(1, 4, 6, 3), dtype=np.dtype(np.uint8)),)
    outputs = (TensorInfo(index=1, name="ids", shape=(1, 4, 6, 1), dtype=np.dtype(np.int32)),)

    def __init__(self):
        self.tensors = [np.zeros(tensor.shape, tensor.dtype) for tensor in (*self.inputs, *self.outputs)]

    def view(self, tensor):
        return self.tensors[tensor.index]

    def origin(self, output):
        return Origin(num_classes=2)

    def invoke(self):
        self.tensors[1][...] = self.tensors[0][..., :1] > 0

    def twin(self):
        return None


def test_a_network_that_is_open_already():
    segmenter = Segmenter(Ids())
    assert (segmenter.name, segmenter.card, segmenter.delegate) == ("ids", None, "made up")
    assert segmenter.labels.num_classes == 2
    assert segmenter.accelerated
    assert segmenter.twin() is None
    assert Segmenter(colour_model()).accelerated is False
    truth = np.arange(24).reshape(4, 6) % 2
    np.testing.assert_array_equal(segmenter.segment(painted(np.where(truth, 1, 3))), truth)  # red or blue
