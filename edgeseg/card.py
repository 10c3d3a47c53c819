"""The records that cross module borders or reach the disk, the model card first among them.

All are frozen, keyword-only, and made of scalars, tuples and other records, so that they compare by value, print
readably and turn into JSON and back without loss (`edgeseg.card_json`).
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from edgeseg.errors import UsageError, printable, quoted, unknown_name
from edgeseg.provenance import AgreementRecord, CalibrationRecord, Score, TrainingRecord
from edgeseg.recipes import recipe_row

CARD_FORMAT = 2
"""The newest format of a card that this edgeseg reads. Format 2 tells inputs other than RGB with one mean and std."""
_LARGEST = 1e9  # of a mean or std: what is made of it must stay a float32
MOST_CHANNELS = 512
"""As many as OpenCV resizes."""

OutputKind = Literal["logits", "labels"]
ResizeMode = Literal["stretch", "letterbox"]
ChannelOrder = Literal["rgb", "bgr", "grey", "as_is"]
PerChannel = float | tuple[float, ...]
"""One number for all channels, or one for each, in the input's own order."""
Target = Literal["cpu", "edgetpu"]
Form = Literal["edge", "paper"]


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """How an image becomes a network's input: resize to `height` x `width`, order channels, `(pixel - mean) / std`.

    The default normalisation, (pixel - 128) / 128, is exactly an int8 tensor of scale 1/128 and zero point 0, so a
    quantized file takes the camera's uint8 values as they are.

    Attributes:
        height: Rows of the input, pixels.
        width: Columns of the input, pixels.
        mean: Subtracted from each pixel value (0-255): one number, or one for each channel in the input's order. Equal
            numbers are kept as one.
        std: Divides what remains; likewise.
        resize: "stretch" fills the input and may change the aspect ratio; "letterbox" keeps it and pads below and
            to the right with `mean`.
        order: "rgb", or "bgr" as networks made with Caffe or OpenCV want it; "grey" is one channel, made of a colour
            image by ITU-R BT.601's weights; "as_is" leaves an image of any number of channels as it is.
        channels: How many the input has: 3 for "rgb" and "bgr", 1 for "grey".
        margin: Pixels at every side of the input of which the output says nothing, as in a network without padding. An
            image is put between them, and they mirror it (Ronneberger et al., "U-Net", 2015, figure 2).
    """

    height: int
    width: int
    mean: PerChannel = 128.0
    std: PerChannel = 128.0
    resize: ResizeMode = "stretch"
    order: ChannelOrder = "rgb"
    channels: int = 3
    margin: int = 0

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise UsageError(
                f"input size {quoted(self.height)}x{quoted(self.width)}: expected two positive numbers, height x width"
            )
        if self.resize not in typing.get_args(ResizeMode):
            raise unknown_name("resize mode", self.resize, typing.get_args(ResizeMode))
        if self.order not in typing.get_args(ChannelOrder):
            raise unknown_name("channel order", self.order, typing.get_args(ChannelOrder))
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise UsageError(f"input of {self.channels} channels: expected 1 to {MOST_CHANNELS}")
        if self.order != "as_is" and self.channels != channels_of(self.order):
            raise UsageError(
                f"input of {self.channels} channels in the order {self.order}, which has {channels_of(self.order)}: "
                "expected grey for 1, rgb or bgr for 3, as_is for any number"
            )
        if not 0 <= 2 * self.margin < min(self.height, self.width):
            size = f"{self.height}x{self.width}"
            raise UsageError(f"input margin {self.margin} of {size}: expected 0 to less than half a side")
        for name in ("mean", "std"):
            object.__setattr__(self, name, _compact(name, getattr(self, name), self.channels))
        if not all(abs(mean) <= _LARGEST for mean in self.means):
            raise UsageError(f"input mean {self.mean}: expected a number, as pixels count from 0 to 255")
        if not all(1 / _LARGEST <= std <= _LARGEST for std in self.stds):
            raise UsageError(f"input std {self.std}: expected a positive number, from 1e-9 to 1e9")

    @property
    def means(self) -> tuple[float, ...]:
        """The mean of each channel."""
        return self.mean if isinstance(self.mean, tuple) else (self.mean,) * self.channels

    @property
    def stds(self) -> tuple[float, ...]:
        """The std of each channel."""
        return self.std if isinstance(self.std, tuple) else (self.std,) * self.channels

    @property
    def inner(self) -> tuple[int, int]:
        """Rows and columns between the margins: what an image is resized to, and what the output covers."""
        return self.height - 2 * self.margin, self.width - 2 * self.margin

    @property
    def format(self) -> int:
        """The card format that can tell it: 1 for RGB with one mean and one std and no margin, else 2."""
        many = isinstance(self.mean, tuple) or isinstance(self.std, tuple)
        return 2 if many or self.margin or self.order != "rgb" else 1


def channels_of(order: ChannelOrder) -> int:
    """Returns how many channels an order has; for "as_is", which has any number, 3."""
    return 1 if order == "grey" else 3


def input_channels(order: str | None, channels: int | None) -> dict[str, Any]:
    """Returns the `order` and `channels` of an input of which one or both were told; nothing where neither was."""
    if order is None and channels is None:
        return {}
    if order is None:
        assert channels is not None
        order = {1: "grey", 3: "rgb"}.get(channels, "as_is")
    return {"order": order, "channels": channels or channels_of(typing.cast(ChannelOrder, order))}


def per_channel_text(value: PerChannel) -> str:
    """Writes a mean or std as `--mean` and `--std` take it: "127.5", or "123.68,116.78,103.94"."""
    return ",".join(f"{number:g}" for number in (value if isinstance(value, tuple) else (value,)))


def _compact(name: str, value: PerChannel, channels: int) -> PerChannel:
    """Returns one number where all channels have the same, else a tuple of one for each channel."""
    if not isinstance(value, Iterable):
        return value
    if len(value) not in (1, channels):
        raise UsageError(f"input {name} of {len(value)} numbers for {channels} channels: give one, or one for each")
    return value[0] if len(set(value)) == 1 else tuple(value)


@dataclass(frozen=True, kw_only=True)
class LabelSet:
    """The classes of a label map.

    Attributes:
        names: Name of class 0, 1, ...
        colors: (red, green, blue) of each class, 0-255, as many as names.
        ignore_index: The id that marks pixels left out of training and evaluation.
    """

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    ignore_index: int = 255

    def __post_init__(self) -> None:
        if len(self.names) != len(self.colors):
            raise UsageError(f"label set with {len(self.names)} names and {len(self.colors)} colours: give one each")
        if not 2 <= len(self.names) <= 255:
            raise UsageError(f"label set with {len(self.names)} classes: expected 2 to 255")
        for index, name in enumerate(self.names):
            if printable(name, len(name)) != name:
                raise UsageError(f"class {index} is named {quoted(name)}: expected a name that can be printed")
            if not name.strip() or name in self.names[:index]:
                raise UsageError(f"class {index} is named {quoted(name)}: expected a name that no other class has")
        for name, color in zip(self.names, self.colors, strict=True):
            if len(color) != 3 or not all(0 <= part <= 255 for part in color):
                raise UsageError(f"colour {quoted(color)} of class {quoted(name)}: expected red, green, blue, 0-255")
        if not len(self.names) <= self.ignore_index <= 255:
            raise UsageError(
                f"ignore index {quoted(self.ignore_index)} with {len(self.names)} classes: expected an id that no "
                f"class has, {len(self.names)}-255"
            )

    @property
    def num_classes(self) -> int:
        """How many classes there are, the ignored id not counted."""
        return len(self.names)

    @classmethod
    def from_names(cls, names: typing.Sequence[str], ignore_index: int = 255) -> LabelSet:
        """Makes a label set with the PASCAL VOC palette, in which neighbouring ids differ strongly.

        Args:
            names: Class names in the order of their ids.
            ignore_index: See the class.
        """
        return cls(names=tuple(names), colors=tuple(voc_color(i) for i in range(len(names))), ignore_index=ignore_index)


def voc_color(index: int) -> tuple[int, int, int]:
    """Returns a class id's (red, green, blue) in the PASCAL VOC palette (VOC devkit, `VOClabelcolormap.m`)."""
    red = green = blue = 0
    for shift in range(8):
        red |= (index & 1) << (7 - shift)
        green |= (index >> 1 & 1) << (7 - shift)
        blue |= (index >> 2 & 1) << (7 - shift)
        index >>= 3
    return red, green, blue


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a file was quantized: the name of a row of `edgeseg.recipes`, what comes out, and for which processor.

    The name may be unknown here, of another package or a newer edgeseg: only what converts needs its row.
    """

    name: str
    output: OutputKind = "logits"
    target: Target = "cpu"

    def __post_init__(self) -> None:
        for kind, value, known in (
            ("output", self.output, OutputKind),
            ("target", self.target, Target),
        ):
            if value not in typing.get_args(known):
                raise unknown_name(kind, value, typing.get_args(known))

    @property
    def is_integer(self) -> bool:
        """Whether all computation is in integers; UsageError for a recipe that is not known here."""
        return recipe_row(self.name).is_integer


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Everything that a device needs to run a model, and a person to trust it. It travels inside the model's file.

    Attributes:
        name: `<arch>_<backbone>_<dataset>_<H>x<W>`.
        architecture: Key of `edgeseg.architectures.ARCHITECTURES`; empty for a network made elsewhere.
        backbone: The backbone's name; empty for a network made elsewhere.
        form: "edge" or "paper", see `edgeseg.architectures.network.NetworkSpec`.
        output_stride: Input size over the size of the encoder's last feature map; 0 if unknown.
        input: How an image becomes the input.
        labels: The classes.
        recipe: How this file was quantized.
        calibration: Which images set the ranges, for recipes that calibrate.
        training: How the weights were trained.
        scores: Measured accuracy of the float weights or of this very file (see `recipe`).
        agreement: Fraction of pixels on which this file and the Keras model it came from give the same class.
        agreement_on: The images of that.
        licence: Terms under which the weights may be used.
        tools: (name, version) of what made the file.
        graph_digest: SHA-256 of the model's bytes without the card; filled in on writing.
        format: Version of this record; the lowest that can tell what it holds, so that an older edgeseg reads it.
    """

    name: str
    architecture: str
    backbone: str
    output_stride: int
    input: InputSpec
    labels: LabelSet
    recipe: Recipe
    form: Form = "edge"
    calibration: CalibrationRecord | None = None
    training: TrainingRecord | None = None
    scores: tuple[Score, ...] = ()
    agreement: float | None = None
    agreement_on: AgreementRecord | None = None
    licence: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    graph_digest: str = ""
    format: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "format", self.input.format)
