"""Backbones: image classifiers cut before their pooling, with the feature maps that decoders take.

A backbone is named `<family>_<width>` ("mobilenetv2_0.5"). `_exact` at the end keeps the scaled channel counts as they
are (16 8 12 16 32 48 80 160 for 0.5), as TensorFlow's DeepLab releases do, instead of rounding them to multiples of 8.
"""

from __future__ import annotations

from types import ModuleType

from edgeseg.architectures.backbones.classic import resnet, vgg16
from edgeseg.architectures.backbones.features import BackboneBuilder, BackboneName, Features
from edgeseg.architectures.backbones.mobilenet import (
    efficientnet_lite0,
    mobilenetv2,
    mobilenetv2_channels,
    mobilenetv3_minimalistic,
)
from edgeseg.architectures.backbones.mobilenet_edgetpu import mobilenet_edgetpu
from edgeseg.architectures.backbones.resnet18 import resnet18
from edgeseg.architectures.blocks import Tensor
from edgeseg.errors import UsageError, unknown_name

__all__ = ["BACKBONES", "BackboneName", "Features", "build_backbone", "mobilenetv2_channels", "parse_backbone"]

BACKBONES: dict[str, BackboneBuilder] = {
    "mobilenetv2": mobilenetv2,
    "mobilenetv3min": mobilenetv3_minimalistic,
    "mobilenetedgetpu": mobilenet_edgetpu,
    "efficientnetlite0": efficientnet_lite0,
    "resnet18": resnet18,
    "resnet50": resnet,
    "resnet101": resnet,
    "vgg16": vgg16,
}

OF_ONE_WIDTH = ("resnet50", "resnet101", "vgg16")


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
    if family in OF_ONE_WIDTH and rest and (width != 1 or exact):
        raise UsageError(f"backbone '{text}': {family} has no other width, expected {family}")
    return BackboneName(family=family, width=width, exact=exact)


def build_backbone(K: ModuleType, image: Tensor, text: str, output_stride: int) -> Features:
    """Builds the backbone called `text` on `image`; see `parse_backbone` for its errors."""
    name = parse_backbone(text)
    return BACKBONES[name.family](K, image, name, output_stride)
