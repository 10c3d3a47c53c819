"""MobileNetV3-Large: inverted residuals with squeeze and excitation, and hard-swish.

Howard et al., "Searching for MobileNetV3", ICCV 2019, table 1; squeeze and excitation: Hu et al., CVPR 2018. Harder on
int8 than ReLU networks: the gate multiplies two quantized tensors, and hard-swish has values below 0. Its minimalistic
variant, without both, is in `mobilenet.py`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from edgeseg.architectures.backbones.backbone import Backbone, PretrainedWeights
from edgeseg.architectures.backbones.features import BackboneName, Features, Strides, round_channels
from edgeseg.architectures.backbones.mobilenet import MOBILENETV3_BLOCKS, mobilenetv3_names
from edgeseg.architectures.blocks import Tensor, conv_bn, depthwise_bn, hard_sigmoid_6

STEM = 16
FILTERS = (
    # kernel, squeeze and excitation, activation of each of MOBILENETV3_BLOCKS
    *((3, False, "relu"),) * 3,
    *((5, True, "relu"),) * 3,
    *((3, False, "hard_swish"),) * 4,
    *((3, True, "hard_swish"),) * 2,
    *((5, True, "hard_swish"),) * 3,
)
SQUEEZE = 4
"""Channels of a block's middle over those that its gate is computed from."""


def mobilenetv3(K: ModuleType, image: Tensor, name: BackboneName, output_stride: int) -> Features:
    """MobileNetV3-Large without its 960-channel end.

    Args:
        K: `keras` or `tf_keras`.
        image: (batch, H, W, 3), values about -1..1.
        name: Width.
        output_stride: 8, 16 or 32.
    """
    x = conv_bn(K, image, STEM, "Conv", kernel=3, stride=2, activation="hard_swish")
    strides, by_stride = Strides(output_stride, 2), {2: x}
    rows = zip(MOBILENETV3_BLOCKS, FILTERS, strict=True)
    for block, ((expanded, filters, wanted), (kernel, squeeze, activation)) in enumerate(rows):
        stride, dilation = strides.step(wanted)
        entry, prefix = x, f"expanded_conv_{block}_" if block else "expanded_conv_"
        if block:
            ratio = expanded / MOBILENETV3_BLOCKS[block - 1][1]
            x = conv_bn(K, x, round_channels(x.shape[-1] * ratio), f"{prefix}expand", activation=activation)
        x = depthwise_bn(
            K, x, f"{prefix}depthwise", kernel=kernel, stride=stride, dilation=dilation, activation=activation
        )
        if squeeze:
            x = squeeze_and_excite(K, x, f"{prefix}squeeze_excite_")
        x = conv_bn(K, x, round_channels(filters * name.width), f"{prefix}project", activation=None)
        if stride == 1 and entry.shape[-1] == x.shape[-1]:
            x = K.layers.Add(name=f"{prefix}add")([entry, x])
        by_stride[strides.stride] = x
    return Features(by_stride, x)


def squeeze_and_excite(K: ModuleType, x: Tensor, prefix: str) -> Tensor:
    """Multiplies each channel by a gate from 0 to 1, computed from the means of all (Howard et al., section 5.3)."""
    channels = x.shape[-1]
    gate = K.layers.GlobalAveragePooling2D(keepdims=True, name=f"{prefix}mean")(x)
    gate = K.layers.Conv2D(round_channels(channels / SQUEEZE), 1, activation="relu", name=f"{prefix}reduce")(gate)
    gate = hard_sigmoid_6(K, K.layers.Conv2D(channels, 1, name=f"{prefix}expand")(gate), f"{prefix}gate")
    gate = K.layers.Rescaling(1 / 6, name=f"{prefix}sixth")(gate)
    return K.layers.Multiply(name=f"{prefix}scale")([x, gate])


def _of_keras_applications(K: ModuleType, name: BackboneName) -> Any:
    return K.applications.MobileNetV3Large(
        input_shape=(224, 224, 3), alpha=name.width, include_top=False, weights="imagenet"
    )


MOBILENETV3 = Backbone(
    name="mobilenetv3",
    title="MobileNetV3-Large",
    build=mobilenetv3,
    pretrained=PretrainedWeights(widths=(0.75, 1.0), load=_of_keras_applications, renamed=mobilenetv3_names()),
)
