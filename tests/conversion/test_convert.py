"""From Keras to .tflite: every recipe runs, agrees with its network, and says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.architectures.registry import build_network
from edgeseg.card import ModelCard, Recipe
from edgeseg.card_file import detach
from edgeseg.data.dataset import Dataset
from edgeseg.errors import ConversionError, DataError, UsageError
from edgeseg.keras_model import network_spec
from edgeseg.keras_segmenter import KerasSegmenter
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.tflite.cost import float_operators
from edgeseg.tflite.graph import parse_graph

Meadow = tuple[Dataset, Dataset]


@pytest.fixture(scope="module")
def trained(meadow: Meadow, pyramid_card: ModelCard, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ModelCard]:
    """A network that knows `meadow`, and its card."""
    from edgeseg.keras_model import load_model
    from edgeseg.training.augmentation import Augmentation
    from edgeseg.training.float_training import train_float
    from edgeseg.training.options import TrainingOptions

    folder = tmp_path_factory.mktemp("trained")
    options = TrainingOptions(
        epochs=24, batch_size=4, learning_rate=4e-3, warmup_steps=2, val_every=24,
        augmentation=Augmentation(scale=(0.9, 1.2)),
    )  # fmt: skip
    train_float(pyramid_card, *meadow, folder, options)
    network, card = load_model(folder / "model.keras")
    assert card is not None
    assert card.scores[0].miou > 0.8  # one that gives every pixel the same class would agree with anything
    return network, card


@pytest.fixture(scope="module")
def int8_file(trained: tuple[Any, ModelCard], meadow: Meadow) -> tuple[bytes, ModelCard]:
    """The int8 file of that network."""
    return convert_it(trained, meadow[0], name="int8_ptq")


def convert_it(trained: tuple[Any, ModelCard], images: Any, **recipe: str) -> tuple[bytes, ModelCard]:
    return converted(*trained, Recipe(**recipe), [image for image, _ in images])


def converted(network: Any, card: ModelCard, recipe: Recipe, images: Any, spec: Any = None) -> tuple[bytes, ModelCard]:
    from edgeseg.conversion.images import divide_arrays
    from edgeseg.conversion.network import convert_network

    done = convert_network(network, card, recipe, divide_arrays(images, "meadow"), spec=spec)
    return done.content, done.card


@pytest.mark.parametrize(
    ("recipe", "agreement"), [("float32", 0.9999), ("float16", 0.995), ("int8_weights", 0.98), ("int8_ptq", 0.95)]
)
def test_every_recipe_agrees_with_the_network_it_came_from(
    recipe: str,
    agreement: float,
    trained: tuple[Any, ModelCard],
    int8_file: tuple[bytes, ModelCard],
    meadow: Meadow,
) -> None:
    content, card = int8_file if recipe == "int8_ptq" else convert_it(trained, meadow[0], name=recipe)

    assert detach(content) == card
    assert card.recipe.name == recipe
    reference, segmenter = KerasSegmenter(trained[0], card.input), Segmenter(content)
    same = [np.mean(segmenter.segment(i, 64, 96, sharp=True) == reference.segment(i, 64, 96)) for i, _ in meadow[1]]
    assert np.mean(same) >= agreement
    assert card.agreement == pytest.approx(np.mean(same), abs=0.02)
    assert (card.calibration is not None) == (recipe == "int8_ptq")


def test_an_int8_file_takes_camera_pixels_as_they_are_and_has_no_float_operator(
    int8_file: tuple[bytes, ModelCard],
) -> None:
    graph = parse_graph(int8_file[0])

    pixels = graph.main.tensors[graph.main.inputs[0]]
    assert pixels.dtype == "uint8"
    assert pixels.quantization is not None
    assert pixels.quantization.scales == pytest.approx((1 / 128,))
    assert pixels.quantization.zero_points == (128,)
    assert float_operators(graph) == []


def test_a_file_can_be_called_by_the_names_of_its_input_and_output(int8_file: tuple[bytes, ModelCard]) -> None:
    from ai_edge_litert.interpreter import Interpreter

    signatures = Interpreter(model_content=int8_file[0]).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}


def test_labels_can_come_out_instead_of_logits(
    trained: tuple[Any, ModelCard], int8_file: tuple[bytes, ModelCard], meadow: Meadow
) -> None:
    logits, _ = int8_file
    labels, card = convert_it(trained, meadow[0], name="int8_ptq", output="labels")

    assert card.recipe.output == "labels"
    image = meadow[1].load(0)[0]
    np.testing.assert_array_equal(Segmenter(labels).coarse_label_map(image), Segmenter(logits).coarse_label_map(image))


def test_a_float_operator_left_in_an_int8_file_is_refused_by_name(small_card: ModelCard, meadow: Meadow) -> None:
    import keras

    image = keras.Input((64, 96, 3))
    wavy = keras.layers.Lambda(lambda x: keras.ops.sin(x))(keras.layers.Conv2D(3, 3)(image))
    foreign = ModelCard(**{**vars(small_card), "architecture": "", "backbone": ""})
    with pytest.raises(ConversionError, match=r"SIN \(operator \d+\).* stayed float"):
        converted(keras.Model(image, wavy), foreign, Recipe(name="int8_ptq"), [meadow[0].load(0)[0]])


@pytest.mark.parametrize("asked", [False, True])
def test_an_operation_that_tflite_lacks_is_refused_by_name(asked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the converter's log is not taken in."""
    import keras

    from edgeseg.card import InputSpec
    from edgeseg.conversion.converter import run_converter

    monkeypatch.setattr("edgeseg.runtime.quiet._asked", asked)
    image = keras.Input((8, 8, 3), batch_size=1)
    network = keras.Model(image, keras.layers.Lambda(lambda x: keras.ops.qr(x)[0])(image), name="odd")
    with pytest.raises(ConversionError, match=r"converter failed on odd: TFLite has no operator for Qr$"):
        run_converter(network, Recipe(name="float32"), InputSpec(height=8, width=8), [])


def test_a_network_made_elsewhere_is_converted_as_it_stands(small_card: ModelCard, meadow: Meadow) -> None:
    import keras

    layers = [keras.Input((64, 96, 3)), keras.layers.Conv2D(8, 3, strides=4, padding="same", activation="relu")]
    network = keras.Sequential([*layers, keras.layers.Conv2D(3, 1)])
    foreign = ModelCard(**{**vars(small_card), "architecture": "", "backbone": "", "name": "theirs_64x96"})
    images = [image for image, _ in meadow[0]]
    content, card = converted(network, foreign, Recipe(name="int8_ptq"), images)
    assert card.agreement is not None
    assert card.agreement > 0.9
    assert Segmenter(content).output_size == (16, 24)


@pytest.mark.parametrize("fused", [False, True])
def test_for_the_edge_tpu_softmax_and_the_last_upsampling_stay_on_the_host(
    fused: bool, small_card: ModelCard, meadow: Meadow
) -> None:
    import keras

    from edgeseg.tflite.edgetpu.predict import predict

    image = keras.Input((64, 96, 3))
    x = keras.layers.Conv2D(8, 3, strides=4, padding="same", activation="relu")(image)
    if fused:
        x = keras.layers.Conv2D(3, 1, activation="softmax")(x)
        x = keras.layers.UpSampling2D(4, interpolation="bilinear")(x)
    else:
        x = keras.layers.UpSampling2D(4, interpolation="bilinear")(keras.layers.Conv2D(3, 1)(x))
        x = keras.layers.Softmax()(x)
    network = keras.Model(image, x)
    foreign = ModelCard(**{**vars(small_card), "architecture": "", "backbone": "", "name": "theirs_64x96"})
    images = [image for image, _ in meadow[0]]
    recipe = Recipe(name="int8_ptq", target="edgetpu")
    content, card = converted(network, foreign, recipe, images)

    graph = parse_graph(content)
    assert "SOFTMAX" not in {op.op for op in graph.main.operators}
    assert all(verdict.mapped for verdict in predict(graph).verdicts)
    assert card.recipe.target == "edgetpu"
    segmenter, reference = Segmenter(content), KerasSegmenter(network, foreign.input)
    assert segmenter.output_size == (16, 24)
    taken = meadow[1].load(0)[0]
    assert np.mean(segmenter.segment(taken, 64, 96, sharp=True) == reference.segment(taken, 64, 96)) > 0.95


def test_no_calibration_image_is_an_error(trained: tuple[Any, ModelCard]) -> None:
    with pytest.raises(DataError, match="no images"):
        convert_it(trained, [], name="int8_ptq")


def test_another_input_size_needs_no_new_training(trained: tuple[Any, ModelCard], meadow: Meadow) -> None:
    from edgeseg.card import InputSpec

    images = [image for image, _ in meadow[0]]
    wide = InputSpec(height=32, width=128)
    content, card = converted(*trained, Recipe(name="float32"), images, spec=wide)
    assert (card.input.height, card.input.width, card.name) == (32, 128, "deeplabv3plus_tiny_meadow_32x128")
    assert Segmenter(content).output_size == (8, 32)
    with pytest.raises(UsageError, match="nearest is 32x96"):
        converted(*trained, Recipe(name="float32"), images, spec=InputSpec(height=40, width=100))


def test_both_keras_namespaces_build_the_same_function(small_card: ModelCard, meadow: Meadow) -> None:
    import keras
    import tf_keras

    from edgeseg.keras_model import rebuild

    network = build_network(keras, network_spec(small_card), batch_size=1)
    for layer in network.layers:  # statistics that are not those of a fresh network
        if layer.name.endswith("_BN"):
            layer.set_weights([w + 0.1 * np.arange(w.size).reshape(w.shape) / w.size for w in layer.get_weights()])
    twin = rebuild(tf_keras, network, small_card)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 64, 96, 3)).astype(np.float32)
    ours, theirs = np.asarray(network(image)), np.asarray(twin(image))
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(ours).max()


def test_convert_from_the_command_line_writes_one_whole_file(
    trained: tuple[Any, ModelCard], meadow_folder: Path, tmp_path: Path, cli: Any
) -> None:
    from edgeseg.keras_model import save_model

    save_model(tmp_path / "net.keras", *trained)
    target = tmp_path / "net_int8.tflite"
    done = cli(
        "convert",
        tmp_path / "net.keras",
        "--int8",
        "-o",
        target,
        "--calibration",
        meadow_folder / "images/train",
        "--force",  # what is learnt in seconds, told on one image, may well agree on less than 98 %
        "--json",
    )
    assert done.exit_code == 0, done.stderr
    assert done.json["file"] == str(target)
    assert done.json["recipe"] == "int8_ptq"
    assert done.json["bytes"] == target.stat().st_size
    assert 0.9 < done.json["agreement"] <= 1

    refused = cli("convert", tmp_path / "net.keras", "--int8", "-o", tmp_path / "other.tflite")
    assert "--calibration" in refused.error
    assert not (tmp_path / "other.tflite").exists()


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_a_network_of_one_channel_tells_two_classes_apart(
    activation: str | None, meadow: Meadow, cli: Any, tmp_path: Path
) -> None:
    """Somebody's binary network, without a card: redder than the rest is class 1."""
    import keras

    image = keras.Input((64, 96, 3))
    network = keras.Model(image, keras.layers.Conv2D(1, 1, activation=activation)(image))
    network.set_weights([np.array([[[[4.0], [-2.0], [-2.0]]]], np.float32), np.array([-1.0], np.float32)])
    network.save(tmp_path / "binary.h5")
    file, folder = tmp_path / "binary.tflite", meadow[0].images[0].parent
    arguments = ("convert", tmp_path / "binary.h5", "--int8", "--calibration", folder, "-o", file)
    done = cli(*arguments)
    assert done.exit_code == 0, done.stderr
    segmenter = Segmenter(file)
    assert segmenter.labels.num_classes == 2
    assert segmenter.card is not None
    assert segmenter.card.agreement is not None
    assert segmenter.card.agreement > 0.99
    found, truth = zip(*((segmenter.segment(taken), labels) for taken, labels in meadow[1]), strict=True)
    same = (np.stack(found) == (np.stack(truth) == 2))[np.stack(truth) != 255]
    assert same.mean() > 0.98

    refused = cli(*arguments, "--output", "labels")
    assert refused.exit_code == 1
    assert "--output labels with a network of one channel" in refused.stderr
