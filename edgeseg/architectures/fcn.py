"""FCN-32s, FCN-16s and FCN-8s: a classifier made convolutional, its scores summed with those of finer maps.

Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015; PAMI 2017.

Paper form, VGG16, 21 classes: 136,152,917 parameters (32s), 134,815,994 (16s), 134,489,759 (8s), as the layers of the
authors' Caffe networks (fcn.berkeleyvision.org, voc-fcn*/net.py) add up. As there, the picture is padded by 100 pixels,
nothing behind is, and what is too much is cropped where maps meet and in the end: any input size will do.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import numpy.typing as npt

from edgeseg.architectures.backbones.classic import vgg16
from edgeseg.architectures.backbones.registry import build_backbone, parse_backbone
from edgeseg.architectures.blocks import Tensor, classifier, conv_bn, conv_relu, upsample
from edgeseg.architectures.network import NetworkSpec, require_backbone

EDGE_HEAD = 256
PAPER_HEAD = 4096
PAPER_STRIDE = 32
PAPER_PADDING = 100
SKIP_OFFSETS = {16: 5, 8: 9}
"""Where the score of each stride is cropped to meet the coarser one; the authors' crop layers."""
END_OFFSETS = {32: 19, 16: 27, 8: 31}
"""Where the picture begins in the upsampled scores, by the stride of the last fusion."""


def fcn(skips: int) -> Callable[[ModuleType, Tensor, NetworkSpec], Tensor]:
    """Returns the builder of an FCN that adds the scores of `skips` finer maps: 0 for 32s, 1 for 16s, 2 for 8s.

    The edge form's deepest map has the spec's output stride s instead of 32; it gives logits of stride s, s/2 or s/4,
    by bilinear upsampling where the paper learns it. The paper form gives logits at the size of the input.
    """

    def build(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
        return _edge(K, image, spec, skips) if spec.form == "edge" else _paper(K, image, spec, skips)

    return build


def _edge(K: ModuleType, image: Tensor, spec: NetworkSpec, skips: int) -> Tensor:
    features = build_backbone(K, image, spec.backbone, spec.output_stride)
    x = conv_bn(K, features.last, EDGE_HEAD, "fc6", activation="relu")
    x = conv_bn(K, x, EDGE_HEAD, "fc7", activation="relu")
    x = classifier(K, x, spec.num_classes, "score" if skips else "logits")
    stride = spec.output_stride
    for skip in range(1, skips + 1):
        stride //= 2
        x = upsample(K, x, 2, f"up{skip}")
        finer = classifier(K, features.by_stride[stride], spec.num_classes, f"score_stride{stride}")
        x = K.layers.Add(name="logits" if skip == skips else f"fuse{skip}")([x, finer])
    return x


def _paper(K: ModuleType, image: Tensor, spec: NetworkSpec, skips: int) -> Tensor:
    require_backbone(spec, "vgg16")
    # The first convolution pads by one pixel itself.
    x = K.layers.ZeroPadding2D(PAPER_PADDING - 1, name="pad")(image)
    features = vgg16(K, x, parse_backbone(spec.backbone), PAPER_STRIDE)
    x = conv_relu(K, features.last, PAPER_HEAD, "fc6", kernel=7, padding="valid")
    x = K.layers.Dropout(0.5, name="drop6")(x)
    x = conv_relu(K, x, PAPER_HEAD, "fc7")
    x = K.layers.Dropout(0.5, name="drop7")(x)
    x = classifier(K, x, spec.num_classes, "score_fr")
    stride = PAPER_STRIDE
    for skip in range(1, skips + 1):
        stride //= 2
        x = deconvolution(K, x, 2, f"upscore{skip}")
        finer = classifier(K, features.by_stride[stride], spec.num_classes, f"score_stride{stride}")
        finer = crop_at(K, finer, SKIP_OFFSETS[stride], x.shape[1:3], f"crop_stride{stride}")
        x = K.layers.Add(name=f"fuse{skip}")([x, finer])
    x = deconvolution(K, x, stride, "upscore")
    return crop_at(K, x, END_OFFSETS[stride], spec.size, "logits")


def crop_at(K: ModuleType, x: Tensor, offset: int, size: tuple[int, int], name: str) -> Tensor:
    """Cuts a map of `size` out of another, from row and column `offset` on."""
    margins = [(offset, length - offset - kept) for length, kept in zip(x.shape[1:3], size, strict=True)]
    return K.layers.Cropping2D(tuple(margins), name=name)(x)


def deconvolution(K: ModuleType, x: Tensor, factor: int, name: str) -> Tensor:
    """Learnable upsampling by an even factor, bilinear at first, each class on its own (PAMI 2017, section 4.3).

    n pixels become factor * (n + 1): the kernels of the first and the last reach beyond them.
    """
    channels = x.shape[-1]
    layer = K.layers.Conv2DTranspose(channels, 2 * factor, strides=factor, use_bias=False, name=name)
    y = layer(x)
    layer.set_weights([bilinear_kernel(factor, channels)])
    return y


def bilinear_kernel(factor: int, channels: int) -> npt.NDArray[np.float32]:
    """Returns the transposed convolution (2f, 2f, channels, channels) that upsamples bilinearly by an even factor f."""
    taps = 1 - np.abs(np.arange(2 * factor) - factor + 0.5) / factor
    kernel = np.zeros((2 * factor, 2 * factor, channels, channels), np.float32)
    kernel[:, :, range(channels), range(channels)] = np.outer(taps, taps)[:, :, None]
    return kernel
