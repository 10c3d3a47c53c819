"""DeepLab v3+: atrous spatial pyramid pooling and a decoder that brings back the edges.

Chen, Zhu, Papandreou, Schroff, Adam, "Encoder-Decoder with Atrous Separable Convolution for Semantic Image
Segmentation", ECCV 2018.
"""

from __future__ import annotations

import dataclasses
from types import ModuleType

from edgeseg.architectures.backbones.registry import build_backbone
from edgeseg.architectures.blocks import Tensor, classifier, conv_bn, separable_conv_bn, upsample
from edgeseg.architectures.network import NetworkSpec, require_multiples


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadWidths:
    """Channels of the pyramid's branches, of the reduced low-level features, and of the decoder."""

    pyramid: int
    low_level: int
    decoder: int


EDGE_WIDTHS = HeadWidths(pyramid=128, low_level=24, decoder=96)
PAPER_WIDTHS = HeadWidths(pyramid=256, low_level=48, decoder=256)  # DeepLab v3+, sections 3.1 and 4.1


def deeplabv3plus(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """Builds DeepLab v3+ on an image tensor.

    Args:
        K: `keras` or `tf_keras`.
        image: (batch, H, W, 3), normalised.
        spec: H and W must be multiples of `spec.output_stride`.

    Returns:
        Logits (batch, H/4, W/4, num_classes).
    """
    require_multiples(spec, spec.output_stride)
    widths = EDGE_WIDTHS if spec.form == "edge" else PAPER_WIDTHS
    features = build_backbone(K, image, spec.backbone, spec.output_stride)
    rates = atrous_rates(spec.output_stride)
    x = separable_aspp(K, features.last, widths.pyramid, rates)
    x = upsample(K, x, spec.output_stride // 4, "decoder_up")
    low = conv_bn(K, features.by_stride[4], widths.low_level, "decoder_low", activation="relu")
    x = K.layers.Concatenate(name="decoder_concat")([x, low])
    x = separable_conv_bn(K, x, widths.decoder, "decoder_conv1")
    x = separable_conv_bn(K, x, widths.decoder, "decoder_conv2")
    return classifier(K, x, spec.num_classes)


def atrous_rates(output_stride: int) -> tuple[int, int, int]:
    """Returns the pyramid's dilation rates, 6, 12, 18 at stride 16 and in proportion elsewhere (v3, section 3.3)."""
    return tuple(max(1, rate * 16 // output_stride) for rate in (6, 12, 18))  # type: ignore[return-value]


def separable_aspp(K: ModuleType, x: Tensor, filters: int, rates: tuple[int, ...]) -> Tensor:
    """Atrous spatial pyramid pooling with image-level features (v3, section 3.3; v3+, section 3.1).

    The paper concatenates the pooled image vector, spread over the map, with the other branches and projects the whole
    by a 1x1 convolution. A projection of a concatenation is the sum of the projections of its parts, so here the
    vector's part is added, and the add spreads it: the same function with no upsampling of a 1x1 map, which
    accelerators refuse.
    """
    branches = [conv_bn(K, x, filters, "aspp_1x1", activation="relu")]
    branches += [separable_conv_bn(K, x, filters, f"aspp_rate{rate}", dilation=rate) for rate in rates]
    joined = K.layers.Concatenate(name="aspp_concat")(branches)
    joined = conv_bn(K, joined, filters, "aspp_project", activation=None)
    pooled = K.layers.GlobalAveragePooling2D(keepdims=True, name="aspp_pool")(x)
    pooled = conv_bn(K, pooled, filters, "aspp_pool_conv", activation="relu")
    pooled = K.layers.Conv2D(filters, 1, use_bias=False, name="aspp_pool_project")(pooled)
    x = K.layers.Add(name="aspp_add")([joined, pooled])
    return K.layers.ReLU(name="aspp_relu")(x)
