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
        form: "edge" is written so that all of it quantizes and runs on every target; "paper" is the paper's network.
    """

    architecture: str
    backbone: str
    num_classes: int
    height: int
    width: int
    output_stride: int = 16
    form: Form = "edge"

    def __post_init__(self) -> None:
        if not 2 <= self.num_classes <= 255:
            raise UsageError(f"{self.num_classes} classes: expected 2 to 255")
        if self.form not in get_args(Form):
            raise unknown_name("form", self.form, get_args(Form))
        if self.output_stride not in (8, 16, 32):
            raise UsageError(f"output stride {self.output_stride}: expected 8, 16 or 32")
        if self.height % self.output_stride or self.width % self.output_stride or min(self.height, self.width) <= 0:
            near = "x".join(str(max(1, round(s / self.output_stride)) * self.output_stride) for s in self.size)
            raise UsageError(
                f"input size {self.height}x{self.width}: expected multiples of the output stride "
                f"{self.output_stride}, the nearest is {near}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width
