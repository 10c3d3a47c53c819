"""`--refine crf`: from a file's quantized logits to refined label maps, and what it cost."""

import cv2
import numpy as np
import pytest

from edgeseg.errors import UsageError
from edgeseg.postprocess import label_map, probabilities
from edgeseg.refine.crf import refine
from edgeseg.refine.refiners import open_refiner


def test_probabilities_are_the_softmax_of_upsampled_logits():
    logits = np.random.default_rng(0).normal(0, 4, (5, 7, 3))
    got = probabilities(logits, 20, 28)
    planes = np.stack([cv2.resize(logits[:, :, c], (28, 20), interpolation=cv2.INTER_LINEAR) for c in range(3)], -1)
    raised = np.exp(planes)
    np.testing.assert_allclose(got, raised / raised.sum(-1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(got.argmax(-1), label_map(logits, 20, 28))


def test_the_refiner_is_the_crf_timed():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (24, 32, 3), np.uint8)
    sure = probabilities(rng.normal(0, 2, (6, 8, 4)), 24, 32)
    seconds = []
    refiner = open_refiner("crf", seconds)
    np.testing.assert_array_equal(refiner(sure, image), refine(sure, image).argmax(-1))
    assert len(seconds) == 1
    assert seconds[0] > 0


def test_a_image_of_another_size_is_resized():
    image = np.zeros((48, 64, 3), np.uint8)
    labels = open_refiner("crf", [])(np.full((24, 32, 2), 0.5, np.float32), image)
    assert labels.shape == (24, 32)


def test_names():
    assert open_refiner(None, []) is None
    with pytest.raises(UsageError, match="unknown refinement 'crv': did you mean crf"):
        open_refiner("crv", [])
