"""Starting weights out of a .tflite file: inference is unchanged, and the statistics are real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

from edgeseg.architectures.backbones.registry import BACKBONES, build_backbone
from edgeseg.architectures.registry import build_network
from edgeseg.card import ModelCard
from edgeseg.conversion.converter import run_converter
from edgeseg.data.dataset import Dataset
from edgeseg.errors import ModelFileError, UsageError
from edgeseg.image import fit, normalise
from edgeseg.keras_model import network_spec
from edgeseg.training.initial_weights import copy_backbone, init_from_keras
from edgeseg.training.tflite_weights import init_from_tflite, matching_backbone
from edgeseg.training.train import weights_of
from edgeseg.zoo import zoo_folder

Meadow = tuple[Dataset, Dataset]


@pytest.fixture(scope="module")
def donor(small_card: ModelCard, meadow: Meadow, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A MobileNetV2 0.2 with statistics of its own, and its float32 file."""
    tf_keras.utils.set_random_seed(3)
    image = tf_keras.Input(batch_shape=(1, 64, 96, 3))
    network = tf_keras.Model(image, build_backbone(tf_keras, image, "mobilenetv2_0.2", 16).last)
    random = np.random.default_rng(3)
    for layer in network.layers:
        if layer.name.endswith("_BN"):
            gamma, _beta, _mean, _variance = layer.get_weights()
            shape = gamma.shape
            layer.set_weights(
                [random.uniform(0.8, 1.2, shape), random.normal(0, 0.1, shape), random.normal(0, 0.1, shape),
                 random.uniform(0.8, 1.2, shape)]
            )  # fmt: skip
    tensors = [fit(i, small_card.input) for i, _ in meadow[0]]
    content = run_converter(network, replace(small_card.recipe, name="float32"), small_card.input, tensors)
    path = tmp_path_factory.mktemp("donor") / "donor.tflite"
    path.write_bytes(content)
    return network, path


def test_the_backbone_computes_what_the_file_computes_and_its_norms_hold_the_data_s_statistics(
    donor: tuple[Any, Path], small_card: ModelCard, meadow: Meadow
) -> None:
    network = build_network(keras, network_spec(small_card), batch_size=1)
    init_from_tflite(network, donor[1], "mobilenetv2_0.2", small_card.input, meadow[0])

    last = keras.Model(network.input, network.get_layer("block_16_project_BN").output)
    seen = normalise(fit(meadow[1].load(0)[0], small_card.input), small_card.input)[None]
    ours, theirs = np.asarray(last(seen)), np.asarray(donor[0](seen))
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()

    stem = keras.Model(network.input, network.get_layer("Conv1").output)
    seen = np.concatenate(
        [np.asarray(stem(normalise(fit(i, small_card.input), small_card.input)[None])) for i, _ in meadow[0]]
    )
    _, _, mean, variance = network.get_layer("Conv1_BN").get_weights()
    np.testing.assert_allclose(mean, seen.mean((0, 1, 2)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(variance, seen.var((0, 1, 2)), rtol=1e-3, atol=1e-4)


def test_the_file_tells_which_backbone_fits_it(donor: tuple[Any, Path]) -> None:
    assert matching_backbone(donor[1]) == "mobilenetv2_0.2"


def test_any_backbone_and_deeplab_s_pyramid_are_taken_over(
    small_card: ModelCard, meadow: Meadow, tmp_path: Path
) -> None:
    """The file holds a backbone that is no MobileNetV2, and a DeepLab's pyramid that concatenates and projects."""
    tf_keras.utils.set_random_seed(5)
    spec = replace(network_spec(small_card), architecture="panoptic_deeplab", backbone="mobilenetedgetpu_0.25")
    image = tf_keras.Input(batch_shape=(1, *spec.size, 3))
    features = build_backbone(tf_keras, image, spec.backbone, spec.output_stride).last
    branch = tf_keras.layers.Conv2D(128, 1, activation="relu", bias_initializer="random_normal")(features)
    pooled = tf_keras.layers.GlobalAveragePooling2D(keepdims=True)(features)
    pooled = tf_keras.layers.Conv2D(128, 1, activation="relu", bias_initializer="random_normal")(pooled)
    pooled = tf_keras.layers.Resizing(*branch.shape[1:3])(pooled)
    joined = tf_keras.layers.Concatenate()([pooled, branch])
    outputs = tf_keras.layers.Conv2D(128, 1, activation="relu", bias_initializer="random_normal")(joined)
    theirs = tf_keras.Model(image, outputs)
    tensors = [fit(i, small_card.input) for i, _ in meadow[0]]
    path = tmp_path / "donor.tflite"
    path.write_bytes(run_converter(theirs, replace(small_card.recipe, name="float32"), small_card.input, tensors))
    assert matching_backbone(path) == "mobilenetedgetpu_0.25"

    network = build_network(keras, spec, batch_size=1)
    taken = init_from_tflite(network, path, spec.backbone, small_card.input, meadow[0])
    assert taken == sum("Conv2D" in type(layer).__name__ for layer in theirs.layers) + 1  # the projection in two parts
    seen = normalise(fit(meadow[1].load(0)[0], small_card.input), small_card.input)[None]
    pyramid = keras.Model(network.input, network.get_layer("aspp_relu").output)
    ours, wanted = np.asarray(pyramid(seen)), np.asarray(theirs(seen))
    assert np.abs(ours - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_another_width_is_refused_with_the_right_one(
    donor: tuple[Any, Path], small_card: ModelCard, meadow: Meadow
) -> None:
    network = build_network(keras, replace(network_spec(small_card), backbone="mobilenetv2_0.5"), batch_size=1)
    with pytest.raises(UsageError, match=r"--backbone mobilenetv2_0\.2"):
        init_from_tflite(network, donor[1], "mobilenetv2_0.5", small_card.input, meadow[0])


def test_a_file_without_a_known_backbone_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ModelFileError, match=r"does not begin with a backbone of edgeseg: .*mobilenetedgetpu"):
        matching_backbone(tiny_model)


@pytest.mark.parametrize(
    ("name", "backbone"),
    [
        ("deeplabv3_mnv2_dm05_pascal_quant.tflite", "mobilenetv2_0.5_exact"),
        ("mobilenet_v2_1.0_224_quant.tflite", "mobilenetv2_1"),
        ("deeplab_mobilenet_edgetpu_slim_cityscapes_quant.tflite", "mobilenetedgetpu_0.75"),
    ],
)
def test_public_networks_are_recognised(name: str, backbone: str, test_data: Path) -> None:
    assert matching_backbone(test_data / "backbones" / name) == backbone


@pytest.mark.parametrize(
    ("theirs", "backbone", "last"),
    [
        ({"application": "MobileNetV2", "alpha": 0.35}, "mobilenetv2_0.35", "block_16_project_BN"),
        (
            {"application": "MobileNetV3Large", "alpha": 0.75},
            "mobilenetv3_0.75",
            "expanded_conv_14_add",
        ),
        (
            {"application": "MobileNetV3Large", "minimalistic": True},
            "mobilenetv3min_1",
            "expanded_conv_14_add",
        ),
    ],
    ids=["mobilenetv2", "mobilenetv3", "mobilenetv3min"],
)
def test_keras_applications_weights_fit_by_layer_name(
    theirs: dict[str, Any], backbone: str, last: str, small_card: ModelCard
) -> None:
    """Random weights stand in for the download; the layers, the copying and the normalisation are the real ones."""
    kind = getattr(keras.applications, theirs.pop("application"))
    source = kind(input_shape=(224, 224, 3), include_top=False, weights=None, **theirs)
    spec = replace(network_spec(small_card), backbone=backbone, height=224, width=224, output_stride=32)
    network = build_network(keras, spec, batch_size=1)
    pretrained = BACKBONES[backbone.split("_")[0]].pretrained
    assert pretrained is not None
    assert float(backbone.split("_")[1]) in pretrained.widths
    copy_backbone(source, network, pretrained.renamed)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    normalises = any(type(layer).__name__ == "Rescaling" and layer.offset == -1 for layer in source.layers)
    output = source.get_layer(last).output
    expected = keras.Model(source.input, output)(127.5 * (image + 1) if normalises else image)
    got = keras.Model(network.input, network.get_layer(last).output)(image)
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "whole", "shared", "own"),
    [
        ({}, True, "logits", None),
        ({"num_classes": 7}, False, "decoder_conv2_pointwise", "logits"),
        ({"architecture": "pspnet"}, False, "block_16_project", "head_conv_pointwise"),
    ],
    ids=["the same network", "other classes", "another architecture"],
)
def test_another_network_gives_the_layers_that_fit(
    small_card: ModelCard, changes: dict[str, Any], whole: bool, shared: str, own: str | None
) -> None:
    spec = network_spec(small_card)
    keras.utils.set_random_seed(1)
    donor = build_network(keras, spec)
    network = build_network(keras, replace(spec, **changes))
    before = own and network.get_layer(own).get_weights()[0]
    count, total = init_from_keras(network, donor)
    assert (count == total) == whole
    np.testing.assert_array_equal(network.get_layer(shared).get_weights()[0], donor.get_layer(shared).get_weights()[0])
    if own:
        np.testing.assert_array_equal(network.get_layer(own).get_weights()[0], before)


def test_another_network_that_has_nothing_in_common(small_card: ModelCard) -> None:
    spec = network_spec(small_card)
    network = build_network(keras, replace(spec, architecture="unet", form="paper", backbone="own"))
    with pytest.raises(UsageError, match="no layer of deeplabv3plus has the name and the shape of one of unet"):
        init_from_keras(network, build_network(keras, spec))


def test_a_zoo_name_or_a_folder_stands_for_its_float_network(tmp_path: Path) -> None:
    assert weights_of("aerial") == zoo_folder() / "aerial" / "model.keras"
    assert weights_of(zoo_folder() / "camvid") == zoo_folder() / "camvid" / "model.keras"
    assert weights_of("imagenet") == "imagenet"
    assert weights_of(tmp_path / "a.tflite") == tmp_path / "a.tflite"
    with pytest.raises(UsageError, match=r"unknown model 'arial'.*did you mean aerial"):
        weights_of("arial")
