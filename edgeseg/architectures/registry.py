"""All architectures by name, and building one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from edgeseg.architectures.blocks import Tensor
from edgeseg.architectures.deeplab import deeplabv3plus
from edgeseg.architectures.deeplab_classic import deeplabv1, deeplabv2, deeplabv2_multiscale, deeplabv3
from edgeseg.architectures.fcn import fcn
from edgeseg.architectures.network import NetworkSpec
from edgeseg.architectures.panoptic_deeplab import panoptic_deeplab
from edgeseg.architectures.parsenet import parsenet
from edgeseg.architectures.pspnet import pspnet
from edgeseg.architectures.unet import unet, unet_unpadded
from edgeseg.errors import unknown_name


@dataclass(frozen=True)
class Figures:
    """What a form costs.

    Attributes:
        parameters: Trainable parameters.
        multiply_accumulates: Of one picture.
    """

    parameters: int
    multiply_accumulates: int


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """An architecture's builder, where it was published, and what it is built on.

    Attributes:
        build: (K, image, spec) -> logits.
        title: Its name in print.
        paper: Authors, title, venue.
        paper_backbones: The backbones of its paper form, the paper's own first.
        paper_size: An input size (height, width) of the paper form.
        paper_figures: What the paper form costs on its first backbone at that size, for 21 classes (PASCAL VOC).
        edge_figures: What the edge form costs on `EDGE_REFERENCE`; None if there is no edge form.
    """

    build: Callable[[ModuleType, Tensor, NetworkSpec], Tensor]
    title: str
    paper: str
    paper_backbones: tuple[str, ...]
    paper_size: tuple[int, int]
    paper_figures: Figures
    edge_figures: Figures | None

    @property
    def has_edge_form(self) -> bool:
        """Whether it has an edge form, which takes any backbone."""
        return self.edge_figures is not None


PAPER_CLASSES = 21
EDGE_REFERENCE: dict[str, Any] = {
    "backbone": "resnet18_0.25",
    "num_classes": 11,
    "height": 360,
    "width": 480,
    "output_stride": 8,
}
"""The network whose cost `edge_figures` tells."""


_FCN = "Long, Shelhamer, Darrell, Fully Convolutional Networks for Semantic Segmentation, CVPR 2015"
_UNET = "Ronneberger, Fischer, Brox, U-Net, MICCAI 2015"
_RESNETS = ("resnet101", "resnet50")

ARCHITECTURES: dict[str, Architecture] = {
    "fcn32s": Architecture(
        build=fcn(0),
        title="FCN-32s",
        paper=_FCN,
        paper_backbones=("vgg16",),
        paper_size=(512, 512),
        paper_figures=Figures(136_152_917, 190_194_856_704),
        edge_figures=Figures(804_667, 2_274_048_000),
    ),
    "fcn16s": Architecture(
        build=fcn(1),
        title="FCN-16s",
        paper=_FCN,
        paper_backbones=("vgg16",),
        paper_size=(512, 512),
        paper_figures=Figures(134_815_994, 190_281_890_448),
        edge_figures=Figures(804_854, 2_275_948_800),
    ),
    "fcn8s": Architecture(
        build=fcn(2),
        title="FCN-8s",
        paper=_FCN,
        paper_backbones=("vgg16",),
        paper_size=(512, 512),
        paper_figures=Figures(134_489_759, 190_366_583_952),
        edge_figures=Figures(805_041, 2_283_552_000),
    ),
    "unet": Architecture(
        build=unet,
        title="U-Net",
        paper=_UNET,
        paper_backbones=("own",),
        paper_size=(512, 512),
        paper_figures=Figures(31_033_045, 193_005_092_864),
        edge_figures=Figures(738_843, 2_500_070_400),
    ),
    "unet_unpadded": Architecture(
        build=unet_unpadded,
        title="U-Net, unpadded",
        paper=_UNET,
        paper_backbones=("own",),
        paper_size=(572, 572),
        paper_figures=Figures(31_033_045, 150_985_770_752),
        edge_figures=None,
    ),
    "pspnet": Architecture(
        build=pspnet,
        title="PSPNet",
        paper="Zhao et al., Pyramid Scene Parsing Network, CVPR 2017",
        paper_backbones=_RESNETS,
        paper_size=(473, 473),
        paper_figures=Figures(65_708_501, 229_820_720_320),
        edge_figures=Figures(790_715, 2_147_059_712),
    ),
    "deeplabv1": Architecture(
        build=deeplabv1,
        title="DeepLab v1 (LargeFOV)",
        paper="Chen et al., Semantic Image Segmentation with Deep Convolutional Nets and CRFs, ICLR 2015",
        paper_backbones=("vgg16",),
        paper_size=(512, 512),
        paper_figures=Figures(20_505_429, 125_631_987_712),
        edge_figures=Figures(738_619, 2_096_409_600),
    ),
    "deeplabv2": Architecture(
        build=deeplabv2,
        title="DeepLab v2 (ASPP)",
        paper="Chen et al., DeepLab, PAMI 2018",
        paper_backbones=("resnet101", "vgg16"),
        paper_size=(512, 512),
        paper_figures=Figures(44_048_532, 183_588_880_384),
        edge_figures=Figures(846_907, 2_382_566_400),
    ),
    "deeplabv2_multiscale": Architecture(
        build=deeplabv2_multiscale,
        title="DeepLab v2, three scales",
        paper="Chen et al., DeepLab, PAMI 2018",
        paper_backbones=("resnet101", "vgg16"),
        paper_size=(512, 512),
        paper_figures=Figures(44_048_532, 332_754_845_696),
        edge_figures=None,
    ),
    "deeplabv3": Architecture(
        build=deeplabv3,
        title="DeepLab v3",
        paper="Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017",
        paper_backbones=_RESNETS,
        paper_size=(512, 512),
        paper_figures=Figures(58_040_661, 238_741_356_544),
        edge_figures=Figures(873_531, 2_368_083_968),
    ),
    "deeplabv3plus": Architecture(
        build=deeplabv3plus,
        title="DeepLab v3+",
        paper="Chen et al., Encoder-Decoder with Atrous Separable Convolution, ECCV 2018",
        paper_backbones=_RESNETS,
        paper_size=(512, 512),
        paper_figures=Figures(45_688_261, 189_858_643_968),
        edge_figures=Figures(900_531, 2_661_066_368),
    ),
    "panoptic_deeplab": Architecture(
        build=panoptic_deeplab,
        title="Panoptic-DeepLab, semantic branch",
        paper="Cheng et al., Panoptic-DeepLab, CVPR 2020",
        paper_backbones=("resnet50", "resnet101"),
        paper_size=(512, 512),
        paper_figures=Figures(26_845_749, 112_013_410_304),
        edge_figures=Figures(818_947, 2_416_511_168),
    ),
    "parsenet": Architecture(
        build=parsenet,
        title="ParseNet",
        paper="Liu, Rabinovich, Berg, ParseNet: Looking Wider to See Better, ICLR workshop 2016",
        paper_backbones=("vgg16",),
        paper_size=(512, 512),
        paper_figures=Figures(20_528_981, 125_724_263_424),
        edge_figures=Figures(756_678, 2_073_108_288),
    ),
}


def build_network(K: ModuleType, spec: NetworkSpec, *, batch_size: int | None = None) -> Any:
    """Builds a network.

    Args:
        K: The module `keras` or `tf_keras`.
        spec: What to build.
        batch_size: A fixed batch size, as conversion wants it (1), or None for any.

    Returns:
        A `K.Model` from (batch, H, W, channels) float images to logits (batch, h, w, num_classes).

    Raises:
        UsageError: The architecture or its backbone is unknown, or the size does not fit.
    """
    if spec.architecture not in ARCHITECTURES:
        raise unknown_name("architecture", spec.architecture, ARCHITECTURES)
    image = K.Input(batch_shape=(batch_size, *spec.size, spec.channels), name="image")
    logits = ARCHITECTURES[spec.architecture].build(K, image, spec)
    return K.Model(image, logits, name=spec.architecture)
