"""Atrous spatial pyramid pooling, the heads that DeepLab's versions share.

- The sum of the scores of dilated branches: Chen et al., "DeepLab", PAMI 2018, section 3.2.
- Branches with image-level features, projected together: Chen et al., "Rethinking Atrous Convolution", 2017, section
  3.3; with separable convolutions: Chen et al., "Encoder-Decoder with Atrous Separable Convolution", ECCV 2018,
  section 3.1.
"""

from __future__ import annotations

from types import ModuleType

from edgeseg.architectures.blocks import Tensor, classifier, conv_bn, separable_conv_bn


def atrous_rates(output_stride: int) -> tuple[int, int, int]:
    """Returns the pyramid's dilation rates, 6, 12, 18 at stride 16 and in proportion elsewhere (v3, section 3.3)."""
    return tuple(max(1, rate * 16 // output_stride) for rate in (6, 12, 18))  # type: ignore[return-value]


def separable_aspp(K: ModuleType, x: Tensor, filters: int, rates: tuple[int, ...]) -> Tensor:
    """The pyramid with image-level features and separable convolutions, for every target.

    The paper concatenates the pooled image vector, spread over the map, with the other branches and projects the whole
    by a 1x1 convolution. A projection of a concatenation is the sum of the projections of its parts, so here the
    vector's part is added, and the add spreads it: the same function with no upsampling of a 1x1 map, which
    accelerators refuse.
    """
    branches = [conv_bn(K, x, filters, "aspp_1x1", activation="relu")]
    branches += [separable_conv_bn(K, x, filters, f"aspp_rate{rate}", dilation=rate) for rate in rates]
    joined = K.layers.Concatenate(name="aspp_concat")(branches)
    joined = conv_bn(K, joined, filters, "aspp_project", activation=None)
    pooled = K.layers.GlobalAveragePooling2D(keepdims=True, name="aspp_pool")(x)
    pooled = conv_bn(K, pooled, filters, "aspp_pool_conv", activation="relu")
    pooled = K.layers.Conv2D(filters, 1, use_bias=False, name="aspp_pool_project")(pooled)
    x = K.layers.Add(name="aspp_add")([joined, pooled])
    return K.layers.ReLU(name="aspp_relu")(x)


def aspp(K: ModuleType, x: Tensor, filters: int, rates: tuple[int, ...]) -> Tensor:
    """The pyramid with image-level features as in DeepLab v3: full convolutions, everything concatenated."""
    branches = [conv_bn(K, x, filters, "aspp_1x1", activation="relu")]
    for rate in rates:
        branches.append(conv_bn(K, x, filters, f"aspp_rate{rate}", kernel=3, dilation=rate, activation="relu"))
    pooled = K.layers.GlobalAveragePooling2D(keepdims=True, name="aspp_pool")(x)
    pooled = conv_bn(K, pooled, filters, "aspp_pool_conv", activation="relu")
    branches.append(K.layers.UpSampling2D((x.shape[1], x.shape[2]), name="aspp_pool_up")(pooled))
    x = K.layers.Concatenate(name="aspp_concat")(branches)
    return conv_bn(K, x, filters, "aspp_project", activation="relu")


def sum_of_scores(K: ModuleType, branches: list[Tensor], num_classes: int) -> Tensor:
    """Classifies every branch and adds up what they say."""
    if len(branches) == 1:
        return classifier(K, branches[0], num_classes)
    scores = [classifier(K, branch, num_classes, f"score{index}") for index, branch in enumerate(branches)]
    total = scores[0]
    for index, score in enumerate(scores[1:], 1):
        total = K.layers.Add(name="logits" if index == len(scores) - 1 else f"sum{index}")([total, score])
    return total
