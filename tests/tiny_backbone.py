"""A backbone of four layers, added as one from elsewhere: for tests of what is the same around any network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_backbone() -> Iterator[str]:
    """The name of a backbone that has the strides 2 to 16: a stem, then depthwise convolutions of 8 channels."""
    from edgeseg.architectures.backbones.backbone import Backbone
    from edgeseg.architectures.backbones.registry import BACKBONES

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES.own, "tiny", Backbone(name="tiny", title="Tiny", build=four_layers))
        yield "tiny"


def four_layers(K: Any, image: Any, name: Any, output_stride: int) -> Any:
    from edgeseg.architectures.backbones.features import Features, Strides
    from edgeseg.architectures.blocks import conv_bn, depthwise_bn

    x = conv_bn(K, image, 8, "stem", kernel=3, stride=2)
    strides, by_stride = Strides(output_stride, 2), {2: x}
    for number in range(3):
        stride, dilation = strides.step(2)
        x = depthwise_bn(K, x, f"layer{number}", stride=stride, dilation=dilation)
        by_stride[strides.stride] = x
    return Features(by_stride, x)
