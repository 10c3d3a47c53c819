"""ParseNet: the whole image's mean feature, normalised like the local ones and set beside each of them.

Liu, Rabinovich, Berg, "ParseNet: Looking Wider to See Better", ICLR 2016 workshop.

Paper form on DeepLab-LargeFOV's VGG16 (the paper's baseline), 21 classes: 20,528,981 parameters: that network's
20,505,429, 2,048 scales and 21,504 more weights of the classifier.
"""

from __future__ import annotations

from types import ModuleType

from edgeseg.architectures.architecture import Architecture, NetworkForm, edge_reference, paper_reference
from edgeseg.architectures.backbones.registry import build_backbone, parse_backbone
from edgeseg.architectures.backbones.vgg16 import vgg16
from edgeseg.architectures.blocks import Tensor, classifier, conv_bn, conv_relu
from edgeseg.architectures.deeplab import LARGE_FOV_RATE, PAPER_HEAD, PAPER_STRIDE, large_fov_rates
from edgeseg.architectures.network import NetworkSpec, dilation_fits, multiples_of

INITIAL_SCALE = 10.0  # of the normalised features; the paper's section 3.2
EDGE_WIDTH = 192


def _edge(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """Batch normalisation in the place of the L2 norm, which no accelerator has, gives both branches one scale.

    The classifier of a concatenation is the sum of two classifiers; the addition spreads the single vector.
    """
    x = build_backbone(K, image, spec.backbone, spec.output_stride).last
    local = conv_bn(K, x, EDGE_WIDTH, "local", activation="relu")
    context = K.layers.GlobalAveragePooling2D(keepdims=True, name="context_pool")(x)
    context = conv_bn(K, context, EDGE_WIDTH, "context", activation="relu")
    scores = [classifier(K, local, spec.num_classes, "score_local")]
    scores.append(classifier(K, context, spec.num_classes, "score_context"))
    return K.layers.Add(name="logits")(scores)


def _paper(K: ModuleType, image: Tensor, spec: NetworkSpec) -> Tensor:
    """Logits at the size of the input, of stride 8 before they are enlarged."""
    x = vgg16(K, image, parse_backbone(spec.backbone), PAPER_STRIDE, pool=3).last
    x = conv_relu(K, x, PAPER_HEAD, "fc6", kernel=3, dilation=LARGE_FOV_RATE)
    x = K.layers.Dropout(0.5, name="drop6")(x)
    x = conv_relu(K, x, PAPER_HEAD, "fc7")
    x = K.layers.Dropout(0.5, name="drop7")(x)
    context = K.layers.GlobalAveragePooling2D(keepdims=True, name="context_pool")(x)
    context = normalised_and_scaled(K, context, "context")
    context = K.layers.UpSampling2D((x.shape[1], x.shape[2]), name="context_unpool")(context)
    local = normalised_and_scaled(K, x, "local")
    x = K.layers.Concatenate(name="concat")([local, context])
    x = classifier(K, x, spec.num_classes)
    return K.layers.UpSampling2D(PAPER_STRIDE, interpolation="bilinear", name="logits_up")(x)


def normalised_and_scaled(K: ModuleType, x: Tensor, name: str) -> Tensor:
    """Divides each pixel's features by their L2 norm and gives each channel a learnt scale (section 3.2)."""
    x = K.layers.UnitNormalization(axis=-1, name=f"{name}_norm")(x)
    scale = K.initializers.Constant(INITIAL_SCALE)
    return K.layers.DepthwiseConv2D(1, use_bias=False, depthwise_initializer=scale, name=f"{name}_scale")(x)


PARSENET = Architecture(
    name="parsenet",
    title="ParseNet",
    citation="Liu, Rabinovich, Berg, ParseNet: Looking Wider to See Better, ICLR workshop 2016",
    edge=NetworkForm(build=_edge, reference=edge_reference(756_678, 2_073_108_288)),
    paper=NetworkForm(
        build=_paper,
        reference=paper_reference("vgg16", PAPER_STRIDE, 20_528_981, 125_724_263_424),
        backbones=("vgg16",),
        strides=(PAPER_STRIDE,),
        checks=(multiples_of(), dilation_fits(large_fov_rates)),
    ),
)
