"""What network to build, and building it.

To add an architecture: write its file with a function (K, image, spec) -> logits, and add its line in
`edgeseg/architectures/registry.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from edgeseg.card import Form
from edgeseg.errors import UsageError, unknown_name


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """Everything that decides a network's graph.

    Attributes:
        architecture: Key of `ARCHITECTURES`.
        backbone: See `edgeseg.architectures.backbones`.
        num_classes: At least 2.
        height: Input rows; a multiple of the output stride.
        width: Input columns; likewise.
        output_stride: Input size over the size of the encoder's last feature map.
        channels: Channels of the input: 3 for colour pictures, 1 for grey ones.
        form: "edge" is written so that all of it quantizes and runs on every target; "paper" is the paper's network.
    """

    architecture: str
    backbone: str
    num_classes: int
    height: int
    width: int
    output_stride: int = 16
    channels: int = 3
    form: Form = "edge"

    def __post_init__(self) -> None:
        if not 2 <= self.num_classes <= 255:
            raise UsageError(f"{self.num_classes} classes: expected 2 to 255")
        if self.form not in get_args(Form):
            raise unknown_name("form", self.form, get_args(Form))
        if self.output_stride not in (8, 16, 32):
            raise UsageError(f"output stride {self.output_stride}: expected 8, 16 or 32")
        if self.channels < 1:
            raise UsageError(f"{self.channels} input channels: expected 1 or more")
        if min(self.height, self.width) < 1:
            raise UsageError(f"input size {self.height}x{self.width}: expected two positive numbers, height x width")
        if self.form == "edge":
            require_multiples(self, self.output_stride)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width


def require_multiples(spec: NetworkSpec, step: int) -> None:
    """Raises UsageError with the nearest good size unless height and width are multiples of `step`."""
    if spec.height % step or spec.width % step:
        near = "x".join(str(max(1, round(length / step)) * step) for length in spec.size)
        raise UsageError(
            f"input size {spec.height}x{spec.width} of {spec.architecture} with output stride {spec.output_stride}: "
            f"expected multiples of {step}, the nearest is {near}"
        )


def require_backbone(spec: NetworkSpec, *families: str) -> None:
    """Raises UsageError unless the paper form is asked for on one of the paper's backbones."""
    if spec.backbone.split("_")[0] not in families:
        raise UsageError(
            f"backbone '{spec.backbone}' for the paper form of {spec.architecture}: expected {' or '.join(families)}"
        )


def require_dilation(spec: NetworkSpec, rates: tuple[int, ...], stride: int) -> None:
    """Raises UsageError if a dilation rate is so large that only the kernel's centre can fall on the map."""
    height, width = -(-spec.height // stride), -(-spec.width // stride)
    if max(rates) >= max(height, width):
        needed = (max(rates) + 1) * stride
        raise UsageError(
            f"input size {spec.height}x{spec.width} of {spec.architecture}: its dilation rate {max(rates)} exceeds the "
            f"{height}x{width} map of stride {stride}; expected a side of at least {needed} pixels"
        )
