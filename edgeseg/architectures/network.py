"""What network to build, and the checks that a form of an architecture puts on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from edgeseg.card import Form
from edgeseg.errors import UsageError, unknown_name

STRIDES = (16, 8, 32)
"""The output strides there are, the usual one first."""


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """Everything that decides a network's graph.

    Whether the architecture takes it is `registry.check_network`'s business.

    Attributes:
        architecture: Key of `ARCHITECTURES`.
        backbone: See `edgeseg.architectures.backbones`.
        num_classes: 2 to 255.
        height: Input rows.
        width: Input columns.
        output_stride: Input size over the size of the encoder's last feature map: 8, 16 or 32.
        form: "edge" is written so that all of it quantizes and runs on every target; "paper" is the paper's network.
        channels: Of the input: 3 for colour images, 1 for grey ones.
    """

    architecture: str
    backbone: str
    num_classes: int
    height: int
    width: int
    output_stride: int = STRIDES[0]
    form: Form = "edge"
    channels: int = 3

    def __post_init__(self) -> None:
        if not 2 <= self.num_classes <= 255:
            raise UsageError(f"{self.num_classes} classes: expected 2 to 255")
        if self.form not in get_args(Form):
            raise unknown_name("form", self.form, get_args(Form))
        if self.output_stride not in STRIDES:
            raise UsageError(f"output stride {self.output_stride}: expected 8, 16 or 32")
        if min(self.height, self.width) < 1:
            raise UsageError(f"input size {self.height}x{self.width}: expected two positive numbers, height x width")
        if self.channels < 1:
            raise UsageError(f"{self.channels} input channels: expected at least 1")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def described(self) -> str:
        """How messages about the size begin."""
        return f"input size {self.height}x{self.width} of {self.architecture}"


# === Checks on a spec: each raises UsageError with a size that fits ===

Check = Callable[[NetworkSpec], None]


def multiples_of(step: int | None = None) -> Check:
    """Returns the check that height and width are multiples of `step`; of the output stride if None."""

    def check(spec: NetworkSpec) -> None:
        wanted = spec.output_stride if step is None else step
        if spec.height % wanted or spec.width % wanted:
            near = "x".join(str(max(1, round(length / wanted)) * wanted) for length in spec.size)
            raise UsageError(
                f"{spec.described} with output stride {spec.output_stride}: expected multiples of {wanted}, the "
                f"nearest is {near}"
            )

    return check


def dilation_fits(rates: Callable[[int], tuple[int, ...]], shrunk: int = 1) -> Check:
    """Returns the check that a dilated kernel has more than its centre on the map.

    Args:
        rates: From the output stride to the dilation rates of the head.
        shrunk: How many times smaller than the input the smallest image is that the head sees.
    """

    def check(spec: NetworkSpec) -> None:
        largest, stride = max(rates(spec.output_stride)), spec.output_stride * shrunk
        height, width = -(-spec.height // stride), -(-spec.width // stride)
        if largest >= max(height, width):
            raise UsageError(
                f"{spec.described}: its dilation rate {largest} exceeds the {height}x{width} map of stride {stride}; "
                f"expected a side of at least {(largest + 1) * stride} pixels"
            )

    return check
