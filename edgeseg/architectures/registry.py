"""All architectures by name, and building one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from edgeseg.architectures.blocks import Tensor
from edgeseg.architectures.deeplab import deeplabv3plus
from edgeseg.architectures.network import NetworkSpec
from edgeseg.errors import unknown_name


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """An architecture's builder and where it was published."""

    build: Callable[[ModuleType, Tensor, NetworkSpec], Tensor]
    title: str
    paper: str


ARCHITECTURES: dict[str, Architecture] = {
    "deeplabv3plus": Architecture(
        build=deeplabv3plus,
        title="DeepLab v3+",
        paper="Chen et al., Encoder-Decoder with Atrous Separable Convolution, ECCV 2018",
    ),
}


def build_network(K: ModuleType, spec: NetworkSpec, *, batch_size: int | None = None, fixed_size: bool = True) -> Any:
    """Builds a network.

    Args:
        K: The module `keras` or `tf_keras`.
        spec: What to build.
        batch_size: A fixed batch size, as conversion wants it (1), or None for any.
        fixed_size: Whether the input has the spec's height and width, or takes any that the stride divides (training
            on crops).

    Returns:
        A `K.Model` from (batch, H, W, 3) float images to logits (batch, h, w, num_classes).

    Raises:
        UsageError: The architecture or its backbone is unknown, or the size does not fit.
    """
    if spec.architecture not in ARCHITECTURES:
        raise unknown_name("architecture", spec.architecture, ARCHITECTURES)
    rows, columns = spec.size if fixed_size else (None, None)
    image = K.Input(batch_shape=(batch_size, rows, columns, 3), name="image")
    logits = ARCHITECTURES[spec.architecture].build(K, image, spec)
    return K.Model(image, logits, name=spec.architecture)
