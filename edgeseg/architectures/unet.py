"""U-Net: an encoder and a decoder of the same depth, joined at every level.

Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015.

Paper form, `unet_unpadded`: the paper's figure 1, unpadded, 572x572 to 388x388; `unet`: the same with every convolution
keeping the size, input sizes being multiples of 16. 31,031,810 parameters for 3 channels in and 2 classes out (31.0 M;
31,030,658 for the paper's single channel).
"""

from __future__ import annotations

import functools
from types import ModuleType

from edgeseg.architectures.architecture import (
    OWN_ENCODER,
    Architecture,
    NetworkForm,
    edge_reference,
    paper_reference,
)
from edgeseg.architectures.backbones.registry import build_backbone
from edgeseg.architectures.blocks import Tensor, classifier, conv_bn, conv_relu, upsample
from edgeseg.architectures.network import NetworkSpec, multiples_of
from edgeseg.errors import UsageError

PAPER_WIDTH = 64
PAPER_DEPTH = 4
UNPADDED_MARGIN = 92
"""Pixels at every side that the unpadded network's 18 convolutions of 3x3, at their strides, take away: 572 to 388."""
EDGE_WIDTHS = {32: 160, 16: 128, 8: 96, 4: 24, 2: 16}
"""Channels of the edge form's decoder at each stride: few where the maps are large, so that they fit on a chip."""


def check_unpadded(spec: NetworkSpec) -> None:
    """Raises UsageError if the input size leaves an odd map before a pooling, or nothing at the end."""
    if not all(map(unpadded_fits, spec.size)):
        near = "x".join(str(nearest_unpadded(length)) for length in spec.size)
        raise UsageError(f"{spec.described}: expected sides of 188 + 16 n such as 572, the nearest is {near}")


def unpadded_fits(length: int) -> bool:
    """Tells whether all maps along the unpadded encoder are even before they are pooled."""
    return length >= 188 and (length - 188) % 16 == 0


def nearest_unpadded(length: int) -> int:
    """Returns the length nearest to `length` that fits."""
    return 188 + 16 * max(0, round((length - 188) / 16))


def _edge(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """The paper's up-convolution in two steps: channels first, on the small map, then size, which costs by channel."""
    features = build_backbone(K, image, spec.backbone, spec.output_stride)
    stride = spec.output_stride
    x = conv_bn(K, features.last, EDGE_WIDTHS[stride], "bottom", activation="relu")
    while stride > 2:
        stride //= 2
        filters = EDGE_WIDTHS[stride]
        x = conv_bn(K, x, filters, f"reduce_stride{stride}", activation="relu")
        x = upsample(K, x, 2, f"up_stride{stride}")
        x = K.layers.Concatenate(name=f"concat_stride{stride}")([x, features.by_stride[stride]])
        for number in (1, 2):
            x = conv_bn(K, x, filters, f"decoder_stride{stride}_conv{number}", kernel=3, activation="relu")
    return classifier(K, x, spec.num_classes)


def _paper(K: ModuleType, image: Tensor, spec: NetworkSpec, *, padding: str) -> Tensor:
    """The paper's figure 1 on its own encoder, with logits of stride 1."""

    def pair(x: Tensor, filters: int, name: str) -> Tensor:
        x = conv_relu(K, x, filters, f"{name}_conv1", kernel=3, padding=padding)
        return conv_relu(K, x, filters, f"{name}_conv2", kernel=3, padding=padding)

    x, levels = image, []
    for level in range(PAPER_DEPTH):
        x = pair(x, PAPER_WIDTH * 2**level, f"down{level + 1}")
        if level == PAPER_DEPTH - 1:
            x = K.layers.Dropout(0.5, name="drop_down")(x)
        levels.append(x)
        x = K.layers.MaxPooling2D(2, name=f"pool{level + 1}")(x)
    x = pair(x, PAPER_WIDTH * 2**PAPER_DEPTH, "bottom")
    x = K.layers.Dropout(0.5, name="drop_bottom")(x)
    for level in reversed(range(PAPER_DEPTH)):
        filters = PAPER_WIDTH * 2**level
        x = K.layers.Conv2DTranspose(filters, 2, strides=2, name=f"up{level + 1}")(x)
        skip = centre_crop(K, levels[level], x.shape[1], x.shape[2], f"crop{level + 1}")
        x = K.layers.Concatenate(name=f"concat{level + 1}")([skip, x])
        x = pair(x, filters, f"up{level + 1}")
    return classifier(K, x, spec.num_classes)


def centre_crop(K: ModuleType, x: Tensor, height: int, width: int, name: str) -> Tensor:
    """Cuts the middle height x width out of a map."""
    rows, columns = x.shape[1] - height, x.shape[2] - width
    if not rows and not columns:
        return x
    margins = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return K.layers.Cropping2D(margins, name=name)(x)


_CITATION = "Ronneberger, Fischer, Brox, U-Net, MICCAI 2015"

UNET = Architecture(
    name="unet",
    title="U-Net",
    citation=_CITATION,
    edge=NetworkForm(build=_edge, reference=edge_reference(738_843, 2_500_070_400)),
    paper=NetworkForm(
        build=functools.partial(_paper, padding="same"),
        reference=paper_reference("own", 16, 31_033_045, 193_005_092_864),
        backbones=OWN_ENCODER,
        strides=(2**PAPER_DEPTH,),
        checks=(multiples_of(),),
    ),
)
UNET_UNPADDED = Architecture(
    name="unet_unpadded",
    title="U-Net, unpadded",
    citation=_CITATION,
    paper=NetworkForm(
        build=functools.partial(_paper, padding="valid"),
        reference=paper_reference("own", 16, 31_033_045, 150_985_770_752, size=(572, 572)),
        backbones=OWN_ENCODER,
        strides=(2**PAPER_DEPTH,),
        checks=(check_unpadded,),
        margin=UNPADDED_MARGIN,
    ),
)
