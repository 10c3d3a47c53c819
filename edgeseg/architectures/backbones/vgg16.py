"""VGG16, the backbone of FCN, DeepLab v1 and ParseNet.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
"""

from __future__ import annotations

from types import ModuleType

from edgeseg.architectures.backbones.backbone import Backbone
from edgeseg.architectures.backbones.features import BackboneName, Features, Strides
from edgeseg.architectures.blocks import Tensor, conv_relu

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of the five stages: table 1, column D."""


def vgg16(
    K: ModuleType, image: Tensor, name: BackboneName, output_stride: int, *, pool: int = 2, prefix: str = ""
) -> Features:
    """VGG16's 13 convolutions and 5 poolings, with biases and without batch normalisation; 14,714,688 parameters.

    Poolings beyond `output_stride` keep the size, and what follows is dilated (Chen et al., "DeepLab", ICLR 2015,
    section 3.1).

    Args:
        K: `keras` or `tf_keras`.
        image: (batch, H, W, 3).
        name: Width 1; VGG16 has no other.
        output_stride: 8, 16 or 32.
        pool: Side of the pooling windows; DeepLab takes 3.
        prefix: Of the layers' names.

    Returns:
        `by_stride[s]` is the output of the last pooling of stride s.
    """
    del name
    x, strides, by_stride = image, Strides(output_stride, 1), {}
    for stage, (filters, convolutions) in enumerate(STAGES, 1):
        dilation = strides.dilation
        for number in range(1, convolutions + 1):
            x = conv_relu(K, x, filters, f"{prefix}conv{stage}_{number}", kernel=3, dilation=dilation)
        stride, _ = strides.step(2)
        window = pool if stride == 2 else 3
        x = K.layers.MaxPooling2D(window, stride, padding="same", name=f"{prefix}pool{stage}")(x)
        by_stride[strides.stride] = x
    return Features(by_stride, x)


VGG16 = Backbone(name="vgg16", title="VGG16", build=vgg16, widths=(1.0, 1.0))
