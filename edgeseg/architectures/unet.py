"""U-Net: an encoder and a decoder of the same depth, joined at every level.

Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015.

Paper form, `unet_unpadded`: the paper's figure 1, unpadded, 572x572 to 388x388; `unet`: the same with every convolution
keeping the size, input sizes being multiples of 16. 31,031,810 parameters for 3 channels in and 2 classes out (31.0 M;
31,030,658 for the paper's single channel).
"""

from __future__ import annotations

from types import ModuleType

from edgeseg.architectures.backbones.registry import build_backbone
from edgeseg.architectures.blocks import Tensor, classifier, conv_bn, conv_relu, upsample
from edgeseg.architectures.network import NetworkSpec, require_backbone, require_multiples
from edgeseg.errors import UsageError

PAPER_WIDTH = 64
PAPER_DEPTH = 4
EDGE_WIDTHS = {32: 160, 16: 128, 8: 96, 4: 24, 2: 16}
"""Channels of the edge form's decoder at each stride: few where the maps are large, so that they fit on a chip."""


def unet(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """Builds U-Net.

    Args:
        K: `keras` or `tf_keras`.
        image: (batch, H, W, 3), normalised.
        spec: In paper form the backbone is "unet" (its own encoder).

    Returns:
        Logits: (batch, H/2, W/2, num_classes) in edge form, where the encoder is any backbone; (batch, H, W,
        num_classes) in paper form.
    """
    if spec.form == "edge":
        return _edge(K, image, spec)
    require_backbone(spec, "own")
    require_multiples(spec, 2**PAPER_DEPTH)
    return _paper(K, image, spec, "same")


def unet_unpadded(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """Builds the unpadded U-Net, whose map of logits is 184 pixels smaller than its input (paper form only).

    Raises:
        UsageError: The edge form was asked for, or the input size leaves an odd map before a pooling.
    """
    if spec.form == "edge":
        raise UsageError("unet_unpadded has no edge form: expected --arch unet, which keeps the input's size")
    require_backbone(spec, "own")
    if not all(map(unpadded_fits, spec.size)):
        near = "x".join(str(nearest_unpadded(length)) for length in spec.size)
        raise UsageError(
            f"input size {spec.height}x{spec.width} of unet_unpadded: expected sides of 188 + 16 n such as 572, "
            f"the nearest is {near}"
        )
    return _paper(K, image, spec, "valid")


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


def _paper(K: ModuleType, image: Tensor, spec: NetworkSpec, padding: str) -> Tensor:
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
