"""MobileNetV2, MobileNetV3 minimalistic and EfficientNet-Lite0: inverted residuals that quantize well."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from edgeseg.architectures.backbones.backbone import Backbone, PretrainedWeights
from edgeseg.architectures.backbones.features import BackboneName, Features, Strides, round_channels
from edgeseg.architectures.blocks import Tensor, conv_bn, depthwise_bn

MOBILENETV2_STEM = 32
MOBILENETV2_STAGES = (
    # expansion, channels, repeats, stride: Sandler et al., "MobileNetV2", CVPR 2018, table 2
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

MOBILENETV3_BLOCKS = (
    # expanded channels, channels, stride: Howard et al., "Searching for MobileNetV3", ICCV 2019, table 1
    (16, 16, 1),
    (64, 24, 2),
    (72, 24, 1),
    (72, 40, 2),
    (120, 40, 1),
    (120, 40, 1),
    (240, 80, 2),
    (200, 80, 1),
    (184, 80, 1),
    (184, 80, 1),
    (480, 112, 1),
    (672, 112, 1),
    (672, 160, 2),
    (960, 160, 1),
    (960, 160, 1),
)

EFFICIENTNET_LITE0_STAGES = (
    # expansion, channels, repeats, stride, kernel: EfficientNet-B0 (Tan and Le, ICML 2019, table 1), whose squeeze and
    # excitation Lite leaves out, with ReLU6 (tensorflow/tpu, efficientnet/lite)
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def mobilenetv2_channels(name: BackboneName) -> tuple[int, ...]:
    """Returns the output channels of the stem and of the seven stages."""
    wide = (MOBILENETV2_STEM, *(stage[1] for stage in MOBILENETV2_STAGES))
    if name.exact:
        return tuple(max(8, round(c * name.width)) for c in wide)
    return tuple(round_channels(c * name.width) for c in wide)


def mobilenetv2(
    K: ModuleType, image: Tensor, name: BackboneName, output_stride: int, *, activation: str = "relu6"
) -> Features:
    """MobileNetV2 without its 1280-channel end; layers are named as in keras.applications.

    Args:
        K: `keras` or `tf_keras`.
        image: (batch, H, W, 3), values about -1..1.
        name: Width and rounding.
        output_stride: 8, 16 or 32.
        activation: "relu6", or "relu", which leaves ranges open: harder on int8, but channels may be equalized.
    """
    stem, *channels = mobilenetv2_channels(name)
    x = conv_bn(K, image, stem, "Conv1", kernel=3, stride=2, activation=activation)
    strides, by_stride, block = Strides(output_stride, 2), {2: x}, 0
    for (expansion, _, repeats, stage_stride), filters in zip(MOBILENETV2_STAGES, channels, strict=True):
        for repeat in range(repeats):
            stride, dilation = strides.step(stage_stride if repeat == 0 else 1)
            prefix = f"block_{block}_" if block else "expanded_conv_"
            expanded = expansion * x.shape[-1] if expansion > 1 else None
            x = inverted_residual(K, x, filters, expanded, stride, dilation, prefix, activation=activation)
            block += 1
        by_stride[strides.stride] = x
    return Features(by_stride, x)


def mobilenetv3_minimalistic(K: ModuleType, image: Tensor, name: BackboneName, output_stride: int) -> Features:
    """MobileNetV3-Large, minimalistic: 3x3 kernels and ReLU only, no squeeze and excitation; without its end.

    The variant that the authors released for accelerators (tensorflow/models, slim/nets/mobilenet).

    Args:
        K: `keras` or `tf_keras`.
        image: (batch, H, W, 3), values about -1..1.
        name: Width.
        output_stride: 8, 16 or 32.
    """
    x = conv_bn(K, image, 16, "Conv", kernel=3, stride=2, activation="relu")
    strides, by_stride = Strides(output_stride, 2), {2: x}
    for block, (expanded, filters, wanted) in enumerate(MOBILENETV3_BLOCKS):
        stride, dilation = strides.step(wanted)
        ratio = expanded / MOBILENETV3_BLOCKS[max(block - 1, 0)][1]
        filters = round_channels(filters * name.width)
        x = inverted_residual(
            K, x, filters, round_channels(x.shape[-1] * ratio) if block else None, stride, dilation,
            f"expanded_conv_{block}_" if block else "expanded_conv_", activation="relu",
        )  # fmt: skip
        by_stride[strides.stride] = x
    return Features(by_stride, x)


def efficientnet_lite0(K: ModuleType, image: Tensor, name: BackboneName, output_stride: int) -> Features:
    """EfficientNet-Lite0 without its 1280-channel end.

    Args:
        K: `keras` or `tf_keras`.
        image: (batch, H, W, 3), values about -1..1.
        name: Width, 1 for the published network.
        output_stride: 8, 16 or 32.
    """
    x = conv_bn(K, image, 32, "stem_conv", kernel=3, stride=2)
    strides, by_stride = Strides(output_stride, 2), {2: x}
    for stage, (expansion, channels, repeats, wanted, kernel) in enumerate(EFFICIENTNET_LITE0_STAGES, 1):
        for repeat in range(repeats):
            stride, dilation = strides.step(wanted if repeat == 0 else 1)
            expanded = expansion * x.shape[-1] if expansion > 1 else None
            x = inverted_residual(
                K, x, round_channels(channels * name.width), expanded, stride, dilation,
                f"block{stage}{chr(ord('a') + repeat)}_", kernel=kernel,
            )  # fmt: skip
        by_stride[strides.stride] = x
    return Features(by_stride, x)


def inverted_residual(
    K: ModuleType,
    x: Tensor,
    filters: int,
    expanded: int | None,
    stride: int,
    dilation: int,
    prefix: str,
    *,
    kernel: int = 3,
    activation: str = "relu6",
    add: bool = True,
) -> Tensor:
    """MobileNetV2's block: expand (1x1), filter (depthwise), project (1x1, linear); adds its input where it fits.

    Args:
        K: `keras` or `tf_keras`.
        x: The input.
        filters: Output channels.
        expanded: Channels in the middle; None for as many as come in, without the first 1x1.
        stride: 1 or 2.
        dilation: Of the depthwise kernel.
        prefix: Of the layers' names.
        kernel: Side of the depthwise kernel.
        activation: "relu6" or "relu".
        add: Whether the input is added at all.
    """
    entry = x
    if expanded is not None:
        x = conv_bn(K, x, expanded, f"{prefix}expand", activation=activation)
    x = depthwise_bn(K, x, f"{prefix}depthwise", kernel=kernel, stride=stride, dilation=dilation, activation=activation)
    x = conv_bn(K, x, filters, f"{prefix}project", activation=None)
    if add and stride == 1 and entry.shape[-1] == filters:
        x = K.layers.Add(name=f"{prefix}add")([entry, x])
    return x


def _of_keras_applications(K: ModuleType, name: BackboneName) -> Any:
    """They are trained on (pixel - 127.5) / 127.5; half a grey level to ours is far below sensor noise."""
    return K.applications.MobileNetV2(
        input_shape=(224, 224, 3), alpha=name.width, include_top=False, weights="imagenet"
    )


def _minimalistic_of_keras_applications(K: ModuleType, name: BackboneName) -> Any:
    return K.applications.MobileNetV3Large(
        input_shape=(224, 224, 3), alpha=name.width, minimalistic=True, include_top=False, weights="imagenet"
    )


def mobilenetv3_names() -> tuple[tuple[str, str], ...]:
    """Pairs the names that keras.applications gives MobileNetV3's layers with ours, where they differ."""
    names = [("conv", "Conv"), ("conv_bn", "Conv_BN")]
    for block in range(len(MOBILENETV3_BLOCKS)):
        prefix = f"expanded_conv_{block}_" if block else "expanded_conv_"
        names += [(f"{prefix}{part}_bn", f"{prefix}{part}_BN") for part in ("expand", "depthwise", "project")]
        gate = f"{prefix}squeeze_excite_"
        names += [(f"{gate}conv", f"{gate}reduce"), (f"{gate}conv_1", f"{gate}expand")]
    return tuple(names)


MOBILENETV2 = Backbone(
    name="mobilenetv2",
    title="MobileNetV2",
    build=mobilenetv2,
    exact=True,
    pretrained=PretrainedWeights(
        widths=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4), load=_of_keras_applications, renamed=(("bn_Conv1", "Conv1_BN"),)
    ),
)
MOBILENETV2_RELU = Backbone(
    name="mobilenetv2relu",
    title="MobileNetV2 with ReLU",
    build=functools.partial(mobilenetv2, activation="relu"),
    exact=True,
)
MOBILENETV3_MINIMALISTIC = Backbone(
    name="mobilenetv3min",
    title="MobileNetV3-Large, minimalistic",
    build=mobilenetv3_minimalistic,
    pretrained=PretrainedWeights(widths=(1.0,), load=_minimalistic_of_keras_applications, renamed=mobilenetv3_names()),
)
EFFICIENTNET_LITE0 = Backbone(name="efficientnetlite0", title="EfficientNet-Lite0", build=efficientnet_lite0)
