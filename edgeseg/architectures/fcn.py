"""FCN-32s, FCN-16s and FCN-8s: a classifier made convolutional, its scores summed with those of finer maps.

Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015; PAMI 2017.

Paper form, VGG16, 21 classes: 136,152,917 parameters (32s), 134,815,994 (16s), 134,489,759 (8s), as the layers of the
authors' Caffe networks (fcn.berkeleyvision.org, voc-fcn*/net.py) add up. As there, the image is padded by 100 pixels,
nothing behind is, and what is too much is cropped where maps meet and in the end: any input size will do.
"""

from __future__ import annotations

import functools
from types import ModuleType

import numpy as np
import numpy.typing as npt

from edgeseg.architectures.architecture import (
    Architecture,
    NetworkForm,
    Reference,
    edge_reference,
    paper_reference,
)
from edgeseg.architectures.backbones.registry import build_backbone, parse_backbone
from edgeseg.architectures.backbones.vgg16 import vgg16
from edgeseg.architectures.blocks import Tensor, classifier, conv_bn, conv_relu, upsample
from edgeseg.architectures.network import NetworkSpec

EDGE_HEAD = 256
PAPER_HEAD = 4096
PAPER_STRIDE = 32
PAPER_PADDING = 100
SKIP_OFFSETS = {16: 5, 8: 9}
"""Where the score of each stride is cropped to meet the coarser one; the authors' crop layers."""
END_OFFSETS = {32: 19, 16: 27, 8: 31}
"""Where the image begins in the upsampled scores, by the stride of the last fusion."""


def _edge(K: ModuleType, image: Tensor, spec: NetworkSpec, *, skips: int) -> Tensor:
    """Logits of stride s, s/2 or s/4, upsampled bilinearly where the paper learns it.

    The deepest map has the spec's output stride s instead of 32.
    """
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


def _paper(K: ModuleType, image: Tensor, spec: NetworkSpec, *, skips: int) -> Tensor:
    """Logits at the size of the input."""
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


def _fcn(stride: int, skips: int, edge: Reference, paper: Reference) -> Architecture:
    """An FCN that adds the scores of `skips` finer maps to the deepest."""
    return Architecture(
        name=f"fcn{stride}s",
        title=f"FCN-{stride}s",
        citation="Long, Shelhamer, Darrell, Fully Convolutional Networks for Semantic Segmentation, CVPR 2015",
        edge=NetworkForm(build=functools.partial(_edge, skips=skips), reference=edge),
        paper=NetworkForm(
            build=functools.partial(_paper, skips=skips),
            reference=paper,
            backbones=("vgg16",),
            strides=(PAPER_STRIDE,),
            checks=(),
        ),
    )


FCN32S = _fcn(32, 0, edge_reference(804_667, 2_274_048_000), paper_reference("vgg16", 32, 136_152_917, 190_194_856_704))
FCN16S = _fcn(16, 1, edge_reference(804_854, 2_275_948_800), paper_reference("vgg16", 32, 134_815_994, 190_281_890_448))
FCN8S = _fcn(8, 2, edge_reference(805_041, 2_283_552_000), paper_reference("vgg16", 32, 134_489_759, 190_366_583_952))
