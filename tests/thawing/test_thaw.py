"""Any .tflite file becomes a Keras network again, computes what the file computes, loads again, and trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from commands import run_cli

import edgeseg
from edgeseg.architectures.registry import build_network
from edgeseg.card import ModelCard
from edgeseg.card_file import attach, read_model
from edgeseg.conversion.converter import run_converter
from edgeseg.data.dataset import Dataset
from edgeseg.errors import ConversionError, ModelFileError, UsageError
from edgeseg.image import fit, read_image
from edgeseg.keras_model import load_model, network_spec, save_model
from edgeseg.runtime.protocol import OpenOptions
from edgeseg.runtime.registry import open_network
from edgeseg.tflite.graph import read_graph
from edgeseg.thawed_layers import Resize, Rounded
from edgeseg.thawing.agreement import agreement, inputs_from, noise
from edgeseg.thawing.thaw import Thawed, set_statistics, thaw

Meadow = tuple[Dataset, Dataset]

KERNEL = np.random.default_rng(0).normal(0, 0.3, (3, 3, 8, 8)).astype(np.float32)
SLOPES = np.random.default_rng(1).uniform(0, 1, (1, 1, 8)).astype(np.float32)

# What each output of one file is, of an input (1, 12, 10, 8).
OPERATORS: dict[str, Any] = {
    "convolution, stride 2": lambda x: tf.nn.relu6(tf.nn.conv2d(x, KERNEL, 2, "SAME")),
    "convolution, valid": lambda x: tf.nn.conv2d(x, KERNEL, 1, "VALID") + SLOPES[0, 0],
    "convolution, dilated": lambda x: tf.nn.conv2d(x, KERNEL, 1, "SAME", dilations=2),
    "depthwise, dilated": lambda x: tf.nn.depthwise_conv2d(x, KERNEL[..., :1], [1, 1, 1, 1], "SAME", dilations=[3, 3]),
    "depthwise, stride 2, two for each": lambda x: tf.nn.depthwise_conv2d(x, KERNEL[..., :2], [1, 2, 2, 1], "SAME"),
    "grouped": lambda x: tf.nn.conv2d(x, KERNEL[:, :, :4], 1, "SAME"),
    "transposed": lambda x: tf.nn.conv2d_transpose(x, KERNEL, (1, 24, 20, 8), 2, "SAME"),
    "transposed, odd": lambda x: tf.nn.conv2d_transpose(x, KERNEL, (1, 23, 19, 8), 2, "SAME"),
    "transposed, valid": lambda x: tf.nn.conv2d_transpose(x, KERNEL, (1, 25, 21, 8), 2, "VALID"),
    "fully connected": lambda x: tf.nn.relu(tf.reshape(x, (1, 960)) @ np.tile(KERNEL[0, 0], (120, 1))),
    "arithmetic": lambda x: tf.maximum(x * x - x, x[:, :1]) / (tf.abs(x) + 2),
    "arithmetic with constants": lambda x: 1 - tf.minimum(2 * x + SLOPES, 0.5),
    "functions": lambda x: tf.exp(-x) + tf.sqrt(tf.square(x)) + tf.math.rsqrt(tf.abs(x) + 1) + tf.floor(x),
    "activations": lambda x: tf.tanh(x) + tf.sigmoid(x) + tf.nn.leaky_relu(x, 0.1) + tf.nn.elu(x) + tf.nn.gelu(x),
    "hard swish": lambda x: x * tf.nn.relu6(x + 3) * (1 / 6),
    "prelu": lambda x: tf.nn.relu(x) + -SLOPES * tf.nn.relu(-x),
    "softmax": lambda x: tf.nn.softmax(x),
    "length 1": lambda x: tf.nn.l2_normalize(x, -1),
    "pools": lambda x: tf.concat([tf.nn.max_pool2d(x, 3, 2, "SAME"), tf.nn.avg_pool2d(x, 3, 2, "SAME")], -1),
    "means": lambda x: tf.reduce_mean(x, (1, 2)) + tf.reduce_max(x, (1, 2)) + tf.reduce_sum(x, (1, 2)),
    "means kept": lambda x: tf.reduce_mean(x, (1, 2), keepdims=True),
    "bilinear, half pixel": lambda x: tf.image.resize(x, (24, 20)),
    "bilinear, half pixel, odd": lambda x: tf.image.resize(x, (17, 23)),
    "bilinear, corners": lambda x: tf.compat.v1.image.resize_bilinear(x, (23, 19), align_corners=True),
    "bilinear, old": lambda x: tf.compat.v1.image.resize_bilinear(x, (23, 19)),
    "nearest": lambda x: tf.image.resize(x, (24, 20), "nearest"),
    "nearest, corners": lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, (23, 19), align_corners=True),
    "shapes": lambda x: tf.transpose(tf.squeeze(tf.expand_dims(tf.reshape(x, (1, 120, 8)), 1), 1), (0, 2, 1)),
    "slices": lambda x: tf.concat([x[:, 1:11:2, 3, 2:], x[:, :5, -1, :6]], 1),
    "splits": lambda x: tf.stack([tf.split(x, 4, -1)[1], tf.split(x, [2, 5, 1], -1)[1][..., :2]], 1),
    "unstacked": lambda x: tf.unstack(x, axis=3)[2],
    "padded": lambda x: tf.pad(x, ((0, 0), (1, 2), (0, 3), (0, 1)), constant_values=0.5),
    "padded with zeros": lambda x: tf.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0))),
    "mirrored": lambda x: tf.pad(x, ((0, 0), (1, 2), (3, 1), (0, 0)), "REFLECT"),
    "tiled": lambda x: tf.tile(x[:, :1, :1], (1, 4, 5, 1)),
    "to depth": lambda x: tf.nn.space_to_depth(x, 2),
    "to space": lambda x: tf.nn.depth_to_space(x, 2),
    "largest": lambda x: tf.argmax(x, -1, output_type=tf.int32),
}  # fmt: skip


@pytest.fixture(scope="module")
def battery(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Thawed]:
    """One float32 file with all of `OPERATORS`, and what becomes of it."""

    @tf.function(input_signature=[tf.TensorSpec((1, 12, 10, 8))])
    def everything(x: Any) -> Any:
        return [operator(x) for operator in OPERATORS.values()]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([everything.get_concrete_function()], everything)
    path = tmp_path_factory.mktemp("battery") / "battery.tflite"
    path.write_bytes(converter.convert())
    return path, thaw(path)


def test_every_operator_computes_what_the_file_computes(battery: tuple[Path, Thawed]) -> None:
    path, thawed = battery
    assert thawed.left_out == ()
    interpreter = open_network(path.read_bytes())
    (taken,) = interpreter.inputs
    x = np.random.default_rng(2).normal(0, 1, taken.shape).astype(np.float32)
    interpreter.view(taken)[:] = x
    interpreter.invoke()
    ours = dict(zip(thawed.outputs, thawed.model(x), strict=True))
    assert len(interpreter.outputs) == len(OPERATORS)
    for output in interpreter.outputs:
        theirs = interpreter.view(output).copy()
        np.testing.assert_allclose(np.asarray(ours[output.index]), theirs, rtol=1e-4, atol=1e-4)


def test_the_network_loads_from_its_file(battery: tuple[Path, Thawed], tmp_path: Path) -> None:
    _, thawed = battery
    save_model(tmp_path / "thawed.keras", thawed.model, None)
    again, card = load_model(tmp_path / "thawed.keras")
    assert card is None
    x = np.random.default_rng(3).normal(0, 1, (1, 12, 10, 8)).astype(np.float32)
    for ours, theirs in zip(again(x), thawed.model(x), strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize("mode", [(False, False), (True, False), (False, True)], ids=["old", "corners", "half pixel"])
def test_resizing_without_tensorflow_s_operators_is_the_same(method: str, mode: tuple[bool, bool]) -> None:
    x = np.random.default_rng(4).normal(0, 1, (1, 7, 5, 2)).astype(np.float32)
    for size in ((14, 10), (13, 9), (4, 3), (1, 1)):
        layer = Resize(size, method, *mode)
        np.testing.assert_allclose(np.asarray(layer.by_matrices(x)), np.asarray(layer(x)), atol=1e-5)


def test_rounding_lets_gradients_pass_inside_the_range() -> None:
    layer = Rounded(0.5, 3, 0, 7)
    x = tf.constant([-9.0, -1.4, 0.1, 1.3, 9.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    assert np.asarray(y).tolist() == [-1.5, -1.5, 0.0, 1.5, 2.0]
    assert np.asarray(tape.gradient(y, x)).tolist() == [0, 1, 1, 1, 0]


# === Quantized files ===


@pytest.fixture(scope="module")
def network(pyramid_card: ModelCard) -> Any:
    tf_keras.utils.set_random_seed(6)
    return build_network(tf_keras, network_spec(pyramid_card), batch_size=1)


@pytest.fixture(scope="module")
def files(
    network: Any, pyramid_card: ModelCard, meadow: Meadow, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The same network as a file of each recipe."""
    tensors = [fit(image, pyramid_card.input) for image, _ in meadow[0]]
    found = {}
    for name in ("float32", "float16", "int8_weights", "int8_ptq"):
        recipe = replace(pyramid_card.recipe, name=name)
        found[name] = tmp_path_factory.mktemp(name) / f"{name}.tflite"
        content = run_converter(network, recipe, pyramid_card.input, tensors)
        found[name].write_bytes(attach(content, replace(pyramid_card, recipe=recipe)))
    return found


@pytest.mark.parametrize("recipe", ["float32", "float16", "int8_weights", "int8_ptq"])
def test_files_of_every_recipe(recipe: str, files: dict[str, Path], meadow: Meadow) -> None:
    thawed = edgeseg.thaw(files[recipe])
    assert thawed.left_out == ()
    assert thawed.rounding == (recipe == "int8_ptq")
    images = [image for image, _ in meadow[1]]
    found = agreement(thawed.model, thawed.outputs, files[recipe], inputs_from(files[recipe], images))
    assert found is not None
    assert found.share >= 0.99
    assert found.compared == len(images)


def test_another_size_other_classes_and_normalisations_that_train(files: dict[str, Path], meadow: Meadow) -> None:
    images = [image for image, _ in meadow[0]]
    plain = thaw(files["int8_ptq"], size=(96, 128), rounding=False)
    normed = thaw(files["int8_ptq"], size=(96, 128), batch_norm=True)
    set_statistics(normed, images)
    x = np.random.default_rng(7).normal(0, 0.5, (1, 96, 128, 3)).astype(np.float32)
    before, after = np.asarray(plain.model(x)), np.asarray(normed.model(x))
    assert before.shape[1:3] == (24, 32)
    assert np.abs(before - after).max() < 1e-3 * np.abs(before).max()
    norms = [layer for layer in normed.model.layers if layer.name.endswith("_BN")]
    assert len(norms) == len(normed.biases) == 20
    assert all(np.any(norm.get_weights()[2]) for norm in norms)

    other = thaw(files["int8_ptq"], num_classes=7, batch_norm=True)
    assert not other.rounding
    assert other.model.output_shape[-1] == 7
    other.model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    height, width = other.model.output_shape[1:3]
    batch = np.zeros((2, *other.model.input_shape[1:]), np.float32)
    losses = [other.model.train_on_batch(batch, np.full((2, height, width), 3)) for _ in range(5)]
    assert losses[-1] < losses[0]


def test_the_card_comes_along(files: dict[str, Path], pyramid_card: ModelCard, tmp_path: Path) -> None:
    out = tmp_path / "thawed.keras"
    result = run_cli("thaw", files["int8_ptq"], "-o", out, "--images", "2", "--json")
    told = result.json
    assert told["agreement"] > 0.99
    assert told["file"] == str(out)
    assert told["left_out"] == []
    assert "agrees with the file" in result.stderr
    card = read_model(out)[1]
    assert card is not None
    assert card.architecture == ""
    assert card.labels == pyramid_card.labels
    assert card.recipe.name == "float32"


# === What cannot be ===


def test_what_cannot_be_rebuilt_at_the_end_is_named_and_in_the_middle_refused(tmp_path: Path) -> None:
    def convert(function: Any) -> Path:
        wrapped = tf.function(function, input_signature=[tf.TensorSpec((1, 12, 10, 8))])
        converter = tf.lite.TFLiteConverter.from_concrete_functions([wrapped.get_concrete_function()], wrapped)
        path = tmp_path / "file.tflite"
        path.write_bytes(converter.convert())
        return path

    ended = thaw(convert(lambda x: tf.cumsum(tf.nn.conv2d(x, KERNEL, 1, "SAME"), 1)))
    assert [line.split()[0] for line in ended.left_out] == ["CUMSUM"]
    assert ended.model.output_shape == (None, 12, 10, 8)
    with pytest.raises(ConversionError, match=r"CUMSUM \(operator 0\): no layer computes it; and CONV_2D .* needs"):
        thaw(convert(lambda x: tf.nn.conv2d(tf.cumsum(x, 1), KERNEL, 1, "SAME")))
    with pytest.raises(ConversionError, match="nothing that could be rebuilt: CUMSUM"):
        thaw(convert(lambda x: tf.cumsum(x, 1)))


def test_a_network_that_is_to_train_ends_before_its_labels(tmp_path: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec((1, 12, 10, 8))])
    def labels(x: Any) -> Any:
        return tf.argmax(tf.nn.conv2d(x, KERNEL, 1, "SAME"), -1, output_type=tf.int32)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([labels.get_concrete_function()], labels)
    path = tmp_path / "labels.tflite"
    path.write_bytes(converter.convert())
    assert thaw(path).model.output_shape == (None, 12, 10)
    for wanted, channels in (({"logits": True}, 8), ({"num_classes": 3}, 3)):
        thawed = thaw(path, **wanted)
        assert thawed.model.output_shape == (None, 12, 10, channels)
        assert thawed.left_out == ("ARG_MAX (operator 1): logits were asked for",)


def test_bad_wishes(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected at least 2 classes"):
        thaw(files["float32"], num_classes=1)
    with pytest.raises(UsageError, match="expected two positive numbers"):
        thaw(files["float32"], size=(0, 64))
    (tmp_path / "no.tflite").write_bytes(b"no model at all")
    with pytest.raises(ModelFileError, match=r"not a \.tflite file"):
        thaw(tmp_path / "no.tflite")
    refused = run_cli("thaw", files["float32"], "-o", tmp_path / "x.keras", "--batch-norm")
    assert "--data" in refused.error
    assert not (tmp_path / "x.keras").exists()


# === Public files ===

NAMES = [
    *("bodypix_mobilenet_v1_075_1280_720_16_per_tensor", "bodypix_mobilenet_v1_075_640_480_16_quant", "bright_64x64"),
    *("color_blue_64x64", "deeplabv3_mnv2_dm05_pascal_quant__", "dense_512", "gabor_64x64", "looming_128x128"),
    *("mobilenet_edgetpu_0.75", "mobilenet_v1_0.25_128", "mobilenet_v1_0.5_160", "model_mobilenet_v2_wo_fc_512"),
    *("model_padding_256", "model_padding_stride", "model_retina_net", "model_stride_512"),
    *("posenet_mobilenet_v1_075_353", "posenet_mobilenet_v1_075_481", "posenet_mobilenet_v1_075_721", "split_concat"),
    *("deeplab_mobilenet_edgetpu_slim", "deeplabv3_dm05_pascal_float32", "deeplabv3_mnv2_dm05_pascal_quant.tflite"),
    *("deeplabv3_mnv2_pascal_quant", "mobilenet_v2_1.0_224_quant", "tf2_mobilenet_v2_1.0_224_ptq"),
]  # fmt: skip


def public_file(test_data: Path, name: str) -> Path:
    (path,) = [p for folder in ("edgetpu", "backbones") for p in (test_data / folder).glob(f"{name}*")]
    return path


@pytest.mark.parametrize("name", NAMES)
def test_public_files_are_rebuilt(name: str, test_data: Path) -> None:
    path = public_file(test_data, name)
    thawed = thaw(path)
    decoder = [op for op in read_graph(path).main.operators if op.is_custom]  # PosenetDecoderOp, which no runtime has
    assert [line.split()[0] for line in thawed.left_out] == [op.op for op in decoder]
    if decoder:
        with pytest.raises(ModelFileError, match="needs operators that this runtime lacks"):
            next(noise(path, 1))
    elif all(np.prod(i.shape) <= 128 * 128 * 3 for i in thawed.inputs):
        found = agreement(thawed.model, thawed.outputs, path, noise(path, 2))
        assert found is not None
        assert found.share >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if "posenet" not in name and "bodypix" not in name])
def test_public_files_agree_on_noise_and_on_images(name: str, test_data: Path) -> None:
    """To 99 %, or as well as the runtime's own two sets of kernels agree: some files' rounding is chaotic."""
    path = public_file(test_data, name)
    thawed = thaw(path)
    inputs = list(noise(path, 100))
    images = [read_image(p) for p in sorted((test_data / "camvid" / "val").iterdir())[:100]]
    kinds = [inputs]
    if len(inputs[0]) == 1 and inputs[0][0].ndim == 4 and inputs[0][0].shape[3] in (1, 3):
        kinds.append(list(inputs_from(path, images)))
    for kind in kinds:
        found = agreement(thawed.model, thawed.outputs, path, kind)
        assert found is not None
        assert found.share >= min(0.99, agreement_of_kernels(path, kind))


def agreement_of_kernels(path: Path, inputs: list[list[np.ndarray]]) -> float:
    """Returns at how many places of the first output the runtime with and without XNNPACK agrees."""
    pair = [open_network(path.read_bytes(), OpenOptions(delegate=name)) for name in ("xnnpack", "none")]
    same = []
    for tensors in inputs:
        outputs = []
        for interpreter in pair:
            for info, tensor in zip(interpreter.inputs, tensors, strict=True):
                interpreter.view(info)[...] = tensor
            interpreter.invoke()
            output = interpreter.view(interpreter.outputs[0]).copy()
            outputs.append(output.argmax(-1) if output.dtype != np.int64 else output)
        same.append(np.mean(outputs[0] == outputs[1]))
    return float(np.mean(same))
