"""PSPNet: the map pooled to grids of 1, 2, 3 and 6 cells a side, and what each says spread over the map again.

Zhao, Shi, Qi, Wang, Jia, "Pyramid Scene Parsing Network", CVPR 2017.

Paper form on the authors' ResNet (three 3x3 convolutions as stem, output stride 8), without the auxiliary loss's head:
65,707,475 trainable parameters on ResNet-101 with Cityscapes' 19 classes; the literature cites 65.7 M. The map of
stride 8 must divide by 6, as for the paper's 473x473 (60x60).
"""

from __future__ import annotations

from types import ModuleType

from edgeseg.architectures.architecture import Architecture, NetworkForm, edge_reference, paper_reference
from edgeseg.architectures.backbones.registry import build_backbone, parse_backbone
from edgeseg.architectures.backbones.resnet import resnet
from edgeseg.architectures.blocks import Tensor, activate, classifier, conv_bn, separable_conv_bn, upsample
from edgeseg.architectures.network import NetworkSpec
from edgeseg.errors import UsageError

PAPER_BINS = (1, 2, 3, 6)
PAPER_WIDTH = 512
PAPER_STRIDE = 8
EDGE_HALVINGS = (3, 4, 5)
"""The edge form's grids are the map halved so many times: 6x8, 3x4 and 2x2 cells for a map of 45x60; and one cell."""
EDGE_BRANCH = 48
EDGE_WIDTH = 128


def map_of(spec: NetworkSpec) -> tuple[int, int]:
    """Returns rows and columns of the paper form's deepest map."""
    return -(-spec.height // PAPER_STRIDE), -(-spec.width // PAPER_STRIDE)


def check_cells(spec: NetworkSpec) -> None:
    """Raises UsageError unless the deepest map divides into the grid of 6x6 cells."""
    if any(length % max(PAPER_BINS) for length in map_of(spec)):
        step = PAPER_STRIDE * max(PAPER_BINS)
        near = "x".join(str(max(1, round(length / step)) * step) for length in spec.size)
        raise UsageError(
            f"{spec.described}: expected a map of stride 8 that divides by 6 (473x473, or multiples of {step}), the "
            f"nearest is {near}"
        )


def _edge(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """The pyramid by halvings.

    Averages over cells of h/6 rows, and resizing from 6 rows to h, are exact only for some sizes, and average pooling
    has no int8 kernel in XNNPACK. So cells are halved by a depthwise 2x2 convolution of stride 2, an average at first,
    and doubled again by bilinear upsampling; what exceeds an odd map is cut off. The single cell is added, not
    concatenated, as in `pyramid.separable_aspp`.
    """
    x = build_backbone(K, image, spec.backbone, spec.output_stride).last
    joined, pooled = [x], x
    for halvings in range(1, max(EDGE_HALVINGS) + 1):
        pooled = K.layers.DepthwiseConv2D(
            2, strides=2, padding="same", use_bias=False,
            depthwise_initializer=K.initializers.Constant(0.25), name=f"pyramid_halve{halvings}",
        )(pooled)  # fmt: skip
        if halvings in EDGE_HALVINGS:
            branch = conv_bn(K, pooled, EDGE_BRANCH, f"pyramid_{halvings}", activation="relu")
            branch = upsample(K, branch, 2**halvings, f"pyramid_{halvings}_up")
            joined.append(crop_to(K, branch, x, f"pyramid_{halvings}_crop"))
    context = K.layers.GlobalAveragePooling2D(keepdims=True, name="pyramid_pool")(x)
    context = conv_bn(K, context, EDGE_BRANCH, "pyramid_global", activation="relu")
    context = K.layers.Conv2D(EDGE_WIDTH, 1, use_bias=False, name="pyramid_global_project")(context)
    x = K.layers.Concatenate(name="pyramid_concat")(joined)
    x = conv_bn(K, x, EDGE_WIDTH, "pyramid_project", activation=None)
    x = activate(K, K.layers.Add(name="pyramid_add")([x, context]), "relu", "pyramid_relu")
    x = separable_conv_bn(K, x, EDGE_WIDTH, "head_conv")
    return classifier(K, x, spec.num_classes)


def _paper(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    height, width = map_of(spec)
    x = resnet(K, image, parse_backbone(spec.backbone), PAPER_STRIDE, deep_stem=True).last
    joined = [x]
    for bins in PAPER_BINS:
        cell = (height // bins, width // bins)
        branch = K.layers.AveragePooling2D(cell, name=f"pyramid_{bins}_pool")(x)
        branch = conv_bn(K, branch, x.shape[-1] // len(PAPER_BINS), f"pyramid_{bins}", activation="relu")
        branch = K.layers.UpSampling2D(cell, interpolation="bilinear", name=f"pyramid_{bins}_up")(branch)
        joined.append(branch)
    x = K.layers.Concatenate(name="pyramid_concat")(joined)
    x = conv_bn(K, x, PAPER_WIDTH, "head_conv", kernel=3, activation="relu")
    x = K.layers.Dropout(0.1, name="head_drop")(x)
    x = classifier(K, x, spec.num_classes)
    x = K.layers.UpSampling2D(PAPER_STRIDE, interpolation="bilinear", name="logits_up")(x)
    return crop_to(K, x, image, "logits_crop")


def crop_to(K: ModuleType, x: Tensor, like: Tensor, name: str) -> Tensor:
    """Cuts off the rows below and the columns to the right that `like` does not have."""
    rows, columns = x.shape[1] - like.shape[1], x.shape[2] - like.shape[2]
    if not rows and not columns:
        return x
    return K.layers.Cropping2D(((0, rows), (0, columns)), name=name)(x)


PSPNET = Architecture(
    name="pspnet",
    title="PSPNet",
    citation="Zhao et al., Pyramid Scene Parsing Network, CVPR 2017",
    edge=NetworkForm(build=_edge, reference=edge_reference(790_715, 2_147_059_712)),
    paper=NetworkForm(
        build=_paper,
        reference=paper_reference("resnet101", PAPER_STRIDE, 65_708_501, 229_820_720_320, size=(473, 473)),
        backbones=("resnet101", "resnet50"),
        strides=(PAPER_STRIDE,),
        checks=(check_cells,),
    ),
)
