"""One battery over all architectures in their edge form: both Keras, saving, learning, float and int8 files.

To be quick, it runs on a backbone of four layers; the real ones have their own tests below.
"""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")

from edgeseg.architectures.backbones import resnet  # noqa: E402
from edgeseg.architectures.backbones.mobilenetv3 import squeeze_and_excite  # noqa: E402
from edgeseg.architectures.backbones.registry import BACKBONES, build_backbone  # noqa: E402
from edgeseg.architectures.blocks import conv_bn, hard_swish  # noqa: E402
from edgeseg.architectures.fcn import bilinear_kernel  # noqa: E402
from edgeseg.architectures.network import NetworkSpec  # noqa: E402
from edgeseg.architectures.registry import ARCHITECTURES, build_network  # noqa: E402
from edgeseg.card import InputSpec, Recipe  # noqa: E402
from edgeseg.conversion.converter import run_converter  # noqa: E402
from edgeseg.errors import UsageError  # noqa: E402
from edgeseg.keras_model import copy_weights  # noqa: E402
from edgeseg.losses import make_loss  # noqa: E402
from edgeseg.runtime.registry import open_network  # noqa: E402
from edgeseg.tflite.cost import flex_operators, float_operators  # noqa: E402
from edgeseg.tflite.graph import parse_graph  # noqa: E402
from edgeseg.tflite.xnnpack import coverage  # noqa: E402

EDGE = [name for name, architecture in ARCHITECTURES.items() if architecture.edge]
CLASSES = 4
SIZE = (64, 320)  # as small as DeepLab v3's rate 18 at stride 16 allows


pytestmark = pytest.mark.usefixtures("tiny_backbone")


def spec(architecture, **changes):
    height, width = SIZE
    wanted = {"backbone": "tiny", "num_classes": CLASSES, "height": height, "width": width, **changes}
    return NetworkSpec(architecture=architecture, **wanted)


def shaken(network, seed=0):
    """Gives batch normalisations running statistics that training could have left, so that they count."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return network


def some_images(count, seed=1):
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(-1, 1, (count, 8, 10, 3))
    return np.kron(coarse, np.ones((1, 8, 32, 1))).astype(np.float32)


@pytest.mark.parametrize("name", EDGE)
def test_same_function_under_both_keras(name):
    network = shaken(build_network(keras, spec(name), batch_size=1))
    twin = build_network(tf_keras, spec(name), batch_size=1)
    copy_weights(network, twin)
    image = some_images(1)
    expected = network(image, training=False).numpy()
    np.testing.assert_allclose(twin(image, training=False).numpy(), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", EDGE)
def test_saves_loads_and_learns(name, tmp_path):
    network = build_network(keras, spec(name))
    images = some_images(4)
    labels = (images[..., 0] > 0).astype(np.uint8)
    loss = make_loss("ce", num_classes=CLASSES)
    network.compile(optimizer=keras.optimizers.Adam(1e-2), loss=loss, run_eagerly=True)
    losses = [network.train_on_batch(images, labels) for _ in range(3)]
    assert losses[-1] < losses[0]
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras", compile=False)
    np.testing.assert_array_equal(loaded(images[:1], training=False), network(images[:1], training=False))


@pytest.mark.parametrize("name", EDGE)
def test_converts_whole(name):
    network = shaken(build_network(tf_keras, spec(name), batch_size=1))
    image = some_images(1)
    size = InputSpec(height=SIZE[0], width=SIZE[1])

    file = run_converter(network, Recipe(name="float32"), size, [])
    expected = network(image, training=False).numpy()
    interpreter = open_network(file)
    interpreter.view(interpreter.inputs[0])[:] = image
    interpreter.invoke()
    got = interpreter.view(interpreter.outputs[0])
    assert np.abs(got - expected).max() <= 1e-4 * np.ptp(expected)

    tensors = [np.uint8(128 + 127 * one_image) for one_image in some_images(4)]
    graph = parse_graph(run_converter(network, Recipe(name="int8_ptq"), size, tensors))
    assert not float_operators(graph)
    assert not flex_operators(graph)
    # All but the changes between uint8 and int8 at the ends runs in XNNPACK, in one piece.
    parts = coverage(graph)
    left = {op.op for op, reason in zip(graph.main.operators, parts.reasons, strict=True) if reason}
    assert left <= {"QUANTIZE"}
    assert parts.nodes == 1


@pytest.mark.parametrize("name", EDGE)
def test_a_common_size_fits(name):
    """360x480 does, too: `test_edge_form_costs_what_it_says` builds it."""
    network = build_network(keras, spec(name, height=240, width=320), batch_size=1)
    rows, columns = network.output.shape[1:3]
    assert (240 % rows, 320 % columns) == (0, 0)
    assert 240 // rows == 320 // columns <= 16
    keras.backend.clear_session()


@pytest.mark.parametrize("backbone", list(BACKBONES))
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_backbones_keep_the_output_stride(backbone, stride, monkeypatch):
    monkeypatch.setattr(resnet, "BLOCKS", dict.fromkeys(resnet.BLOCKS, (2, 2, 2, 2)))  # one that strides, one not
    image = keras.Input((64, 96, 3))
    features = build_backbone(keras, image, backbone, stride)
    assert features.last.shape[1:3] == (64 // stride, 96 // stride)
    for finer, x in features.by_stride.items():
        assert x.shape[1:3] == (64 // finer, 96 // finer)
    assert tuple(features.by_stride) == tuple(s for s in BACKBONES[backbone].strides if s <= stride)


def test_a_backbone_tells_the_channels_of_its_pyramid():
    assert BACKBONES["resnet18"].channels(keras, "resnet18_0.25") == {2: 16, 4: 16, 8: 32, 16: 64, 32: 128}
    assert BACKBONES["vgg16"].channels(keras, "vgg16", 8) == {2: 64, 4: 128, 8: 512}


@pytest.mark.parametrize(
    "family", ["mobilenetv2relu", "mobilenetv3", "mobilenetv3min", "efficientnetlite0", "resnet18"]
)
def test_other_backbones_carry_a_decoder(family):
    network = shaken(build_network(keras, spec("unet", backbone=f"{family}_0.35", num_classes=7), batch_size=1))
    logits = network(some_images(1), training=False).numpy()
    assert logits.shape == (1, 32, 160, 7)
    assert np.isfinite(logits).all()


def test_hard_swish_and_squeeze_run_in_int8_in_one_piece():
    """The converter would make HARD_SWISH of most ways to write it, which XNNPACK leaves to slow kernels."""
    entry = tf_keras.Input(batch_shape=(1, 32, 48, 3))
    x = conv_bn(tf_keras, entry, 8, "stem", kernel=3, activation="hard_swish")
    x = squeeze_and_excite(tf_keras, x, "squeeze_")
    network = shaken(tf_keras.Model(entry, conv_bn(tf_keras, x, 4, "end", activation=None)))
    tensors = [np.uint8(128 + 127 * image[:32, :48]) for image in some_images(4)]
    graph = parse_graph(run_converter(network, Recipe(name="int8_ptq"), InputSpec(height=32, width=48), tensors))
    assert coverage(graph).nodes == 1
    assert not float_operators(graph)

    values = np.linspace(-5, 5, 101, dtype=np.float32)[:, None]
    entry = keras.Input((1,))
    swish = keras.Model(entry, hard_swish(keras, entry, "swish"))
    np.testing.assert_allclose(swish(values), values * np.clip(values + 3, 0, 6) / 6, atol=1e-6)


def test_multiscale_keeps_the_largest_score_of_each_class(monkeypatch):
    scores = lambda K, image, *_: K.layers.Conv2D(CLASSES, 8, strides=8, name="score")(image)  # noqa: E731
    monkeypatch.setattr("edgeseg.architectures.deeplab._paper_scores", scores)
    wanted = spec("deeplabv2_multiscale", form="paper", backbone="resnet101", height=64, width=512, output_stride=8)
    network = build_network(keras, wanted, batch_size=1)
    image = np.random.default_rng(2).normal(size=(1, 64, 512, 3)).astype(np.float32)
    shared = network.get_layer("shared")
    expected = []
    for height, width in ((64, 512), (48, 384), (32, 256)):
        scaled = keras.ops.image.resize(image, (height, width), interpolation="bilinear")
        expected.append(keras.ops.image.resize(shared(scaled), (64, 512), interpolation="bilinear"))
    np.testing.assert_allclose(network(image), np.max(expected, axis=0), atol=1e-5)


def test_deconvolution_starts_as_bilinear_upsampling():
    ramp = np.arange(6, dtype=np.float32).reshape(1, 1, 6, 1).repeat(3, 1)
    layer = keras.layers.Conv2DTranspose(1, 4, strides=2, padding="same", use_bias=False)
    layer(ramp)
    layer.set_weights([bilinear_kernel(2, 1)])
    expected = keras.layers.UpSampling2D(2, interpolation="bilinear")(ramp)
    inside = (slice(None), slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(layer(ramp)[inside], np.asarray(expected)[inside], atol=1e-6)


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        ("fcn8s", {"height": 100}, "expected multiples of 16, the nearest is 96x320"),
        ("fcn8s", {"num_classes": 1}, "1 classes: expected 2 to 255"),
        ("fcn8s", {"height": 0}, "input size 0x320"),
        ("fcn8s", {"output_stride": 4}, "output stride 4"),
        ("fcn8s", {"form": "papers"}, "unknown form 'papers'"),
        ("fcn9s", {}, "unknown architecture 'fcn9s': did you mean fcn"),
        ("fcn8s", {"backbone": "vgg19"}, "unknown backbone 'vgg19': did you mean vgg16"),
        ("fcn8s", {"backbone": "resnet50_0.5"}, "resnet50 has no other width"),
        ("fcn8s", {"backbone": "mobilenetv2_9"}, "width 0.1 to 2"),
        (
            "fcn8s",
            {"backbone": "mobilenetv3min_0.5_exact"},
            "mobilenetv3min has no exact form, expected mobilenetv3min_0.5",
        ),
        ("fcn8s", {"form": "paper"}, "for the paper form of fcn8s: expected vgg16"),
        ("deeplabv1", {"form": "paper", "backbone": "vgg16", "height": 100, "output_stride": 8}, "multiples of 8"),
        ("deeplabv3", {"width": 128}, "dilation rate 18 exceeds the 4x8 map of stride 16"),
        ("deeplabv2", {"width": 128}, "dilation rate 12 exceeds the 4x8 map"),
        ("pspnet", {"form": "paper", "backbone": "resnet50", "output_stride": 8}, "map of stride 8 that divides by 6"),
        (
            "pspnet",
            {"form": "paper", "backbone": "resnet50"},
            "output stride 16 for the paper form of pspnet: expected 8",
        ),
        ("unet_unpadded", {}, "has no edge form"),
        ("deeplabv2_multiscale", {}, "has no edge form"),
        ("unet_unpadded", {"form": "paper", "backbone": "own", "height": 570}, "the nearest is 572x316"),
    ],
)
def test_bad_input(architecture, changes, message):
    with pytest.raises(UsageError, match=message):
        build_network(keras, spec(architecture, **changes))
