"""MobileNetEdgeTPU: dense 3x3 convolutions where maps are large, depthwise ones where they are small.

Gupta and Akin, "Accelerator-aware Neural Network Design using AutoML", 2020, section 4; channels and blocks as in
tensorflow/models, slim/nets/mobilenet/mobilenet_edgetpu.py. A fused block expands with a 3x3 convolution in place of a
1x1 and a depthwise one: more multiply-accumulates, but ones that integer units and the Edge TPU do many at a time.
"""

from __future__ import annotations

from types import ModuleType

from edgeseg.architectures.backbones.backbone import Backbone
from edgeseg.architectures.backbones.features import BackboneName, Features, Strides, round_channels
from edgeseg.architectures.backbones.mobilenet import inverted_residual
from edgeseg.architectures.blocks import Tensor, conv_bn

STEM, FIRST, END = 32, 16, 1280
"""Channels of the stem, of the first block, which no width scales, and of the end, which no width makes smaller."""

STAGES = (
    # fused, expansion of the first block (of the others: 4), channels, blocks, stride, kernel
    (True, 8, 32, 4, 2, 3),
    (True, 8, 48, 4, 2, 3),
    (False, 8, 96, 4, 2, 3),
    (False, 8, 96, 4, 1, 3),
    (False, 8, 160, 4, 2, 5),
    (False, 8, 192, 1, 1, 3),
)
EXPANSION = 4


def mobilenet_edgetpu(K: ModuleType, image: Tensor, name: BackboneName, output_stride: int) -> Features:
    """MobileNetEdgeTPU with its 1280-channel end, from which DeepLab on it takes its features.

    The first block of a stage does not add its input, even where that would fit.

    Args:
        K: `keras` or `tf_keras`.
        image: (batch, H, W, 3), values about -1..1.
        name: Width; `exact` keeps channel counts that are no multiple of 8.
        output_stride: 8, 16 or 32.
    """

    def scaled(channels: int) -> int:
        return max(8, round(channels * name.width)) if name.exact else round_channels(channels * name.width)

    x = conv_bn(K, image, scaled(STEM), "stem", kernel=3, stride=2, activation="relu")
    x = conv_bn(K, x, FIRST, "block0_project", activation=None)
    strides, by_stride = Strides(output_stride, 2), {2: x}
    for stage, (fused, expansion, channels, blocks, wanted, kernel) in enumerate(STAGES, 1):
        for block in range(blocks):
            stride, dilation = strides.step(wanted if block == 0 else 1)
            prefix, expanded = f"block{stage}_{block}_", x.shape[-1] * (EXPANSION if block else expansion)
            if fused:
                x = fused_residual(K, x, scaled(channels), expanded, stride, dilation, prefix, add=block > 0)
            else:
                x = inverted_residual(
                    K, x, scaled(channels), expanded, stride, dilation, prefix, kernel=kernel, activation="relu",
                    add=block > 0,
                )  # fmt: skip
        by_stride[strides.stride] = x
    x = conv_bn(K, x, max(END, scaled(END)), "end", activation="relu")
    return Features(by_stride, x)


def fused_residual(
    K: ModuleType, x: Tensor, filters: int, expanded: int, stride: int, dilation: int, prefix: str, *, add: bool
) -> Tensor:
    """Expand (3x3), project (1x1, linear); adds its input if `add` says so."""
    entry = x
    x = conv_bn(K, x, expanded, f"{prefix}expand", kernel=3, stride=stride, dilation=dilation, activation="relu")
    x = conv_bn(K, x, filters, f"{prefix}project", activation=None)
    return K.layers.Add(name=f"{prefix}add")([entry, x]) if add else x


MOBILENET_EDGETPU = Backbone(name="mobilenetedgetpu", title="MobileNetEdgeTPU", build=mobilenet_edgetpu, exact=True)
