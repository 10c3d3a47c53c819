"""`edgeseg explain`: the noise that quantization adds, layer by layer, against what is known of made-up faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.arrays import Uint8
from edgeseg.card import InputSpec, Recipe
from edgeseg.conversion.noise import MOST, LayerNoise, layer_name, layer_noise, worst_first
from edgeseg.errors import ConversionError

tf_keras = pytest.importorskip("tf_keras")

SPEC = InputSpec(height=16, width=24)
Files = tuple[bytes, bytes]


@pytest.fixture(scope="module")
def images() -> list[Uint8]:
    rng = np.random.default_rng(0)
    made = [rng.integers(0, 256, (16, 24, 3), np.uint8) for _ in range(4)]
    made[0][0, 0], made[0][0, -1] = 0, 255
    return made


@pytest.fixture(scope="module")
def convert(images: list[Uint8]) -> Callable[..., Files]:
    """Makes the int8 and the float32 file of three convolutions, the second's kernel changed."""
    from edgeseg.conversion.converter import run_converter

    def made(change: Callable[[Any], None] = lambda kernel: None, calibrated: Sequence[Uint8] = images) -> Files:
        tf_keras.utils.set_random_seed(0)
        layers = tf_keras.layers
        image = tf_keras.Input((16, 24, 3), batch_size=1)
        x = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(image)
        x = layers.Conv2D(8, 3, padding="same", activation="relu", name="second")(x)
        network = tf_keras.Model(image, layers.Conv2D(3, 1, name="logits")(x), name="three")
        kernel, bias = network.get_layer("second").get_weights()
        change(kernel)
        network.get_layer("second").set_weights([kernel, bias])
        integers = run_converter(network, Recipe(name="int8_ptq"), SPEC, calibrated)
        return integers, run_converter(network, Recipe(name="float32"), SPEC, [])

    return made


def test_a_good_network_adds_little_noise_anywhere(convert, images) -> None:
    layers = layer_noise(*convert(), images, SPEC)
    assert [layer.name for layer in layers] == ["first", "second", "logits"]
    assert [layer.is_logits for layer in layers] == [False, False, True]
    for layer in layers:
        assert layer.weights_db > 35  # 127 steps: an error of a thousandth or two of the largest weight
        assert layer.arriving_db > 25
        assert not layer.advice
    assert layers[0].arriving_db < layers[0].output_db  # which knows nothing of the weights' rounding


def test_noise_is_told_in_decibels_by_hand() -> None:
    layer = LayerNoise(
        operator=0, op="CONV_2D", name="x", weights_db=20.0, worst_channel_db=19.0, output_db=20.0, arriving_db=15.0,
        low=0.0, high=6.0, saturated=0.0, dead=0, channels=8, is_logits=False,
    )  # fmt: skip
    assert layer.own_db == pytest.approx(20 - 10 * np.log10(2))  # twice a hundredth of the power


def test_one_wild_weight_spoils_its_channel_and_is_told(convert, images) -> None:
    def change(kernel: Any) -> None:
        kernel[0, 0, 0, 5] = 60.0  # of a channel whose others are a hundred times smaller
        kernel[:, :, 1:, 5] *= 0.5

    good, bad = (layer_noise(*files, images, SPEC) for files in (convert(), convert(change)))
    # the large weight itself is exact: its power hides the others' error in the decibels of the whole
    assert bad[1].arriving_db < good[1].arriving_db


def test_a_dead_channel_is_counted(convert, images) -> None:
    def change(kernel: Any) -> None:
        kernel[:, :, :, :3] = 0

    _, second, _ = layer_noise(*convert(change), images, SPEC)
    assert second.dead == 3
    assert "3 of 8 channels never change" in second.advice
    assert second.worst_channel_db > 30  # a channel that does nothing is not the worst


def test_ranges_from_dim_images_cut_off_what_bright_ones_need(convert, images) -> None:
    dim = [(image // 16 + 120).astype(np.uint8) for image in images]
    dim[0][0, 0], dim[0][0, -1] = 0, 255
    layers = layer_noise(*convert(calibrated=dim), images, SPEC)
    worst = worst_first(layers[:2])[0]
    assert worst.saturated > 0.01
    assert worst.output_db < 20
    assert "cuts values off: calibrate on more images" in worst.advice


def test_files_of_two_networks_are_refused(convert, images) -> None:
    integers, _ = convert()
    _, other = convert(lambda kernel: np.negative(kernel, out=kernel))
    with pytest.raises(ConversionError, match="name the network it was converted from"):
        layer_noise(integers, other, images, SPEC)


def test_weights_that_are_exact_have_no_noise(convert, images) -> None:
    def change(kernel: Any) -> None:
        kernel[:] = np.sign(kernel)

    _, second, _ = layer_noise(*convert(change), images, SPEC)
    assert second.weights_db > 80
    assert second.weights_db <= MOST


@pytest.mark.parametrize(
    ("tensor", "name"),
    [
        ("net/a_norm/FusedBatchNormV3;net/block_3_expand/Conv2D1", "block_3_expand"),
        ("model/decoder/up/conv/Conv2D", "decoder/up/conv"),
        ("StatefulPartitionedCall:0", "StatefulPartitionedCall:0"),
    ],
)
def test_layers_have_their_keras_names(tensor: str, name: str) -> None:
    assert layer_name(tensor) == name


def test_the_command_explains_a_folder_in_table_page_and_json(cli, tiny_model, tiny_keras_model, tmp_path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (tiny_model, tiny_keras_model):
        (folder / file.name).symlink_to(file)
    page, result = tmp_path / "noise.html", tmp_path / "noise.json"
    done = cli("explain", folder, "--calibration", "synthetic:4", "--html", page, "--json", result)
    assert done.exit_code == 0, done.stderr
    assert "chooses as its float network on" in done.stderr
    found = json.loads(result.read_text())
    assert 0.5 < found["agreement"] <= 1
    assert found["images"] == 4
    for layer in found["layers"]:
        assert layer["own_db"] <= layer["weights_db"]
        assert layer["name"] in page.read_text().replace("<wbr>", "")


def test_what_cannot_be_explained_is_told_in_a_line(cli, tiny_model, tiny_float_model, tmp_path) -> None:
    alone = tmp_path / tiny_model.name
    alone.write_bytes(Path(tiny_model).read_bytes())
    assert "name the network that" in cli("explain", alone, "--calibration", "synthetic:1").error
    assert "expected an int8 file" in cli("explain", tiny_float_model, "--calibration", "synthetic:1").error
    assert "absent.keras: no such file" in cli("explain", alone, "--float", tmp_path / "absent.keras").error
