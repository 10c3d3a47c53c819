"""Backbones: image classifiers cut before their pooling, with the feature maps that decoders take.

A backbone is named `<family>_<width>` ("mobilenetv2_0.5"). `_exact` at the end keeps the scaled channel counts as they
are (16 8 12 16 32 48 80 160 for 0.5), as TensorFlow's DeepLab releases do, instead of rounding them to multiples of 8.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import ModuleType

from edgeseg.architectures.blocks import Tensor, conv_bn, depthwise_bn
from edgeseg.errors import UsageError, unknown_name


@dataclasses.dataclass(frozen=True)
class Features:
    """A backbone's outputs: `by_stride[s]` is the last map of stride s (2, 4, ...), `last` the deepest."""

    by_stride: dict[int, Tensor]
    last: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackboneName:
    """A parsed backbone name."""

    family: str
    width: float
    exact: bool

    def __str__(self) -> str:
        return f"{self.family}_{self.width:g}{'_exact' if self.exact else ''}"


BackboneBuilder = Callable[[ModuleType, Tensor, BackboneName, int], Features]


def round_channels(channels: float, divisor: int = 8) -> int:
    """Rounds to a multiple of `divisor`, never by more than 10 % down (MobileNetV2's `_make_divisible`)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


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


def mobilenetv2_channels(name: BackboneName) -> tuple[int, ...]:
    """Returns the output channels of the stem and of the seven stages."""
    wide = (MOBILENETV2_STEM, *(stage[1] for stage in MOBILENETV2_STAGES))
    if name.exact:
        return tuple(max(8, round(c * name.width)) for c in wide)
    return tuple(round_channels(c * name.width) for c in wide)


def mobilenetv2(K: ModuleType, image: Tensor, name: BackboneName, output_stride: int) -> Features:
    """MobileNetV2 without its 1280-channel end; layers are named as in keras.applications.

    Stages that would shrink the map below `output_stride` keep its size and dilate their kernels instead (Chen et al.,
    "Rethinking Atrous Convolution", 2017, section 3.1).

    Args:
        K: `keras` or `tf_keras`.
        image: (batch, H, W, 3), values about -1..1.
        name: Width and rounding.
        output_stride: 8, 16 or 32.
    """
    stem, *channels = mobilenetv2_channels(name)
    x = conv_bn(K, image, stem, "Conv1", kernel=3, stride=2)
    by_stride, stride, dilation, block = {2: x}, 2, 1, 0
    for (expansion, _, repeats, stage_stride), filters in zip(MOBILENETV2_STAGES, channels, strict=True):
        for repeat in range(repeats):
            step, rate = (stage_stride if repeat == 0 else 1), dilation
            if step == 2 and stride == output_stride:
                step, dilation = 1, dilation * 2
            stride *= step
            x = inverted_residual(
                K, x, filters, expansion, step, rate, f"block_{block}_" if block else "expanded_conv_"
            )
            block += 1
        by_stride[stride] = x
    return Features(by_stride, x)


def inverted_residual(
    K: ModuleType, x: Tensor, filters: int, expansion: int, stride: int, dilation: int, prefix: str
) -> Tensor:
    """MobileNetV2's block: expand (1x1), filter (depthwise), project (1x1, linear); adds its input where it fits."""
    entry, channels = x, x.shape[-1]
    if expansion > 1:
        x = conv_bn(K, x, expansion * channels, f"{prefix}expand")
    x = depthwise_bn(K, x, f"{prefix}depthwise", stride=stride, dilation=dilation)
    x = conv_bn(K, x, filters, f"{prefix}project", activation=None)
    if stride == 1 and channels == filters:
        x = K.layers.Add(name=f"{prefix}add")([entry, x])
    return x


BACKBONES: dict[str, BackboneBuilder] = {"mobilenetv2": mobilenetv2}


def parse_backbone(text: str) -> BackboneName:
    """Reads a backbone's name.

    Args:
        text: "mobilenetv2", "mobilenetv2_0.5" or "mobilenetv2_0.5_exact".

    Raises:
        UsageError: The family is unknown, or the width is no number in 0.1-2.
    """
    family, *rest = text.split("_")
    if family not in BACKBONES:
        raise unknown_name("backbone", text, BACKBONES)
    exact = bool(rest) and rest[-1] == "exact"
    number = rest[:-1] if exact else rest
    try:
        width = float(number[0]) if number else 1.0
    except ValueError:
        width = 0.0
    if len(number) > 1 or not 0.1 <= width <= 2:
        raise UsageError(f"backbone '{text}': expected <family>_<width>, such as {family}_0.5, width 0.1 to 2")
    return BackboneName(family=family, width=width, exact=exact)


def build_backbone(K: ModuleType, image: Tensor, text: str, output_stride: int) -> Features:
    """Builds the backbone called `text` on `image`; see `parse_backbone` for its errors."""
    name = parse_backbone(text)
    return BACKBONES[name.family](K, image, name, output_stride)
