"""The pieces that all networks are built from.

Every function takes the Keras namespace `K` (the module `keras` or `tf_keras`) first and uses its layers only, so one
definition trains on any Keras 3 backend, quantizes with tfmot and converts to TFLite. Tensors are (batch, rows,
columns, channels). Every layer has a name: weights are carried over by it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

Tensor = Any
"""A symbolic Keras tensor of either namespace."""

BATCH_NORM_MOMENTUM = 0.97
BATCH_NORM_EPSILON = 1e-3


def batch_norm(K: ModuleType, x: Tensor, name: str) -> Tensor:
    """Batch normalisation (Ioffe and Szegedy, 2015) over each channel."""
    return K.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=name)(x)


def activate(K: ModuleType, x: Tensor, activation: str | None, name: str) -> Tensor:
    """Applies "relu6", "relu", "hard_swish" or, for None, nothing."""
    if activation is None:
        return x
    if activation == "hard_swish":
        return hard_swish(K, x, name)
    limit = {"relu": None, "relu6": 6.0}[activation]
    return K.layers.ReLU(limit, name=name)(x)


def hard_swish(K: ModuleType, x: Tensor, name: str) -> Tensor:
    """X * ReLU6(x + 3) / 6 (Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2).

    As an addition and two products, in this order: the converter would make other orders one HARD_SWISH, which XNNPACK
    does not run in int8.
    """
    sixth = K.layers.Rescaling(1 / 6, name=f"{name}_sixth")(x)
    return K.layers.Multiply(name=name)([sixth, hard_sigmoid_6(K, x, f"{name}_gate")])


def hard_sigmoid_6(K: ModuleType, x: Tensor, name: str) -> Tensor:
    """ReLU6(x + 3): six times the hard sigmoid."""
    shifted = K.layers.Rescaling(1.0, offset=3.0, name=f"{name}_shifted")(x)
    return K.layers.ReLU(6.0, name=name)(shifted)


def conv_bn(
    K: ModuleType,
    x: Tensor,
    filters: int,
    name: str,
    *,
    kernel: int = 1,
    stride: int = 1,
    dilation: int = 1,
    activation: str | None = "relu6",
) -> Tensor:
    """Convolution without bias, batch normalisation, activation; rows and columns shrink by `stride`, rounded up."""
    x = K.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        dilation_rate=dilation,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = batch_norm(K, x, f"{name}_BN")
    return activate(K, x, activation, f"{name}_relu")


def conv_relu(
    K: ModuleType,
    x: Tensor,
    filters: int,
    name: str,
    *,
    kernel: int = 1,
    dilation: int = 1,
    padding: str = "same",
    activation: str | None = "relu",
) -> Tensor:
    """Convolution with bias, activation: the layer of the networks before batch normalisation."""
    x = K.layers.Conv2D(
        filters, kernel, dilation_rate=dilation, padding=padding, kernel_initializer="he_normal", name=name
    )(x)
    return activate(K, x, activation, f"{name}_relu")


def depthwise_bn(
    K: ModuleType,
    x: Tensor,
    name: str,
    *,
    kernel: int = 3,
    stride: int = 1,
    dilation: int = 1,
    activation: str | None = "relu6",
) -> Tensor:
    """Depthwise convolution without bias, batch normalisation, activation."""
    x = K.layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        dilation_rate=dilation,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=name,
    )(x)
    x = batch_norm(K, x, f"{name}_BN")
    return activate(K, x, activation, f"{name}_relu")


def separable_conv_bn(
    K: ModuleType, x: Tensor, filters: int, name: str, *, dilation: int = 1, activation: str = "relu"
) -> Tensor:
    """3x3 depthwise, then 1x1 convolution, each normalised and activated (DeepLab v3+, section 3.1)."""
    x = depthwise_bn(K, x, f"{name}_depthwise", dilation=dilation, activation=activation)
    return conv_bn(K, x, filters, f"{name}_pointwise", activation=activation)


def upsample(K: ModuleType, x: Tensor, factor: int, name: str) -> Tensor:
    """Bilinear upsampling with half-pixel centres, by a power of two, in steps of two that every accelerator takes."""
    step = 2
    while factor > 1:
        x = K.layers.UpSampling2D(step, interpolation="bilinear", name=f"{name}_x{step}_{factor}")(x)
        factor //= step
    return x


def classifier(K: ModuleType, x: Tensor, num_classes: int, name: str = "logits") -> Tensor:
    """1x1 convolution with bias to one channel a class."""
    return K.layers.Conv2D(num_classes, 1, kernel_initializer="glorot_uniform", name=name)(x)
