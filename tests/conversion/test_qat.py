"""Quantization-aware training: what is trained is what the file computes, and it never ends worse than it began."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny_networks import colour_network

import edgeseg
from edgeseg.architectures.registry import build_network
from edgeseg.arrays import Uint8
from edgeseg.card import InputSpec, ModelCard, Recipe
from edgeseg.card_file import attach, detach
from edgeseg.conversion.best_weights import loss_told, worth
from edgeseg.conversion.converter import run_converter, run_file
from edgeseg.conversion.fake_quant import GraphLayer, float_weights_for, trained_file
from edgeseg.conversion.integer_file import IntegerFile
from edgeseg.conversion.ptq import span_input_range
from edgeseg.conversion.qat import QatData, QatOptions, train_for_integers
from edgeseg.conversion.surgery import for_converter
from edgeseg.data.dataset import Dataset
from edgeseg.errors import ConversionError, UsageError
from edgeseg.foreign import foreign_card
from edgeseg.image import fit, normalise
from edgeseg.keras_model import network_spec
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.scoring.evaluate import Evaluation, evaluate
from edgeseg.tflite.cost import float_operators
from edgeseg.tflite.edgetpu.predict import predict
from edgeseg.tflite.graph import parse_graph
from edgeseg.training.folder import CHECKPOINT_FILE

Meadow = tuple[Dataset, Dataset]
L = keras.layers


def files_of(network: Any, card: ModelCard, images: list[Uint8]) -> tuple[bytes, bytes, list[Uint8]]:
    """The converter's int8 file of a network, its float32 file, and the input tensors."""
    tensors = [fit(image, card.input) for image in images]
    span_input_range(tensors)
    float32, int8 = Recipe(name="float32"), Recipe(name="int8_ptq")
    ready = for_converter(network, card, card.input, int8)
    return run_converter(ready, int8, card.input, tensors), run_converter(ready, float32, card.input, []), tensors


def layer_for(integer: bytes, reference: bytes) -> GraphLayer:
    return GraphLayer(integer, float_weights_for(IntegerFile(integer), IntegerFile(reference)), name="graph")


def agreement(layer: GraphLayer, integer: bytes, tensors: list[Uint8], spec: InputSpec) -> float:
    """Pixels on which file and fake-quantized network choose alike, or differ by one step of the logits."""
    file = IntegerFile(integer)
    scale = file.scale(file.logits)
    assert scale is not None
    wanted = np.stack([scale.real(outputs[0][0]) for outputs in run_file(integer, tensors)])
    found = np.concatenate([np.asarray(layer(normalise(tensor, spec)[None])) for tensor in tensors])
    chosen = found.argmax(-1)[..., None]
    behind = wanted.max(-1) - np.take_along_axis(wanted, chosen, -1)[..., 0]
    return float(np.mean(behind <= 1.01 * scale.step))


@pytest.fixture
def images(meadow: Meadow) -> list[Uint8]:
    return [image for image, _ in meadow[0]]


@pytest.mark.parametrize(
    ("name", "backbone"), [("unet", "tiny"), ("deeplabv3plus", "tiny"), ("parsenet", "resnet18_0.1")]
)
def test_the_file_computes_what_is_trained(name: str, backbone: str, tiny_card: ModelCard, images: list[Uint8]) -> None:
    card = replace(tiny_card, architecture=name, backbone=backbone, name=name)
    keras.utils.set_random_seed(0)
    network = build_network(keras, network_spec(card), batch_size=1)
    integer, reference, tensors = files_of(network, card, images)
    layer = layer_for(integer, reference)
    assert agreement(layer, integer, tensors, card.input) >= 0.995
    for variable in layer.trainable_variables:  # and after training, too
        variable.assign(variable * np.random.default_rng(0).uniform(0.98, 1.02, variable.shape))
    changed = trained_file(integer, layer)
    assert changed != integer
    assert agreement(layer, changed, tensors, card.input) >= 0.995
    same_graph(changed, integer)


def same_graph(a: bytes, b: bytes) -> None:
    """Same operators in the same versions, none of them float, all known to the Edge TPU's compiler."""
    ours, theirs = parse_graph(a), parse_graph(b)
    assert [(o.op, o.version) for o in ours.main.operators] == [(o.op, o.version) for o in theirs.main.operators]
    assert float_operators(ours) == []
    assert predict(ours).rejections == ()


def transposed(x: Any) -> Any:
    """Came out of tfmot with a thousand times the error (its issue 771), and float where a ReLU follows."""
    return L.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(x)


def enlarged(x: Any) -> Any:
    """Trained well under tfmot and collapsed in the file (its issue 1000)."""
    return L.UpSampling2D(2, interpolation="bilinear")(x)


def gated(x: Any) -> Any:
    gate = L.Conv2D(8, 1, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
    return L.Multiply()([x, gate])


CASES = {
    "Conv2DTranspose and ReLU": transposed,
    "UpSampling2D, bilinear": enlarged,
    "Multiply and sigmoid": gated,
    "UnitNormalization": lambda x: L.UnitNormalization()(x),
    "pooling, padding, cropping": lambda x: L.Cropping2D(1)(L.ZeroPadding2D(2)(L.MaxPooling2D(2)(x))),
    "a sum and a concatenation": lambda x: L.Concatenate()([L.Add()([x, L.Conv2D(8, 1)(x)]), L.ReLU(6)(x)]),
}


@pytest.mark.parametrize("case", CASES)
def test_layers_that_tfmot_refuses_or_gets_wrong(case: str, images: list[Uint8]) -> None:
    keras.utils.set_random_seed(1)
    image = keras.Input((64, 96, 3))
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu")(image)
    network = keras.Model(image, L.Conv2D(3, 1)(CASES[case](x)), name="case")
    card, _ = foreign_card(network, "case")
    integer, reference, tensors = files_of(network, card, images)
    layer = layer_for(integer, reference)
    assert agreement(layer, integer, tensors, card.input) >= 0.995
    assert agreement(layer, trained_file(integer, layer), tensors, card.input) >= 0.995


@pytest.fixture(scope="module")
def quantized(meadow: Meadow) -> tuple[bytes, bytes, ModelCard]:
    """A network whose weights are not yet right: the int8 file, the float32 file, the card."""
    network = colour_network()
    kernel, bias = network.get_layer("logits").get_weights()
    network.get_layer("logits").set_weights([kernel, bias + np.array([1.5, 0, -1.5], np.float32)])
    card, _ = foreign_card(network, "colours", labels=meadow[0].labels)
    integer, reference, _ = files_of(network, card, [image for image, _ in meadow[0]])
    return integer, reference, card


OPTIONS = QatOptions(epochs=3, batch_size=4, learning_rate=0.02, distill=False)


def run(quantized: Any, meadow: Meadow, options: QatOptions = OPTIONS, **place: Any) -> tuple[bytes, list[str]]:
    lines: list[str] = []
    stop = place.pop("stop", "")

    def notify(line: str) -> None:
        lines.append(line)
        if stop and line.startswith(stop):
            raise KeyboardInterrupt

    data = QatData(train_set=meadow[0], val_set=meadow[1], **place)
    content, _ = train_for_integers(*quantized, data, options, lambda done, total: None, notify)
    return content, lines


def mious(lines: list[str]) -> list[float]:
    return [float(found[1]) for line in lines if (found := re.search(r"val mIoU ([0-9.]+[0-9])", line))]


def test_training_gains_and_keeps_the_graph_and_tells_the_scores_of_the_file(quantized: Any, meadow: Meadow) -> None:
    content, lines = run(quantized, meadow)
    assert lines[0].startswith("before training: val mIoU")
    assert len(mious(lines)) == 4
    assert lines[-1].startswith("trained: ")
    assert max(mious(lines)[1:]) > mious(lines)[0] + 0.01
    score = evaluate(Segmenter(attach(content, quantized[2])), meadow[1])
    assert f"{score.miou:.4f}" == f"{max(mious(lines)):.4f}"
    same_graph(content, quantized[0])


def test_the_start_stays_where_training_makes_it_worse(quantized: Any, meadow: Meadow) -> None:
    wild = QatOptions(epochs=1, batch_size=4, learning_rate=50.0)
    content, lines = run(quantized, meadow, wild)
    assert mious(lines)[1] < mious(lines)[0]
    assert lines[-1].startswith("training brought nothing, the file stays: ")
    assert content == quantized[0]


def scores(**class_iou: float) -> Evaluation:
    miou = float(np.mean(list(class_iou.values())))
    return Evaluation(dataset="a", split="val", miou=miou, pixel_accuracy=0.9, class_iou=class_iou, images=1)


def test_a_better_mean_that_gives_up_a_class_is_not_better() -> None:
    floating = scores(road=0.80, sign=0.50)
    even, one_sided = scores(road=0.80, sign=0.49), scores(road=0.90, sign=0.46)
    assert one_sided.miou > even.miou
    assert worth(floating, even) == pytest.approx(64.5)  # what is lost within 1.5 points costs no more than the mean
    assert worth(floating, one_sided) == pytest.approx(68 - 2.5)
    assert worth(floating, scores(road=0.90, sign=0.43)) < worth(floating, even)
    assert loss_told(floating, one_sided) == "-3.00 points lost to the float network; most by sign, 4.00"


def test_distillation_needs_no_labels_to_learn_from(quantized: Any, meadow: Meadow) -> None:
    options = QatOptions(epochs=1, batch_size=4, learning_rate=1e-3, distill=True)
    content, lines = run(quantized, meadow, options)
    assert "loss" in lines[1]
    same_graph(content, quantized[0])


def test_a_stopped_training_goes_on_where_it_was(quantized: Any, meadow: Meadow, tmp_path: Path) -> None:
    whole, lines = run(quantized, meadow)
    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        run(quantized, meadow, folder=state, stop="epoch 2")
    with pytest.raises(UsageError, match="keeps a training that was stopped: go on with --resume, or delete it"):
        run(quantized, meadow, folder=state)
    with pytest.raises(
        UsageError, match=r"learning_rate 0.02 then, 0.05 now\): --resume with the same ones, delete it"
    ):
        run(quantized, meadow, replace(OPTIONS, learning_rate=0.05), folder=state, resume=True)
    resumed, more = run(quantized, meadow, folder=state, resume=True)
    assert [line[:9] for line in more] == ["epoch 3/3", "trained: "]
    assert resumed == whole
    assert more == lines[-2:]
    data = QatData(train_set=meadow[0], val_set=meadow[1], folder=state)
    data.forget()
    assert not state.exists()


def test_an_operator_that_cannot_be_trained_through_is_named(quantized: Any) -> None:
    from edgeseg.conversion.operators import check_known

    with pytest.raises(ConversionError, match=r"EXP \(operator 0\) cannot be trained through"):
        check_known(replace(parse_graph(quantized[0]).main.operators[0], op="EXP"))


def test_the_command_trains_and_writes(meadow_folder: Path, tmp_path: Path, cli: Any) -> None:
    colour_network().save(tmp_path / "net.keras")
    file = tmp_path / "net.tflite"
    words = ("convert", tmp_path / "net.keras", "--int8", "--qat", "-o", file, "--epochs", 1)
    assert "int8_qat trains the weights: name the data set" in cli(*words).error
    done = cli(*words, "--data", meadow_folder, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["recipe"] == "int8_qat"
    assert "epoch 1/1 loss" in done.stderr
    assert "the file chooses as the fake-quantized network on" in done.stderr
    card = detach(file.read_bytes())
    assert card is not None
    assert card.recipe.is_integer
    assert card.calibration is not None
    assert card.calibration.source == "folder/train"
    assert float_operators(parse_graph(file.read_bytes())) == []
    assert not list(tmp_path.glob("*.qat"))

    assert "int8_ptq trains nothing" in cli("convert", tmp_path / "net.keras", "--int8", "--epochs", 2).error


def test_a_training_that_is_kept_is_told_of_before_any_work(meadow_folder: Path, tmp_path: Path, cli: Any) -> None:
    kept = tmp_path / "net.tflite.qat" / CHECKPOINT_FILE
    kept.parent.mkdir()
    kept.touch()
    out = tmp_path / "net.tflite"
    done = cli("convert", tmp_path / "net.keras", "--int8", "--qat", "--data", meadow_folder, "-o", out)
    assert "net.tflite.qat keeps a training that was stopped: go on with --resume, or delete it" in done.error


def test_the_library_says_what_is_missing() -> None:
    with pytest.raises(UsageError, match="int8_qat trains the weights: name the data set"):
        edgeseg.convert(colour_network(), "int8_qat")
    with pytest.raises(UsageError, match=r"learning rate 0, weight decay 0.01: expected > 0"):
        QatOptions(learning_rate=0)
