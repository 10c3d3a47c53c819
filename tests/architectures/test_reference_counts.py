"""The paper forms' parameters and output sizes, against published figures and the papers' layers added up by hand."""

from types import SimpleNamespace

import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

from edgeseg.architectures.backbones.registry import build_backbone  # noqa: E402
from edgeseg.architectures.count import multiply_accumulates, parameters  # noqa: E402
from edgeseg.architectures.network import NetworkSpec  # noqa: E402
from edgeseg.architectures.registry import ARCHITECTURES, build_network  # noqa: E402

VGG16 = 14_714_688  # 138,357,544 less the three fully connected layers' 123,642,856: Simonyan and Zisserman, table 2
RESNET50 = 25_557_032 - (2048 * 1000 + 1000)  # torchvision resnet50's num_params, less its classifier
RESNET101 = 44_549_160 - (2048 * 1000 + 1000)  # torchvision resnet101's, likewise


def conv(inputs, outputs, kernel=1, bias=True):
    return inputs * outputs * kernel**2 + outputs * bias


def conv_bn(inputs, outputs, kernel=1):
    return conv(inputs, outputs, kernel, bias=False) + 2 * outputs


def fcn(*deconvolutions, skips=()):
    head = conv(512, 4096, 7) + conv(4096, 4096) + conv(4096, 21)
    return VGG16 + head + sum(conv(c, 21) for c in skips) + sum(conv(21, 21, k, bias=False) for k in deconvolutions)


def unet(channels_in, classes):
    widths = [64, 128, 256, 512, 1024]
    down = sum(conv(a, b, 3) + conv(b, b, 3) for a, b in zip([channels_in, *widths], widths, strict=False))
    up = sum(conv(2 * w, w, 2) + conv(2 * w, w, 3) + conv(w, w, 3) for w in widths[:4])
    return down + up + conv(64, classes)


# The authors' stem of three 3x3 convolutions, and the wider input of the first block that follows from it.
DEEP_STEM = conv_bn(3, 64, 3) + conv_bn(64, 64, 3) + conv_bn(64, 128, 3) - conv_bn(3, 64, 7) + 64 * (64 + 256)


def pspnet(resnet, classes):
    return resnet + DEEP_STEM + 4 * conv_bn(2048, 512) + conv_bn(4096, 512, 3) + conv(512, classes)


LARGE_FOV = conv(512, 1024, 3) + conv(1024, 1024) + conv(1024, 21)
# torchvision's deeplabv3_resnet50 and _resnet101 have 42,004,074 and 60,996,202 (num_params in their weights' meta),
# auxiliary head and a 3x3 convolution after the pyramid included, which the paper does not have.
AUXILIARY = conv_bn(1024, 256, 3) + conv(256, 21)
EXTRA_3X3 = conv_bn(256, 256, 3)

REFERENCES = [
    ("fcn32s", "vgg16", fcn(64), (512, 512)),
    ("fcn16s", "vgg16", fcn(4, 32, skips=[512]), (512, 512)),
    ("fcn8s", "vgg16", fcn(4, 4, 16, skips=[512, 256]), (512, 512)),
    ("unet", "own", unet(3, 21), (512, 512)),
    ("unet_unpadded", "own", unet(3, 21), (388, 388)),
    ("pspnet", "resnet50", pspnet(RESNET50, 21), (473, 473)),
    ("pspnet", "resnet101", pspnet(RESNET101, 21), (473, 473)),
    ("deeplabv1", "vgg16", VGG16 + LARGE_FOV, (512, 512)),
    ("deeplabv2", "vgg16", VGG16 + 4 * LARGE_FOV, (512, 512)),
    ("deeplabv2", "resnet101", RESNET101 + 4 * conv(2048, 21, 3), (512, 512)),
    ("deeplabv2_multiscale", "vgg16", VGG16 + 4 * LARGE_FOV, (512, 512)),
    ("deeplabv2_multiscale", "resnet101", RESNET101 + 4 * conv(2048, 21, 3), (512, 512)),
    ("deeplabv3", "resnet50", 42_004_074 - AUXILIARY - EXTRA_3X3, (512, 512)),
    ("deeplabv3", "resnet101", 60_996_202 - AUXILIARY - EXTRA_3X3, (512, 512)),
    ("parsenet", "vgg16", VGG16 + LARGE_FOV + 2 * 1024 + 1024 * 21, (512, 512)),
]


@pytest.fixture(autouse=True)
def _zero_weights(monkeypatch):
    """Random numbers for 134 million weights take seconds, and here only shapes matter."""
    zeros = lambda self, shape, dtype=None, **_: keras.ops.zeros(shape, dtype or "float32")  # noqa: E731
    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)
    monkeypatch.setattr("edgeseg.architectures.fcn.bilinear_kernel", lambda f, c: keras.ops.zeros((2 * f, 2 * f, c, c)))
    yield
    keras.backend.clear_session()


def paper_form(architecture, backbone, **changes):
    wanted = like_reference(ARCHITECTURES[architecture].paper.reference) | {"form": "paper", "backbone": backbone}
    return build_network(keras, NetworkSpec(architecture=architecture, **wanted | changes), batch_size=1)


def like_reference(reference):
    return {n: getattr(reference, n) for n in ("backbone", "num_classes", "height", "width", "output_stride")}


def cost(network):
    return {"parameters": parameters(network), "multiply_accumulates": multiply_accumulates(network)}


def cost_of(reference):
    return {name: getattr(reference, name) for name in ("parameters", "multiply_accumulates")}


@pytest.mark.parametrize(("architecture", "backbone", "count", "size"), REFERENCES)
def test_paper_form_equals_the_reference(architecture, backbone, count, size):
    network = paper_form(architecture, backbone)
    assert parameters(network) == count
    reference = ARCHITECTURES[architecture].paper.reference
    if backbone == reference.backbone and architecture != "deeplabv2_multiscale":
        assert cost(network) == cost_of(reference)
    assert network.output.shape == (1, *size, 21)


def test_fcn_maps_have_the_sizes_of_the_authors_network():
    """An image of 500x500 through voc-fcn8s: padding, rounding up in pooling, crops (fcn.berkeleyvision.org)."""
    network = paper_form("fcn8s", "vgg16", height=500, width=500)
    sides = {layer.name: layer.output.shape[1] for layer in network.layers}
    known = {"pool1": 349, "pool2": 175, "pool3": 88, "pool4": 44, "pool5": 22, "fc7": 16, "upscore1": 34, "fuse1": 34}
    known |= {"upscore2": 70, "fuse2": 70, "upscore": 568, "logits": 500}
    assert {name: sides[name] for name in known} == known


def test_the_references_are_the_published_figures():
    assert fcn(4, 4, 16, skips=[512, 256]) == 134_489_759
    assert unet(1, 2) == 31_030_658  # the paper's network; 31.0 M
    assert VGG16 + LARGE_FOV == 20_505_429  # "20.5M" in DeepLab v1, table 1
    assert pspnet(RESNET101, 19) == 65_707_475  # "65.7M" wherever PSPNet on Cityscapes is compared


def test_three_scales_cost_the_sum_of_their_areas():
    one, three = (ARCHITECTURES[name].paper.reference for name in ("deeplabv2", "deeplabv2_multiscale"))
    assert three.multiply_accumulates == one.multiply_accumulates * (1 + 0.75**2 + 0.5**2)
    assert three.parameters == one.parameters


def test_deeplabv3plus_resnet101():
    # segmentation_models.pytorch gives 45.7 M for its DeepLabV3Plus on resnet101, which is this network.
    network = paper_form("deeplabv3plus", "resnet101")
    assert parameters(network) == pytest.approx(45.7e6, abs=0.05e6)
    assert cost(network) == cost_of(ARCHITECTURES["deeplabv3plus"].paper.reference)


@pytest.mark.parametrize(("backbone", "resnet"), [("resnet50", RESNET50), ("resnet101", RESNET101)])
def test_panoptic_deeplab_s_semantic_branch(backbone, resnet):
    def depthwise_bn(channels, kernel):
        return channels * (kernel**2 + 2)

    pyramid = conv_bn(2048, 256) + 3 * (depthwise_bn(2048, 3) + conv_bn(2048, 256))
    pyramid += conv_bn(2048, 256) + conv_bn(5 * 256, 256)
    decoder = conv_bn(2048, 64) + depthwise_bn(256 + 64, 5) + conv_bn(256 + 64, 256)  # at stride 8
    decoder += conv_bn(256, 32) + depthwise_bn(256 + 32, 5) + conv_bn(256 + 32, 256)  # at stride 4
    network = paper_form("panoptic_deeplab", backbone)
    assert parameters(network) == resnet + pyramid + decoder + conv(256, 21)
    if backbone == "resnet50":
        assert cost(network) == cost_of(ARCHITECTURES["panoptic_deeplab"].paper.reference)


@pytest.mark.parametrize("architecture", [name for name, a in ARCHITECTURES.items() if a.edge])
def test_edge_form_costs_what_it_says(architecture):
    reference = ARCHITECTURES[architecture].edge.reference
    network = build_network(keras, NetworkSpec(architecture=architecture, **like_reference(reference)), batch_size=1)
    assert cost(network) == cost_of(reference)
    rows, columns = network.output.shape[1:3]
    assert (reference.height % rows, reference.width % columns) == (0, 0)
    assert reference.height // rows == reference.width // columns <= reference.output_stride


def test_every_paper_backbone_is_checked():
    checked = {(architecture, backbone) for architecture, backbone, *_ in REFERENCES}
    offered = {(name, b) for name, a in ARCHITECTURES.items() if a.paper for b in a.paper.backbones}
    assert offered - checked == set()


@pytest.mark.parametrize(
    ("backbone", "count"),
    [
        ("vgg16", VGG16),
        ("resnet50", RESNET50),
        ("resnet101", RESNET101),
        # keras.applications' and tensorflow/tpu's totals less the 1280-channel end, the classifier, running statistics
        ("mobilenetv2_1", 3_504_872 - conv_bn(320, 1280) - conv(1280, 1000)),
        # torchvision resnet18's num_params less its classifier, with two 3x3 convolutions as stem
        ("resnet18", 11_689_512 - conv(512, 1000) - conv_bn(3, 64, 7) + conv_bn(3, 64, 3) + conv_bn(64, 64, 3)),
        ("mobilenetv2relu_1", 3_504_872 - conv_bn(320, 1280) - conv(1280, 1000)),
        # keras.applications' MobileNetV3Large without its top, less the 960-channel end and running statistics
        ("mobilenetv3_1", 2_996_352 - 24_400 - conv_bn(160, 960)),
        ("mobilenetv3min_1", 1_437_608 - 24_400 - conv_bn(160, 960)),
        ("efficientnetlite0", 4_652_008 - conv_bn(320, 1280) - conv(1280, 1000)),
        # kernels and biases of Google's mobilenet_edgetpu_0.75_224 as a .tflite less its classifier; a normalisation
        # has gamma and beta in place of each bias
        ("mobilenetedgetpu_0.75", 1_677_032 + 2 * 15_064),
    ],
)
def test_backbones_equal_their_references(backbone, count):
    image = keras.Input((64, 64, 3))
    network = keras.Model(image, build_backbone(keras, image, backbone, 32).last)
    assert parameters(network) == count


def test_multiply_accumulates_by_hand():
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, strides=2, padding="same"),  # 16 pixels x 3 x 4 x 9
            layers.DepthwiseConv2D(3, padding="same"),  # 16 x 4 x 9
            layers.Conv2DTranspose(2, 4, strides=2, padding="same"),  # 16 x 4 x 2 x 16
        ]
    )
    assert multiply_accumulates(network) == 16 * 108 + 16 * 36 + 16 * 128
    assert multiply_accumulates(SimpleNamespace(layers=[layers.ReLU()])) == 0
