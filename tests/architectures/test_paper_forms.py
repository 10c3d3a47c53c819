"""The battery over all architectures in their paper form: both Keras, saving, learning, a float file.

To be quick, it runs on few channels and one block a stage; `make slow` takes a learning step with the whole networks.
"""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")


from edgeseg.architectures.architecture import Architecture, NetworkForm  # noqa: E402
from edgeseg.architectures.network import NetworkSpec  # noqa: E402
from edgeseg.architectures.registry import ARCHITECTURES, build_network, find_form  # noqa: E402
from edgeseg.card import InputSpec, Recipe  # noqa: E402
from edgeseg.conversion.converter import run_converter, run_file  # noqa: E402
from edgeseg.errors import UsageError  # noqa: E402
from edgeseg.keras_model import copy_weights  # noqa: E402
from edgeseg.losses import make_loss  # noqa: E402

CLASSES = 3
# As small as each takes: FCN any, U-Net multiples of 16, PSPNet of 48, DeepLab as its dilation rates allow.
SIZES = {
    "fcn32s": (30, 50), "fcn16s": (30, 50), "fcn8s": (30, 50), "unet": (32, 48), "unet_unpadded": (188, 204),
    "pspnet": (48, 96), "deeplabv1": (40, 104), "deeplabv2": (40, 200), "deeplabv2_multiscale": (40, 400),
    "deeplabv3": (32, 304), "deeplabv3plus": (32, 64), "panoptic_deeplab": (32, 64), "parsenet": (40, 104),
}  # fmt: skip
PAPER = [name for name, architecture in ARCHITECTURES.items() if architecture.paper]


def spec(name: str) -> NetworkSpec:
    form = find_form(name, "paper")
    backbone = form.backbones[-1] if form.backbones else "resnet50"
    height, width = SIZES[name]
    return NetworkSpec(
        architecture=name, form="paper", backbone=backbone, num_classes=CLASSES, height=height, width=width,
        output_stride=form.strides[0],
    )  # fmt: skip


@pytest.fixture
def narrow(monkeypatch):
    """The papers' graphs with few channels and one block a stage."""
    from edgeseg.architectures import deeplab, fcn, parsenet, pspnet, unet
    from edgeseg.architectures.backbones import resnet, vgg16

    monkeypatch.setattr(vgg16, "STAGES", tuple((8, convolutions) for _, convolutions in vgg16.STAGES))
    monkeypatch.setattr(resnet, "BLOCKS", dict.fromkeys(resnet.BLOCKS, (1, 1, 1, 1)))
    monkeypatch.setattr(resnet, "FILTERS", (8, 8, 8, 8))
    monkeypatch.setattr(unet, "PAPER_WIDTH", 4)
    monkeypatch.setattr(pspnet, "PAPER_WIDTH", 16)
    monkeypatch.setattr(deeplab, "PAPER_WIDTHS", deeplab.HeadWidths(pyramid=16, low_level=8, decoder=16))
    for module in (fcn, deeplab, parsenet):
        monkeypatch.setattr(module, "PAPER_HEAD", 16)
    yield
    keras.backend.clear_session()


def some_images(name: str, count: int) -> np.ndarray:
    random = np.random.default_rng(1)
    height, width = SIZES[name]
    coarse = random.uniform(-1, 1, (count, 8, 8, 3))
    return np.kron(coarse, np.ones((1, -(-height // 8), -(-width // 8), 1)))[:, :height, :width].astype(np.float32)


def losses_of_training(name: str, network, rate: float, steps: int) -> list[float]:
    """Trains to tell bright from dark, on the labels of what the logits cover."""
    images = some_images(name, 2)
    rows, columns = find_form(name, "paper").covers(*SIZES[name])
    labels = (images[:, rows, columns, 0] > 0).astype(np.uint8)
    network.compile(keras.optimizers.SGD(rate), loss=make_loss("ce", num_classes=CLASSES), run_eagerly=True)
    return [float(network.train_on_batch(images, labels)) for _ in range(steps)]


def check_coverage(name: str, network) -> None:
    """The logits cover what the form says, in a whole stride."""
    rows, columns = find_form(name, "paper").covers(*SIZES[name])
    covered = rows.stop - rows.start, columns.stop - columns.start
    height, width = network.output.shape[1:3]
    assert (covered[0] % height, covered[1] % width) == (0, 0)
    assert covered[0] // height == covered[1] // width in (1, 4)


def test_every_paper_form_is_in_the_battery():
    assert sorted(SIZES) == sorted(PAPER)


@pytest.mark.parametrize("name", PAPER)
def test_learns_is_saved_and_is_the_same_function_everywhere(name, narrow, tmp_path):
    keras.utils.set_random_seed(0)  # on so few channels, dropout decides whether four steps suffice
    network = build_network(keras, spec(name))
    check_coverage(name, network)
    losses = losses_of_training(name, network, 1e-2, 4)
    assert np.isfinite(losses).all()
    assert min(losses[1:]) < losses[0]

    image = some_images(name, 1)
    expected = network(image, training=False).numpy()
    close = {"atol": 1e-4 * max(np.ptp(expected), 1e-3)}
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras", compile=False)
    np.testing.assert_allclose(loaded(image, training=False), expected, **close)

    twin = build_network(tf_keras, spec(name), batch_size=1)
    copy_weights(network, twin)
    np.testing.assert_allclose(twin(image, training=False), expected, **close)

    height, width = SIZES[name]
    file = run_converter(twin, Recipe(name="float32"), InputSpec(height=height, width=width), [])
    ((output,),) = run_file(file, image)
    np.testing.assert_allclose(output, expected, **close)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER)
def test_the_whole_network_takes_a_learning_step(name):
    network = build_network(keras, spec(name))
    (loss,) = losses_of_training(name, network, 1e-4, 1)
    assert np.isfinite(loss)
    assert np.isfinite(network(some_images(name, 1), training=False).numpy()).all()
    keras.backend.clear_session()


@pytest.mark.parametrize("name", ["fcn8s", "unet_unpadded", "deeplabv2_multiscale"])
def test_the_commands_train_score_and_convert_it(name, narrow, cli, meadow_folder, tmp_path):
    """The scores of the training, of its Keras file and of its .tflite file are one: one way from logits to labels."""
    height, width = SIZES[name]
    trained = cli(
        "train", "--data", meadow_folder, "--out", tmp_path / "run", "--arch", name, "--form", "paper",
        "--backbone", spec(name).backbone, "--size", f"{height}x{width}", "--epochs", 1, "--batch", 4, "--json",
    )  # fmt: skip
    assert trained.exit_code == 0, trained.stderr
    file = tmp_path / "file.tflite"
    told = cli(
        "convert", tmp_path / "run", "--float32", "-o", file, "--calibration", meadow_folder / "images/train", "--force"
    )
    assert told.exit_code == 0, told.stderr
    keras_file, tflite_file = (
        cli("eval", model, "--data", meadow_folder, "--json").json for model in (tmp_path / "run/model.keras", file)
    )
    assert keras_file["miou"] == pytest.approx(trained.json["miou"], abs=1e-4)
    assert tflite_file["miou"] == pytest.approx(keras_file["miou"], abs=1e-3)


# === What the logits cover ===


def test_the_unpadded_u_net_covers_the_middle_of_the_image(narrow):
    """572 -> 388, and a spot in the image moves the logits that lie over it."""
    wanted = spec("unet_unpadded")
    paper = find_form("unet_unpadded", "paper")
    assert paper.covers(572, 572) == (slice(92, 480), slice(92, 480))
    network = build_network(keras, wanted, batch_size=1)
    for weight in network.weights:
        weight.assign(abs(keras.ops.convert_to_numpy(weight)))
    image = np.random.default_rng(2).uniform(0.5, 1, (1, *wanted.size, 3)).astype(np.float32)
    row, column = 94, 108  # of the 4x20 logits: 2, 16
    spotted = image.copy()
    spotted[0, row, column] += 100
    before, after = (np.asarray(network(one_image, training=False))[0] for one_image in (image, spotted))
    change = np.abs(after - before).sum(-1)
    rows, columns = paper.covers(*wanted.size)
    strongest = np.unravel_index(change.argmax(), change.shape)
    assert np.abs(np.subtract(strongest, (row - rows.start, column - columns.start))).max() <= 2


def test_an_architecture_has_at_least_one_form_and_names_those_that_have_the_other():
    with pytest.raises(UsageError, match="'none' has no form: give it edge=, paper= or both"):
        Architecture(name="none", title="None", citation="-")
    assert Architecture(name="one", title="One", citation="-", edge=NetworkForm(build=build_network)).forms.keys() == {
        "edge"
    }
    with pytest.raises(
        UsageError, match=r"unet_unpadded has no edge form: expected its paper form, or one of"
    ) as caught:
        find_form("unet_unpadded", "edge")
    assert "deeplabv2_multiscale" not in str(caught.value)
    with pytest.raises(UsageError, match="unknown architecture 'unett'") as caught:
        find_form("unett", "edge")
    assert "unet_unpadded" not in str(caught.value)
