"""Every public entry refuses arrays of the wrong shape or type with one line, and none returns an older result."""

import cv2
import numpy as np
import pytest
from tiny_models import colour_model, painted

from edgeseg.arrays import filled
from edgeseg.card import InputSpec, LabelSet
from edgeseg.errors import DataError, OutputError, UsageError
from edgeseg.image import colorize, content_size, fit, normalise, resize_label_map, write_image
from edgeseg.live.overlay import Overlay
from edgeseg.metrics import boundary_f, class_iou, confusion_matrix
from edgeseg.postprocess import Argmax, binary_label_map, label_map, probabilities
from edgeseg.refine.temporal import TemporalSmoother
from edgeseg.runtime.segmenter import Segmenter

RED, BLUE = painted(np.full((32, 48), 1)), painted(np.full((32, 48), 3))
SPEC = InputSpec(height=32, width=48)
LABELS = LabelSet.from_names(("a", "b"))

NO_IMAGES = {
    "grey": cv2.cvtColor(BLUE, cv2.COLOR_BGR2GRAY),
    "grey, one channel": cv2.cvtColor(BLUE, cv2.COLOR_BGR2GRAY)[:, :, None],
    "four channels": cv2.cvtColor(BLUE, cv2.COLOR_BGR2BGRA),
    "float": BLUE.astype(np.float32) / 255,
    "16 bits": BLUE.astype(np.uint16) * 257,
    "int8": BLUE.view(np.int8),
    "a batch": BLUE[None],
    "empty": BLUE[:0],
    "a list": BLUE.tolist(),
    "nothing": None,
}
NO_LABEL_MAPS = {"int64": np.zeros((4, 6), np.int64), "3 axes": np.zeros((4, 6, 1), np.uint8), "empty": RED[:0, :, 0]}


@pytest.mark.parametrize("frame", NO_IMAGES.values(), ids=NO_IMAGES.keys())
@pytest.mark.parametrize("input_type", [np.uint8, np.int8, np.float32])
def test_a_segmenter_refuses_what_is_no_image_and_does_not_answer_with_the_one_before(frame, input_type):
    segmenter = Segmenter(colour_model(input_type=input_type))
    assert (segmenter.segment(RED) == 1).all()
    for entry in (segmenter.segment, segmenter.prepare, lambda f: segmenter.stage(f, segmenter.staging())):
        with pytest.raises(UsageError, match=r"expected \(height, width, 3\) uint8, blue-green-red") as caught:
            entry(frame)
        assert "\n" not in str(caught.value)
    assert (segmenter.segment(BLUE) == 3).all()


def test_the_message_tells_how_to_make_an_image_of_it():
    with pytest.raises(UsageError, match=r"the frame is uint8 of shape \(32, 48\).*COLOR_GRAY2BGR"):
        Segmenter(colour_model()).segment(NO_IMAGES["grey"])
    with pytest.raises(UsageError, match="COLOR_BGRA2BGR"):
        Segmenter(colour_model()).segment(NO_IMAGES["four channels"])
    with pytest.raises(UsageError, match="values 0-255"):
        Segmenter(colour_model()).segment(NO_IMAGES["float"])


def test_a_image_that_is_a_view_is_read_as_it_looks():
    segmenter = Segmenter(colour_model())
    half = np.hstack([RED[:, :24], BLUE[:, :24]])
    mirrored = segmenter.segment(half[:, ::-1])
    assert (mirrored[:, :24] == 3).all()
    assert (mirrored[:, 24:] == 1).all()


@pytest.mark.parametrize(
    "tensor",
    [
        np.empty((32, 48, 3), np.float32),
        np.empty((48, 32, 3), np.uint8),
        np.empty((32, 96, 3), np.uint8)[:, ::2],
    ],
    ids=["type", "shape", "not contiguous"],
)
def test_a_tensor_that_is_not_like_the_input_is_refused(tensor):
    segmenter = Segmenter(colour_model())
    with pytest.raises(UsageError, match=r"expected uint8 of shape \(32, 48, 3\), as staging"):
        segmenter.stage(RED, tensor)
    with pytest.raises(UsageError, match=r"expected uint8 of shape \(32, 48, 3\), as staging"):
        segmenter.load(tensor, (32, 48))


@pytest.mark.parametrize(
    "out", [np.empty((32, 48), np.int32), np.empty((48, 32), np.uint8), np.empty((32, 96), np.uint8)[:, ::2]]
)
@pytest.mark.parametrize("output", ["logits", "labels"])
def test_a_label_map_goes_only_where_it_fits(out, output):
    segmenter = Segmenter(colour_model(output=output))
    segmenter.segment(RED)
    with pytest.raises(UsageError, match=r"expected contiguous uint8 of shape \(32, 48\)"):
        segmenter.label_map(out)


@pytest.mark.parametrize("size", [(0, 48), (32, -1), (32.5, 48)], ids=str)
def test_a_size_that_no_image_has(size):
    segmenter = Segmenter(colour_model())
    for sharp in (False, True):
        with pytest.raises(UsageError, match="expected height and width, whole numbers"):
            segmenter.segment(RED, *size, sharp=sharp)
    with pytest.raises(UsageError, match="expected height and width"):
        content_size(*size, SPEC)


@pytest.mark.parametrize("image", NO_IMAGES.values(), ids=NO_IMAGES.keys())
def test_preprocessing_and_drawing(image):
    for entry in (
        lambda: fit(image, SPEC),
        lambda: Overlay(LABELS).render(image, np.zeros((4, 6), np.uint8)),
        lambda: TemporalSmoother()(image, np.zeros((4, 6), np.uint8)),
    ):
        with pytest.raises(UsageError, match=r"expected \(height, width, 3\) uint8"):
            entry()


@pytest.mark.parametrize("wrong", NO_LABEL_MAPS.values(), ids=NO_LABEL_MAPS.keys())
def test_what_takes_label_maps(wrong):
    for entry in (
        lambda: colorize(wrong, LABELS),
        lambda: resize_label_map(wrong, 8, 12),
        lambda: Overlay(LABELS).render(RED, wrong),
        lambda: TemporalSmoother()(RED, wrong),
    ):
        with pytest.raises(UsageError, match=r"expected \(height, width\) uint8 class ids"):
            entry()


def test_smoothing_forgets_nothing_into_another_array():
    """OpenCV's copyTo would make a new array for ids of another type, and the map held would never change."""
    smooth = TemporalSmoother(patience=1)
    smooth(RED, np.zeros((4, 6), np.uint8))
    with pytest.raises(UsageError, match="int16"):
        smooth(RED, np.ones((4, 6), np.int16))


def test_normalising():
    with pytest.raises(UsageError, match=r"out is float64 \(2, 3\): expected float32"):
        normalise(np.zeros((2, 3), np.uint8), SPEC, np.empty((2, 3)))
    with pytest.raises(UsageError, match=r"out is float32 \(5, 2, 3\)"):
        normalise(np.zeros((2, 3), np.uint8), SPEC, np.empty((5, 2, 3), np.float32))


def test_logits():
    argmax = Argmax(4, 6, 3, np.float32)
    for wrong in (np.zeros((4, 6, 3)), np.zeros((4, 6, 2), np.float32), np.zeros((6, 4, 3), np.float32)):
        with pytest.raises(UsageError, match=r"expected float32 of shape \(4, 6, 3\)"):
            argmax(wrong)
    with pytest.raises(UsageError, match="contiguous uint8"):
        argmax(np.zeros((4, 6, 3), np.float32), np.empty((4, 12), np.uint8)[:, ::2])
    with pytest.raises(UsageError, match="1 to 256"):
        label_map(np.zeros((2, 2, 300), np.float32), 4, 4)
    for entry in (lambda x: label_map(x, 4, 4), lambda x: probabilities(x, 4, 4), lambda x: binary_label_map(x, 0.5)):
        for wrong in (np.zeros((4, 6)), np.zeros((4, 6, 0)), np.zeros((4, 6, 1), bool)):
            with pytest.raises(UsageError, match="expected numbers"):
                entry(wrong)
    with pytest.raises(UsageError, match="expected one"):
        binary_label_map(np.zeros((4, 6, 2)), 0.5)


def test_scores():
    ids = np.zeros((4, 6), np.uint8)
    with pytest.raises(UsageError, match="the prediction holds float32"):
        confusion_matrix(ids, ids.astype(np.float32) + 0.9, 2)
    with pytest.raises(UsageError, match=r"expected \(classes, classes\)"):
        class_iou(np.zeros((2, 3), np.int64))
    with pytest.raises(DataError, match="different sizes"):
        boundary_f(ids, np.zeros((4, 7), np.uint8), 1)
    with pytest.raises(UsageError, match="tolerance -1"):
        boundary_f(ids, ids, 1, tolerance=-1)


def test_writing_a_image_does_not_turn_floats_into_bytes(tmp_path):
    with pytest.raises(OutputError, match="no image is float32"):
        write_image(tmp_path / "image.png", np.full((4, 6, 3), 0.5, np.float32))


def test_filled_tells_a_result_that_opencv_put_elsewhere():
    out = np.zeros((2, 3, 3), np.uint8)
    assert filled(out, cv2.resize(RED, (3, 2), dst=out)) is out
    assert (out == RED[0, 0]).all()
    with pytest.raises(UsageError, match="was to go into"):
        filled(out, cv2.resize(RED[:, :, 0], (3, 2), dst=out))
