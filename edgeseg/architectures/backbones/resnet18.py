"""ResNet-18 at any width: the backbone whose integer form gains most.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1.

Integer units (dot-product instructions, the Edge TPU's array) multiply many channels at once. A dense 3x3 convolution
keeps them busy; a depthwise one, which has a single channel to sum over, runs no faster in int8 than in float32. So
this network of dense convolutions does more multiply-accumulates than a MobileNetV2 in less time, and gains
three times from int8 where MobileNetV2 at half width gains two (`benchmarks/edge_forms.py`).
"""

from __future__ import annotations

from types import ModuleType

from edgeseg.architectures.backbones.backbone import Backbone
from edgeseg.architectures.backbones.features import BackboneName, Features, Strides, round_channels
from edgeseg.architectures.blocks import Tensor, activate, conv_bn

STAGES = ((64, 2), (128, 2), (256, 2), (512, 2))
"""Channels and blocks of the four stages."""


def resnet18(K: ModuleType, image: Tensor, name: BackboneName, output_stride: int) -> Features:
    """ResNet-18 without its classifier, with two 3x3 convolutions of stride 2 as stem.

    Those stand for the 7x7 convolution and the pooling of the paper, in the manner of He et al., "Bag of Tricks for
    Image Classification", CVPR 2019, section 4.1.

    Args:
        K: `keras` or `tf_keras`.
        image: (batch, H, W, 3), values about -1..1.
        name: Width: 1 has 64 to 512 channels; `exact` keeps channel counts that are no multiple of 8.
        output_stride: 8, 16 or 32.
    """
    channels = [round(c * name.width) if name.exact else round_channels(c * name.width) for c, _ in STAGES]
    x = conv_bn(K, image, channels[0], "conv1_1", kernel=3, stride=2, activation="relu")
    by_stride = {2: x}
    x = conv_bn(K, x, channels[0], "conv1_2", kernel=3, stride=2, activation="relu")
    strides = Strides(output_stride, 4)
    for stage, ((_, blocks), filters) in enumerate(zip(STAGES, channels, strict=True), 2):
        for block in range(1, blocks + 1):
            stride, dilation = strides.step(2 if stage > 2 and block == 1 else 1)
            x = basic_block(K, x, filters, stride, dilation, f"conv{stage}_{block}")
        by_stride[strides.stride] = x
    return Features(by_stride, x)


def basic_block(K: ModuleType, x: Tensor, filters: int, stride: int, dilation: int, name: str) -> Tensor:
    """Two 3x3 convolutions, added to the input, which a 1x1 brings to size where it has to."""
    entry = x
    x = conv_bn(K, x, filters, f"{name}_conv1", kernel=3, stride=stride, dilation=dilation, activation="relu")
    x = conv_bn(K, x, filters, f"{name}_conv2", kernel=3, dilation=dilation, activation=None)
    if stride > 1 or entry.shape[-1] != filters:
        entry = conv_bn(K, entry, filters, f"{name}_shortcut", stride=stride, activation=None)
    return activate(K, K.layers.Add(name=f"{name}_add")([entry, x]), "relu", f"{name}_relu")


RESNET18 = Backbone(name="resnet18", title="ResNet-18", build=resnet18, exact=True)
