"""Panoptic-DeepLab's semantic branch: a DeepLab whose decoder brings back the edges in two steps.

Cheng, Collins, Zhu, Liu, Huang, Adam, Chen, "Panoptic-DeepLab: A Simple, Strong, and Fast Baseline for Bottom-Up
Panoptic Segmentation", CVPR 2020, section 3.1: unlike DeepLab v3+ (one skip connection, of stride 4) it takes a second
one, of stride 8. Its instance branch has no place in semantic segmentation.
"""

from __future__ import annotations

from types import ModuleType

from edgeseg.architectures.architecture import Architecture, NetworkForm, edge_reference, paper_reference
from edgeseg.architectures.backbones.features import Features
from edgeseg.architectures.backbones.registry import build_backbone
from edgeseg.architectures.blocks import Tensor, classifier, conv_bn, conv_relu, depthwise_bn, upsample
from edgeseg.architectures.network import NetworkSpec
from edgeseg.architectures.pyramid import atrous_rates, separable_aspp


def _edge(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """MobileNetV2's reduced pyramid, see `reduced_pyramid`, and 3x3 kernels; logits of stride 4."""
    features = build_backbone(K, image, spec.backbone, spec.output_stride)
    x = reduced_pyramid(K, features.last, 128)
    x = _decode(K, x, features, spec.output_stride, skips={8: 48, 4: 24}, decoder=96, kernel=3)
    x = depthwise_bn(K, x, "decoder_depthwise", activation="relu")
    x = conv_bn(K, x, 96, "decoder_pointwise", activation="relu")
    return classifier(K, x, spec.num_classes)


def _paper(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """The full pyramid, 5x5 kernels and 256 channels; logits of stride 4."""
    features = build_backbone(K, image, spec.backbone, spec.output_stride)
    x = separable_aspp(K, features.last, 256, atrous_rates(spec.output_stride))
    x = _decode(K, x, features, spec.output_stride, skips={8: 64, 4: 32}, decoder=256, kernel=5)
    return classifier(K, x, spec.num_classes)


def _decode(
    K: ModuleType, x: Tensor, features: Features, stride: int, *, skips: dict[int, int], decoder: int, kernel: int
) -> Tensor:
    """Enlarges the map to the stride of each skip connection in turn, and joins it with `skips[stride]` channels."""
    for skip, channels in skips.items():
        x = upsample(K, x, stride // skip, f"decoder{skip}_up")
        low = conv_bn(K, features.by_stride[skip], channels, f"decoder{skip}_low", activation="relu")
        x = K.layers.Concatenate(name=f"decoder{skip}_concat")([x, low])
        x = depthwise_bn(K, x, f"decoder{skip}_depthwise", kernel=kernel, activation="relu")
        x = conv_bn(K, x, decoder, f"decoder{skip}_pointwise", activation="relu")
        stride = skip
    return x


def reduced_pyramid(K: ModuleType, x: Tensor, filters: int) -> Tensor:
    """DeepLab v3's pyramid without its dilated branches: a 1x1 convolution and the pooled image.

    Sandler et al., "MobileNetV2", CVPR 2018, section 6.3, which finds the dilated branches to cost much and to bring
    little on a mobile backbone. The pooled vector's part of the projection is added, as in `separable_aspp`; it has a
    bias in place of a batch normalisation, for which a batch of a few vectors is too small.
    """
    branch = conv_bn(K, x, filters, "aspp_1x1", activation="relu")
    joined = conv_bn(K, branch, filters, "aspp_project", activation=None)
    pooled = K.layers.GlobalAveragePooling2D(keepdims=True, name="aspp_pool")(x)
    pooled = conv_relu(K, pooled, filters, "aspp_pool_conv")
    pooled = K.layers.Conv2D(filters, 1, use_bias=False, name="aspp_pool_project")(pooled)
    x = K.layers.Add(name="aspp_add")([joined, pooled])
    return K.layers.ReLU(name="aspp_relu")(x)


PANOPTIC_DEEPLAB = Architecture(
    name="panoptic_deeplab",
    title="Panoptic-DeepLab, semantic branch",
    citation="Cheng et al., Panoptic-DeepLab, CVPR 2020",
    edge=NetworkForm(build=_edge, reference=edge_reference(818_947, 2_416_511_168)),
    paper=NetworkForm(build=_paper, reference=paper_reference("resnet50", 8, 26_845_749, 112_013_410_304)),
)
