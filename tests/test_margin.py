"""Networks without padding say nothing of their margin: it mirrors the image, and labels are cut to the rest."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from painting import TINY_LABELS, make_photo, make_photo_labels

from edgeseg.card import InputSpec, ModelCard, Recipe
from edgeseg.errors import UsageError
from edgeseg.image import content_size, fit

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

MARGIN = 6


def test_the_image_lies_between_the_margins_and_is_mirrored_there() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 28, 3), np.uint8)
    spec = InputSpec(height=32, width=40, margin=MARGIN)
    assert spec.inner == content_size(20, 28, spec) == (20, 28)
    out = np.zeros((32, 40, 3), np.uint8)
    assert fit(image, spec, out) is out
    rgb = image[:, :, ::-1]
    np.testing.assert_array_equal(out[MARGIN:-MARGIN, MARGIN:-MARGIN], rgb)
    np.testing.assert_array_equal(out[:MARGIN, MARGIN:-MARGIN], rgb[MARGIN:0:-1])
    np.testing.assert_array_equal(out[MARGIN:-MARGIN, -MARGIN:], rgb[:, -2 : -MARGIN - 2 : -1])


def test_a_margin_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="input margin 16 of 32x40: expected 0 to less than half a side"):
        InputSpec(height=32, width=40, margin=16)


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_label_maps_of_an_unpadded_network_and_its_files_cover_the_whole_image(tiny_keras_model, resize) -> None:
    from edgeseg.conversion.images import divide_arrays
    from edgeseg.conversion.network import convert_network
    from edgeseg.keras_model import load_model
    from edgeseg.keras_segmenter import KerasSegmenter
    from edgeseg.runtime.segmenter import Segmenter

    padded, card = load_model(tiny_keras_model)
    assert card is not None
    height, width = card.input.height + 2 * MARGIN, card.input.width + 2 * MARGIN
    image = keras.Input((height, width, 3))
    unpadded = keras.Model(image, padded(keras.layers.Cropping2D(MARGIN)(image)))
    spec = dataclasses.replace(card.input, height=height, width=width, margin=MARGIN, resize=resize)
    card = dataclasses.replace(card, input=spec, architecture="", backbone="")

    photo, truth = make_photo(96, 150), make_photo_labels(96, 150)
    for segmenter in (
        KerasSegmenter(unpadded, spec, card.labels),
        Segmenter(convert_network(unpadded, card, Recipe(name="float32"), divide_arrays([photo] * 4, "paint")).content),
    ):
        assert segmenter.input.margin == MARGIN
        label_map = segmenter.segment(photo)
        assert label_map.shape == truth.shape
        assert np.mean(label_map == truth) > 0.93


def test_the_unpadded_u_net_learns_the_labels_of_what_it_covers(monkeypatch) -> None:
    from edgeseg.architectures import unet
    from edgeseg.losses import make_loss
    from edgeseg.training.float_training import compiled_network
    from edgeseg.training.options import TrainingOptions

    monkeypatch.setattr(unet, "PAPER_WIDTH", 4)
    card = ModelCard(
        name="u", architecture="unet_unpadded", backbone="own", form="paper", output_stride=16, labels=TINY_LABELS,
        input=InputSpec(height=188, width=204, margin=92), recipe=Recipe(name="float32"),
    )  # fmt: skip
    counts = np.ones(TINY_LABELS.num_classes, np.int64)
    network = compiled_network(card, TrainingOptions(class_weighting=False), counts)
    random = np.random.default_rng(1)
    images = random.uniform(-1, 1, (1, 188, 204, 3)).astype(np.float32)
    labels = random.integers(0, TINY_LABELS.num_classes, (1, 188, 204)).astype(np.int32)
    told = float(network.test_on_batch(images, labels))
    logits = network(images, training=False)
    assert tuple(logits.shape[1:3]) == card.input.inner
    loss = make_loss("ce", num_classes=TINY_LABELS.num_classes)
    assert told == pytest.approx(float(loss(labels[:, 92:-92, 92:-92], logits)), rel=1e-5)
    assert told != pytest.approx(float(loss(labels[:, ::-1, ::-1][:, :4, :20], logits)), rel=1e-5)
