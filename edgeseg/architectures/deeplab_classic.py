"""DeepLab v1, v2 and v3: dilated convolutions that see far without losing resolution.

- v1: Chen et al., "Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs", ICLR 2015.
  LargeFOV on VGG16, 21 classes: 20,505,429 parameters (the paper's table: 20.5 M).
- v2: Chen et al., "DeepLab", PAMI 2018. Atrous spatial pyramid pooling (ASPP-L) on VGG16: 37,877,652 parameters as its
  layers add up; on ResNet-101: 44,048,532 trainable.
- v3: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017. On ResNet-101, 21 classes:
  58,040,661 trainable; torchvision's deeplabv3_resnet101 has 60,996,202, of which 2,365,205 are its auxiliary head
  and 590,336 one more 3x3 convolution than the paper has.

The fully connected CRF that v1 and v2 end with is `edgeseg.refine.crf`.
"""

from __future__ import annotations

from types import ModuleType

from edgeseg.architectures.backbones.classic import resnet, vgg16
from edgeseg.architectures.backbones.registry import build_backbone, parse_backbone
from edgeseg.architectures.blocks import Tensor, classifier, conv_bn, conv_relu, separable_conv_bn
from edgeseg.architectures.deeplab import EDGE_WIDTHS, PAPER_WIDTHS, atrous_rates, separable_aspp
from edgeseg.architectures.network import NetworkSpec, require_backbone, require_dilation, require_multiples
from edgeseg.errors import UsageError

LARGE_FOV_RATE = 12
ASPP_RATES = (6, 12, 18, 24)
PAPER_STRIDE = 8
PAPER_HEAD = 1024
EDGE_HEAD = 128
MULTI_GRID = (1, 2, 4)
SCALES = (1.0, 0.75, 0.5)


def deeplabv1(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """Builds DeepLab-LargeFOV: one 3x3 convolution of rate 12 at stride 8 on the deepest map.

    Returns:
        Logits: (batch, H/s, W/s, num_classes) for output stride s in edge form; (batch, H, W, num_classes) in paper
        form.
    """
    return _pyramid_of_scores(K, image, spec, (LARGE_FOV_RATE,))


def deeplabv2(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """Builds DeepLab v2: the scores of four branches of rates 6, 12, 18, 24 at stride 8, summed.

    Returns:
        As `deeplabv1`.
    """
    return _pyramid_of_scores(K, image, spec, ASPP_RATES)


def _pyramid_of_scores(K: ModuleType, image: Tensor, spec: NetworkSpec, rates: tuple[int, ...]) -> Tensor:
    if spec.form == "edge":
        stride = spec.output_stride
        rates = tuple(max(1, rate * PAPER_STRIDE // stride) for rate in rates)
        require_dilation(spec, rates, stride)
        x = build_backbone(K, image, spec.backbone, stride).last
        branches = []
        for rate in rates:
            branch = separable_conv_bn(K, x, EDGE_HEAD, f"fc6_rate{rate}", dilation=rate)
            branches.append(conv_bn(K, branch, EDGE_HEAD, f"fc7_rate{rate}", activation="relu"))
        # The sum of the branches' scores, in one convolution: int8 rounds once instead of at every addition.
        x = K.layers.Concatenate(name="concat")(branches) if len(branches) > 1 else branches[0]
        return classifier(K, x, spec.num_classes)
    require_multiples(spec, PAPER_STRIDE)
    require_dilation(spec, rates, PAPER_STRIDE)
    x = _paper_scores(K, image, spec, rates)
    return K.layers.UpSampling2D(PAPER_STRIDE, interpolation="bilinear", name="logits_up")(x)


def _paper_scores(K: ModuleType, image: Tensor, spec: NetworkSpec, rates: tuple[int, ...]) -> Tensor:
    """Logits of stride 8."""
    require_backbone(spec, *(("vgg16",) if len(rates) == 1 else ("resnet101", "vgg16")))
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


def deeplabv2_multiscale(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """Builds DeepLab v2 as the paper evaluates it: on the picture at scales 1, 0.75 and 0.5, with shared weights.

    The scores of each scale are brought to the picture's size, and each class keeps its largest (section 4.1.2). Paper
    form only: it costs nearly twice the single scale.

    Returns:
        Logits (batch, H, W, num_classes).
    """
    if spec.form == "edge":
        raise UsageError("deeplabv2_multiscale has no edge form: expected --arch deeplabv2, its single scale")
    require_multiples(spec, PAPER_STRIDE)
    require_dilation(spec, ASPP_RATES, int(PAPER_STRIDE / min(SCALES)))
    any_size = K.Input((None, None, image.shape[-1]), name="any_scale")
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


def _fully_connected(K: ModuleType, x: Tensor, rate: int) -> Tensor:
    x = conv_relu(K, x, PAPER_HEAD, f"fc6_rate{rate}", kernel=3, dilation=rate)
    x = K.layers.Dropout(0.5, name=f"drop6_rate{rate}")(x)
    x = conv_relu(K, x, PAPER_HEAD, f"fc7_rate{rate}")
    return K.layers.Dropout(0.5, name=f"drop7_rate{rate}")(x)


def sum_of_scores(K: ModuleType, branches: list[Tensor], num_classes: int) -> Tensor:
    """Classifies every branch and adds up what they say."""
    if len(branches) == 1:
        return classifier(K, branches[0], num_classes)
    scores = [classifier(K, branch, num_classes, f"score{index}") for index, branch in enumerate(branches)]
    total = scores[0]
    for index, score in enumerate(scores[1:], 1):
        total = K.layers.Add(name="logits" if index == len(scores) - 1 else f"sum{index}")([total, score])
    return total


def deeplabv3(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """Builds DeepLab v3: a pyramid with image pooling and batch normalisation, at output stride 8 or 16.

    Returns:
        As `deeplabv1`.
    """
    rates = atrous_rates(spec.output_stride)
    require_dilation(spec, rates, spec.output_stride)
    if spec.form == "edge":
        x = build_backbone(K, image, spec.backbone, spec.output_stride).last
        return classifier(K, separable_aspp(K, x, EDGE_WIDTHS.pyramid, rates), spec.num_classes)
    require_backbone(spec, "resnet50", "resnet101")
    require_multiples(spec, spec.output_stride)
    x = resnet(K, image, parse_backbone(spec.backbone), spec.output_stride, multi_grid=MULTI_GRID).last
    branches = [conv_bn(K, x, PAPER_WIDTHS.pyramid, "aspp_1x1", activation="relu")]
    for rate in rates:
        branches.append(
            conv_bn(K, x, PAPER_WIDTHS.pyramid, f"aspp_rate{rate}", kernel=3, dilation=rate, activation="relu")
        )
    pooled = K.layers.GlobalAveragePooling2D(keepdims=True, name="aspp_pool")(x)
    pooled = conv_bn(K, pooled, PAPER_WIDTHS.pyramid, "aspp_pool_conv", activation="relu")
    branches.append(K.layers.UpSampling2D((x.shape[1], x.shape[2]), name="aspp_pool_up")(pooled))
    x = K.layers.Concatenate(name="aspp_concat")(branches)
    x = conv_bn(K, x, PAPER_WIDTHS.pyramid, "aspp_project", activation="relu")
    x = classifier(K, x, spec.num_classes)
    return K.layers.UpSampling2D(spec.output_stride, interpolation="bilinear", name="logits_up")(x)
