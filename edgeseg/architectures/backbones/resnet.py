"""ResNet-50 and ResNet-101, the backbones of the papers since 2016.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
"""

from __future__ import annotations

from types import ModuleType

from edgeseg.architectures.backbones.backbone import Backbone
from edgeseg.architectures.backbones.features import BackboneName, Features, Strides
from edgeseg.architectures.blocks import Tensor, activate, conv_bn

BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
"""Blocks of the four stages: table 1."""
FILTERS = (64, 128, 256, 512)
"""Of their 3x3 convolutions; a stage gives four times as many channels: table 1."""


def resnet(
    K: ModuleType,
    image: Tensor,
    name: BackboneName,
    output_stride: int,
    *,
    deep_stem: bool = False,
    multi_grid: tuple[int, int, int] = (1, 1, 1),
) -> Features:
    """ResNet-50 or -101 without its classifier: bottlenecks, batch normalisation, no biases.

    Args:
        K: `keras` or `tf_keras`.
        image: (batch, H, W, 3).
        name: Of family "resnet50" or "resnet101", width 1.
        output_stride: 8, 16 or 32.
        deep_stem: Three 3x3 convolutions (64, 64, 128) instead of one 7x7, as in PSPNet's authors' code.
        multi_grid: Factors on the dilation of the last stage's three blocks (DeepLab v3, section 3.2.1).
    """
    if deep_stem:
        x = conv_bn(K, image, 64, "conv1_1", kernel=3, stride=2, activation="relu")
        x = conv_bn(K, x, 64, "conv1_2", kernel=3, activation="relu")
        x = conv_bn(K, x, 128, "conv1_3", kernel=3, activation="relu")
    else:
        x = conv_bn(K, image, 64, "conv1", kernel=7, stride=2, activation="relu")
    by_stride = {2: x}
    x = K.layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    strides = Strides(output_stride, 4)
    for stage, (blocks, filters) in enumerate(zip(BLOCKS[name.family], FILTERS, strict=True), 2):
        stride, _ = strides.step(1 if stage == 2 else 2)
        for block in range(blocks):
            dilation = strides.dilation * (multi_grid[block] if stage == 5 else 1)
            x = bottleneck(K, x, filters, stride if block == 0 else 1, dilation, f"conv{stage}_{block + 1}")
        by_stride[strides.stride] = x
    return Features(by_stride, x)


def bottleneck(K: ModuleType, x: Tensor, filters: int, stride: int, dilation: int, name: str) -> Tensor:
    """1x1, 3x3, 1x1 to 4 * `filters`, added to the input, which a 1x1 brings to size where it has to."""
    entry = x
    x = conv_bn(K, x, filters, f"{name}_reduce", activation="relu")
    x = conv_bn(K, x, filters, f"{name}_conv", kernel=3, stride=stride, dilation=dilation, activation="relu")
    x = conv_bn(K, x, 4 * filters, f"{name}_increase", activation=None)
    if stride > 1 or entry.shape[-1] != 4 * filters:
        entry = conv_bn(K, entry, 4 * filters, f"{name}_shortcut", stride=stride, activation=None)
    return activate(K, K.layers.Add(name=f"{name}_add")([entry, x]), "relu", f"{name}_relu")


RESNET50 = Backbone(name="resnet50", title="ResNet-50", build=resnet, widths=(1.0, 1.0))
RESNET101 = Backbone(name="resnet101", title="ResNet-101", build=resnet, widths=(1.0, 1.0))
