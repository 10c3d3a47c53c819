"""What a backbone is called and what it returns."""

from __future__ import annotations

import dataclasses

from edgeseg.architectures.blocks import Tensor


@dataclasses.dataclass(frozen=True)
class Features:
    """A backbone's outputs: `by_stride[s]` is the last map of stride s (2, 4, ...), `last` the deepest."""

    by_stride: dict[int, Tensor]
    last: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackboneName:
    """A parsed backbone name."""

    family: str
    width: float
    exact: bool

    def __str__(self) -> str:
        return f"{self.family}_{self.width:g}{'_exact' if self.exact else ''}"


def round_channels(channels: float, divisor: int = 8) -> int:
    """Rounds to a multiple of `divisor`, never by more than 10 % down (MobileNetV2's `_make_divisible`)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class Strides:
    """Keeps count of stride and dilation along a backbone whose stride is limited.

    Stages that would shrink the map below `output_stride` keep its size and dilate what follows instead (Chen et al.,
    "Rethinking Atrous Convolution", 2017, section 3.1).
    """

    def __init__(self, output_stride: int, stride: int) -> None:
        self.output_stride = output_stride
        self.stride = stride
        self.dilation = 1

    def step(self, wanted: int) -> tuple[int, int]:
        """Takes a layer of stride `wanted` (1 or 2); returns the stride and the dilation to give it."""
        dilation = self.dilation
        if wanted == 2 and self.stride == self.output_stride:
            wanted, self.dilation = 1, self.dilation * 2
        self.stride *= wanted
        return wanted, dilation
