"""What an architecture is: up to two forms, each with its builder, its checks and what it costs.

To add one: a file with an `Architecture`, and its line in `edgeseg/architectures/registry.py`; or, in a package of your
own, an entry point in the group `edgeseg.architectures`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from edgeseg.architectures.blocks import Tensor
from edgeseg.architectures.network import STRIDES, Check, NetworkSpec, multiples_of
from edgeseg.card import Form
from edgeseg.errors import UsageError

Builder = Callable[[ModuleType, Tensor, NetworkSpec], Tensor]
"""(K, image, spec) -> logits: K is `keras` or `tf_keras`, image (batch, H, W, channels), normalised."""

OWN_ENCODER = ("own",)
"""The backbones of a form that brings its own encoder."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A network of a form, and what it costs.

    Attributes:
        backbone: What it is built on.
        num_classes: Its classes.
        height: Its input rows.
        width: Its input columns.
        output_stride: Its output stride.
        parameters: Its trainable parameters.
        multiply_accumulates: Of one image.
    """

    backbone: str
    num_classes: int
    height: int
    width: int
    output_stride: int
    parameters: int
    multiply_accumulates: int


@dataclass(frozen=True, kw_only=True)
class NetworkForm:
    """One form of an architecture.

    Attributes:
        build: (K, image, spec) -> logits.
        reference: A network of this form with its cost; None if nobody has counted.
        backbones: The backbone families that it is built on, the usual one first; any if empty;
            `OWN_ENCODER` if it brings its own.
        strides: The output strides that it has, the usual one first.
        checks: What else a spec must fulfil.
        margin: Pixels at every side of the input that the logits say nothing about, as without padding.
    """

    build: Builder
    reference: Reference | None = None
    backbones: tuple[str, ...] = ()
    strides: tuple[int, ...] = STRIDES
    checks: tuple[Check, ...] = (multiples_of(),)
    margin: int = 0

    def covers(self, height: int, width: int) -> tuple[slice, slice]:
        """Returns the rows and columns of an input of height x width that the logits cover, all of them or the middle.

        Labels and images are cropped to it where they meet the logits.
        """
        return slice(self.margin, height - self.margin), slice(self.margin, width - self.margin)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """An architecture: where it was published, and its forms.

    Attributes:
        name: Its key in `ARCHITECTURES`: what users and model cards call it.
        title: Its name in print.
        citation: Authors, title, venue.
        edge: The form of which all quantizes and runs on every target, if there is one.
        paper: The form that is the paper's network, if there is one.
    """

    name: str
    title: str
    citation: str
    edge: NetworkForm | None = None
    paper: NetworkForm | None = None

    def __post_init__(self) -> None:
        if not self.forms:
            raise UsageError(f"architecture '{self.name}' has no form: give it edge=, paper= or both")

    @property
    def forms(self) -> dict[Form, NetworkForm]:
        """The forms that it has, by name."""
        named: dict[Form, NetworkForm | None] = {"edge": self.edge, "paper": self.paper}
        return {name: form for name, form in named.items() if form is not None}


def edge_reference(parameters: int, multiply_accumulates: int) -> Reference:
    """Returns what an edge form costs on the network by which edge forms are compared."""
    return Reference(
        backbone="resnet18_0.25", num_classes=11, height=360, width=480, output_stride=8, parameters=parameters,
        multiply_accumulates=multiply_accumulates,
    )  # fmt: skip


def paper_reference(
    backbone: str, output_stride: int, parameters: int, multiply_accumulates: int, size: tuple[int, int] = (512, 512)
) -> Reference:
    """Returns what a paper form costs on the paper's backbone, for the 21 classes of PASCAL VOC."""
    return Reference(
        backbone=backbone, num_classes=21, height=size[0], width=size[1], output_stride=output_stride,
        parameters=parameters, multiply_accumulates=multiply_accumulates,
    )  # fmt: skip
