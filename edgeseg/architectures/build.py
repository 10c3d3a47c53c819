"""Building a network by name: the library's way in to the architectures."""

from __future__ import annotations

from typing import Any

import keras

from edgeseg.architectures.registry import build_network, describe_network
from edgeseg.card import Form


def build(
    architecture: str = "deeplabv3plus",
    *,
    num_classes: int,
    backbone: str | None = None,
    size: tuple[int, int] = (240, 320),
    form: Form = "edge",
    output_stride: int | None = None,
    channels: int = 3,
) -> Any:
    """Builds a network with random weights.

    Example:
        >>> network = edgeseg.build("deeplabv3plus", backbone="resnet18_0.25", num_classes=4, size=(96, 128))
        >>> network.output.shape
        (None, 24, 32, 4)

    Args:
        architecture: One of `list_architectures()`.
        num_classes: 2 to 255.
        backbone: "family_width", the family one of `list_backbones()`; the form's usual one if None.
        size: (height, width) of the input, pixels.
        form: "edge" is written so that all of it quantizes and runs on every target; "paper" is the paper's network.
        output_stride: 8, 16 or 32: input size over the size of the encoder's last map; the form's usual one if None.
        channels: Of the input.

    Returns:
        A `keras.Model` from (batch, height, width, channels) images, normalised to about -1..1, to logits (batch, h,
        w, num_classes); h and w are the size, or the size over a stride.

    Raises:
        UsageError: Something is unknown, or the architecture does not take it; the message says what it takes.
    """
    spec = describe_network(
        architecture, num_classes=num_classes, backbone=backbone, size=size, form=form, output_stride=output_stride,
        channels=channels,
    )  # fmt: skip
    return build_network(keras, spec)
