"""DeepLab v1, v2, v3 and v3+: dilated convolutions that see far without losing resolution.

- v1: Chen et al., "Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs", ICLR 2015.
  LargeFOV on VGG16, 21 classes: 20,505,429 parameters (the paper's table: 20.5 M).
- v2: Chen et al., "DeepLab", PAMI 2018. Atrous spatial pyramid pooling (ASPP-L) on VGG16: 37,877,652 parameters as its
  layers add up; on ResNet-101: 44,048,532 trainable.
- v3: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017. On ResNet-101, 21 classes:
  58,040,661 trainable; torchvision's deeplabv3_resnet101 has 60,996,202, of which 2,365,205 are its auxiliary head
  and 590,336 one more 3x3 convolution than the paper has.
- v3+: Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation", ECCV 2018: a
  decoder that brings back the edges.

The fully connected CRF that v1 and v2 end with is `edgeseg.refine.crf`. Logits have the output stride in edge form, the
input's size in paper form; v3+ has stride 4 in both.
"""

from __future__ import annotations

import dataclasses
import functools
from types import ModuleType

from edgeseg.architectures.architecture import Architecture, NetworkForm, edge_reference, paper_reference
from edgeseg.architectures.backbones.registry import build_backbone, parse_backbone
from edgeseg.architectures.backbones.resnet import resnet
from edgeseg.architectures.backbones.vgg16 import vgg16
from edgeseg.architectures.blocks import Tensor, classifier, conv_bn, conv_relu, separable_conv_bn, upsample
from edgeseg.architectures.network import NetworkSpec, dilation_fits, multiples_of
from edgeseg.architectures.pyramid import aspp, atrous_rates, separable_aspp, sum_of_scores

LARGE_FOV_RATE = 12
ASPP_RATES = (6, 12, 18, 24)
PAPER_STRIDE = 8
PAPER_HEAD = 1024
EDGE_HEAD = 128
MULTI_GRID = (1, 2, 4)
SCALES = (1.0, 0.75, 0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadWidths:
    """Channels of the pyramid's branches, of the reduced low-level features, and of the decoder."""

    pyramid: int
    low_level: int
    decoder: int


EDGE_WIDTHS = HeadWidths(pyramid=128, low_level=24, decoder=96)
PAPER_WIDTHS = HeadWidths(pyramid=256, low_level=48, decoder=256)  # DeepLab v3+, sections 3.1 and 4.1


# === v1 and v2: scores of dilated branches, summed ===


def large_fov_rates(output_stride: int) -> tuple[int, ...]:
    """Returns v1's one dilation rate: 12 at stride 8, in proportion elsewhere."""
    return _scaled((LARGE_FOV_RATE,), output_stride)


def aspp_rates(output_stride: int) -> tuple[int, ...]:
    """Returns v2's dilation rates: 6, 12, 18, 24 at stride 8, in proportion elsewhere."""
    return _scaled(ASPP_RATES, output_stride)


def _scaled(rates: tuple[int, ...], output_stride: int) -> tuple[int, ...]:
    return tuple(max(1, rate * PAPER_STRIDE // output_stride) for rate in rates)


def _edge_scores(K: ModuleType, x: Tensor, num_classes: int, rates: tuple[int, ...]) -> Tensor:
    branches = []
    for rate in rates:
        branch = separable_conv_bn(K, x, EDGE_HEAD, f"fc6_rate{rate}", dilation=rate)
        branches.append(conv_bn(K, branch, EDGE_HEAD, f"fc7_rate{rate}", activation="relu"))
    # The sum of the branches' scores, in one convolution: int8 rounds once instead of at every addition.
    x = K.layers.Concatenate(name="concat")(branches) if len(branches) > 1 else branches[0]
    return classifier(K, x, num_classes)


def _paper_scores(K: ModuleType, image: Tensor, spec: NetworkSpec, rates: tuple[int, ...]) -> Tensor:
    """Logits of stride 8."""
    name = parse_backbone(spec.backbone)
    if name.family == "vgg16":
        x = vgg16(K, image, name, PAPER_STRIDE, pool=3).last
        return sum_of_scores(K, [_fully_connected(K, x, rate) for rate in rates], spec.num_classes)
    x = resnet(K, image, name, PAPER_STRIDE).last
    scores = [
        K.layers.Conv2D(spec.num_classes, 3, dilation_rate=rate, padding="same", name=f"score_rate{rate}")(x)
        for rate in rates
    ]
    return K.layers.Add(name="logits")(scores)


def _fully_connected(K: ModuleType, x: Tensor, rate: int) -> Tensor:
    x = conv_relu(K, x, PAPER_HEAD, f"fc6_rate{rate}", kernel=3, dilation=rate)
    x = K.layers.Dropout(0.5, name=f"drop6_rate{rate}")(x)
    x = conv_relu(K, x, PAPER_HEAD, f"fc7_rate{rate}")
    return K.layers.Dropout(0.5, name=f"drop7_rate{rate}")(x)


def _v1_edge(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """One 3x3 convolution of a large dilation rate on the deepest map (LargeFOV)."""
    x = build_backbone(K, image, spec.backbone, spec.output_stride).last
    return _edge_scores(K, x, spec.num_classes, large_fov_rates(spec.output_stride))


def _v1_paper(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    return _enlarged(K, _paper_scores(K, image, spec, (LARGE_FOV_RATE,)), PAPER_STRIDE)


def _v2_edge(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """Four branches of different dilation rates."""
    x = build_backbone(K, image, spec.backbone, spec.output_stride).last
    return _edge_scores(K, x, spec.num_classes, aspp_rates(spec.output_stride))


def _v2_paper(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    return _enlarged(K, _paper_scores(K, image, spec, ASPP_RATES), PAPER_STRIDE)


def _v2_three_scales(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """DeepLab v2 as the paper evaluates it: on the image at scales 1, 0.75 and 0.5, with shared weights.

    The scores of each scale are brought to the image's size, and each class keeps its largest (section 4.1.2).
    """
    any_size = K.Input((None, None, spec.channels), name="any_scale")
    shared = K.Model(any_size, _paper_scores(K, any_size, spec, ASPP_RATES), name="shared")
    height, width = spec.size
    largest = []
    for scale in SCALES:
        percent = round(100 * scale)
        scaled = image
        if scale != 1:
            size = (round(height * scale), round(width * scale))
            scaled = K.layers.Resizing(*size, interpolation="bilinear", name=f"image_{percent}")(image)
        scores = shared(scaled)
        largest.append(K.layers.Resizing(height, width, interpolation="bilinear", name=f"scores_{percent}")(scores))
    return K.layers.Maximum(name="logits_max")(largest)


def _enlarged(K: ModuleType, x: Tensor, factor: int) -> Tensor:
    return K.layers.UpSampling2D(factor, interpolation="bilinear", name="logits_up")(x)


# === v3 and v3+: a pyramid with image-level features ===


def _v3_edge(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    x = build_backbone(K, image, spec.backbone, spec.output_stride).last
    return classifier(K, separable_aspp(K, x, EDGE_WIDTHS.pyramid, atrous_rates(spec.output_stride)), spec.num_classes)


def _v3_paper(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    x = resnet(K, image, parse_backbone(spec.backbone), spec.output_stride, multi_grid=MULTI_GRID).last
    x = classifier(K, aspp(K, x, PAPER_WIDTHS.pyramid, atrous_rates(spec.output_stride)), spec.num_classes)
    return _enlarged(K, x, spec.output_stride)


def _v3plus(K: ModuleType, image: Tensor, spec: NetworkSpec, *, widths: HeadWidths) -> Tensor:
    features = build_backbone(K, image, spec.backbone, spec.output_stride)
    x = separable_aspp(K, features.last, widths.pyramid, atrous_rates(spec.output_stride))
    x = upsample(K, x, spec.output_stride // 4, "decoder_up")
    low = conv_bn(K, features.by_stride[4], widths.low_level, "decoder_low", activation="relu")
    x = K.layers.Concatenate(name="decoder_concat")([x, low])
    x = separable_conv_bn(K, x, widths.decoder, "decoder_conv1")
    x = separable_conv_bn(K, x, widths.decoder, "decoder_conv2")
    return classifier(K, x, spec.num_classes)


# === What they are called and what they cost ===

_V2 = "Chen et al., DeepLab, PAMI 2018"
_RESNETS = ("resnet101", "resnet50")

DEEPLABV1 = Architecture(
    name="deeplabv1",
    title="DeepLab v1 (LargeFOV)",
    citation="Chen et al., Semantic Image Segmentation with Deep Convolutional Nets and CRFs, ICLR 2015",
    edge=NetworkForm(
        build=_v1_edge,
        reference=edge_reference(738_619, 2_096_409_600),
        checks=(multiples_of(), dilation_fits(large_fov_rates)),
    ),
    paper=NetworkForm(
        build=_v1_paper,
        reference=paper_reference("vgg16", PAPER_STRIDE, 20_505_429, 125_631_987_712),
        backbones=("vgg16",),
        strides=(PAPER_STRIDE,),
        checks=(multiples_of(), dilation_fits(large_fov_rates)),
    ),
)
DEEPLABV2 = Architecture(
    name="deeplabv2",
    title="DeepLab v2 (ASPP)",
    citation=_V2,
    edge=NetworkForm(
        build=_v2_edge,
        reference=edge_reference(846_907, 2_382_566_400),
        checks=(multiples_of(), dilation_fits(aspp_rates)),
    ),
    paper=NetworkForm(
        build=_v2_paper,
        reference=paper_reference("resnet101", PAPER_STRIDE, 44_048_532, 183_588_880_384),
        backbones=("resnet101", "vgg16"),
        strides=(PAPER_STRIDE,),
        checks=(multiples_of(), dilation_fits(aspp_rates)),
    ),
)
DEEPLABV2_MULTISCALE = Architecture(
    name="deeplabv2_multiscale",
    title="DeepLab v2, three scales",
    citation=_V2,
    paper=NetworkForm(
        build=_v2_three_scales,
        reference=paper_reference("resnet101", PAPER_STRIDE, 44_048_532, 332_754_845_696),
        backbones=("resnet101", "vgg16"),
        strides=(PAPER_STRIDE,),
        checks=(multiples_of(), dilation_fits(aspp_rates, shrunk=round(1 / min(SCALES)))),
    ),
)
DEEPLABV3 = Architecture(
    name="deeplabv3",
    title="DeepLab v3",
    citation="Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017",
    edge=NetworkForm(
        build=_v3_edge,
        reference=edge_reference(873_531, 2_368_083_968),
        checks=(multiples_of(), dilation_fits(atrous_rates)),
    ),
    paper=NetworkForm(
        build=_v3_paper,
        reference=paper_reference("resnet101", 8, 58_040_661, 238_741_356_544),
        backbones=_RESNETS,
        checks=(multiples_of(), dilation_fits(atrous_rates)),
    ),
)
DEEPLABV3PLUS = Architecture(
    name="deeplabv3plus",
    title="DeepLab v3+",
    citation="Chen et al., Encoder-Decoder with Atrous Separable Convolution, ECCV 2018",
    edge=NetworkForm(
        build=functools.partial(_v3plus, widths=EDGE_WIDTHS), reference=edge_reference(900_531, 2_661_066_368)
    ),
    paper=NetworkForm(
        build=functools.partial(_v3plus, widths=PAPER_WIDTHS),
        reference=paper_reference("resnet101", 8, 45_688_261, 189_858_643_968),
    ),
)
