"""What a backbone is: an image classifier cut before its pooling, as a pyramid of features by stride.

To add one: a file with a `Backbone`, and its line in `edgeseg/architectures/backbones/registry.py`; or, in a package of
your own, an entry point in the group `edgeseg.backbones`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from edgeseg.architectures.backbones.features import BackboneName, Features
from edgeseg.architectures.blocks import Tensor
from edgeseg.errors import UsageError

BackboneBuilder = Callable[[ModuleType, Tensor, BackboneName, int], Features]
"""(K, image, name, output stride) -> features."""


@dataclass(frozen=True, kw_only=True)
class PretrainedWeights:
    """Weights that somebody trained on ImageNet, for inputs (pixel - 128) / 128.

    Attributes:
        widths: The widths that there are.
        load: (keras, name) -> the network that holds them; downloads it.
        renamed: (their layer, this backbone's layer) where the names differ.
    """

    widths: tuple[float, ...]
    load: Callable[[ModuleType, BackboneName], Any]
    renamed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A family of backbones.

    Attributes:
        name: Its key in `BACKBONES`: what users call it, without "_".
        title: Its name in print.
        build: (K, image, name, output stride) -> features; `image` has values about -1..1.
        strides: The strides of its features at output stride 32; at 8 and 16 the larger ones are missing.
        widths: The smallest and the largest factor on its channels.
        exact: Whether `_exact` keeps channel counts that are no multiple of 8.
        pretrained: Where weights come from; None if from nowhere.
    """

    name: str
    title: str
    build: BackboneBuilder
    strides: tuple[int, ...] = (2, 4, 8, 16, 32)
    widths: tuple[float, float] = (0.1, 2.0)
    exact: bool = False
    pretrained: PretrainedWeights | None = None

    def __post_init__(self) -> None:
        if not self.name or "_" in self.name:
            raise UsageError(f"backbone name '{self.name}': expected letters and digits; '_' begins the width")

    @property
    def has_one_width(self) -> bool:
        """Whether it comes in one width only."""
        return self.widths[0] == self.widths[1]

    def parse(self, text: str) -> BackboneName:
        """Reads a name of this family: "mobilenetv2", "mobilenetv2_0.5" or "mobilenetv2_0.5_exact".

        Raises:
            UsageError: It has no such width, or no exact form.
        """
        _, *rest = text.split("_")
        exact = bool(rest) and rest[-1] == "exact"
        number = rest[:-1] if exact else rest
        try:
            width = float(number[0]) if number else 1.0
        except ValueError:
            width = 0.0
        if self.has_one_width and rest and (width != self.widths[0] or exact):
            raise UsageError(f"backbone '{text}': {self.name} has no other width, expected {self.name}")
        low, high = self.widths
        if len(number) > 1 or not low <= width <= high:
            raise UsageError(
                f"backbone '{text}': expected <family>_<width>, such as {self.name}_0.5, width {low:g} to {high:g}"
            )
        if exact and not self.exact:
            raise UsageError(f"backbone '{text}': {self.name} has no exact form, expected {self.name}_{width:g}")
        return BackboneName(family=self.name, width=width, exact=exact)

    def channels(self, K: ModuleType, text: str, output_stride: int = 32) -> dict[int, int]:
        """Returns the channels of the features of a name of this family, by stride.

        Args:
            K: `keras` or `tf_keras`.
            text: Such as "mobilenetv2_0.5".
            output_stride: 8, 16 or 32.
        """
        features = self.build(K, K.Input((output_stride, output_stride, 3)), self.parse(text), output_stride)
        return {stride: x.shape[-1] for stride, x in features.by_stride.items()}
