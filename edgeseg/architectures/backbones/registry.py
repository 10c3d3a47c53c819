"""All backbones by name, and building one.

A backbone is named `<family>_<width>` ("mobilenetv2_0.5"). `_exact` at the end keeps the scaled channel counts as they
are (16 8 12 16 32 48 80 160 for 0.5), as TensorFlow's DeepLab releases do, instead of rounding them to multiples of 8.
"""

from __future__ import annotations

from types import ModuleType

from edgeseg.architectures.backbones.backbone import Backbone
from edgeseg.architectures.backbones.features import BackboneName, Features
from edgeseg.architectures.blocks import Tensor
from edgeseg.errors import unknown_name
from edgeseg.plugins import Registry

_HERE = "edgeseg.architectures.backbones"
BACKBONES: Registry[Backbone] = Registry(
    "backbone",
    "edgeseg.backbones",
    {
        "mobilenetv2": f"{_HERE}.mobilenet:MOBILENETV2",
        "mobilenetv2relu": f"{_HERE}.mobilenet:MOBILENETV2_RELU",
        "mobilenetv3": f"{_HERE}.mobilenetv3:MOBILENETV3",
        "mobilenetv3min": f"{_HERE}.mobilenet:MOBILENETV3_MINIMALISTIC",
        "mobilenetedgetpu": f"{_HERE}.mobilenet_edgetpu:MOBILENET_EDGETPU",
        "efficientnetlite0": f"{_HERE}.mobilenet:EFFICIENTNET_LITE0",
        "resnet18": f"{_HERE}.resnet18:RESNET18",
        "resnet50": f"{_HERE}.resnet:RESNET50",
        "resnet101": f"{_HERE}.resnet:RESNET101",
        "vgg16": f"{_HERE}.vgg16:VGG16",
    },
    Backbone,
)


def list_backbones() -> list[str]:
    """Returns the families of backbones that there are, other packages' among them."""
    return list(BACKBONES)


def parse_backbone(text: str) -> BackboneName:
    """Reads a backbone's name.

    Args:
        text: "mobilenetv2", "mobilenetv2_0.5" or "mobilenetv2_0.5_exact".

    Raises:
        UsageError: The family is unknown, or it has no such width.
    """
    family = text.split("_")[0]
    if family not in BACKBONES:
        raise unknown_name("backbone", text, BACKBONES)
    return BACKBONES[family].parse(text)


def build_backbone(K: ModuleType, image: Tensor, text: str, output_stride: int) -> Features:
    """Builds the backbone called `text` on `image`; see `parse_backbone` for its errors."""
    name = parse_backbone(text)
    return BACKBONES[name.family].build(K, image, name, output_stride)
