"""The records that cross module borders or reach the disk, the model card first among them.

All are frozen, keyword-only, and made of scalars, tuples and other records, so that they compare by value, print
readably and turn into JSON and back without loss (`to_json`, `from_json`).
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from edgeseg.errors import ModelFileError, UsageError, unknown_name

CARD_FORMAT = 1

RecipeName = Literal["int8_ptq", "int8_qat", "int8_weights", "float16", "float32"]
OutputKind = Literal["logits", "labels"]
ResizeMode = Literal["stretch", "letterbox"]
Target = Literal["cpu", "edgetpu"]
Form = Literal["edge", "paper"]


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """How a picture becomes a network's input: resize to `height` x `width`, RGB, `(pixel - mean) / std`.

    The default normalisation, (pixel - 128) / 128, is exactly an int8 tensor of scale 1/128 and zero point 0, so a
    quantized file takes the camera's uint8 values as they are.

    Attributes:
        height: Rows of the input, pixels.
        width: Columns of the input, pixels.
        mean: Subtracted from each channel's pixel value (0-255).
        std: Divides what remains.
        resize: "stretch" fills the input and may change the aspect ratio; "letterbox" keeps it and pads below and
            to the right with `mean`.
    """

    height: int
    width: int
    mean: float = 128.0
    std: float = 128.0
    resize: ResizeMode = "stretch"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise UsageError(f"input size {self.height}x{self.width}: expected two positive numbers, height x width")
        if not math.isfinite(self.mean):
            raise UsageError(f"input mean {self.mean}: expected a number, as pixels count from 0 to 255")
        if not 0 < self.std < math.inf:
            raise UsageError(f"input std {self.std}: expected a positive number")
        if self.resize not in typing.get_args(ResizeMode):
            raise unknown_name("resize mode", self.resize, typing.get_args(ResizeMode))


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
            if not name.strip() or name in self.names[:index]:
                raise UsageError(f"class {index} is named '{name}': expected a name that no other class has")
        for name, color in zip(self.names, self.colors, strict=True):
            if len(color) != 3 or not all(0 <= part <= 255 for part in color):
                raise UsageError(f"colour {color} of class '{name}': expected red, green, blue, each 0-255")
        if not len(self.names) <= self.ignore_index <= 255:
            raise UsageError(
                f"ignore index {self.ignore_index} with {len(self.names)} classes: expected an id that no class has, "
                f"{len(self.names)}-255"
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
        red |= (index >> 0 & 1) << (7 - shift)
        green |= (index >> 1 & 1) << (7 - shift)
        blue |= (index >> 2 & 1) << (7 - shift)
        index >>= 3
    return red, green, blue


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a file was quantized.

    The name is `<weights>[_<how>]`: int8_ptq and int8_qat store weights and activations as int8 (ranges from
    calibration or learnt in training), int8_weights stores weights as int8 and computes in float, float16 stores
    weights as float16, float32 changes nothing.
    """

    name: RecipeName
    output: OutputKind = "logits"
    target: Target = "cpu"

    def __post_init__(self) -> None:
        for kind, value, known in (
            ("recipe", self.name, RecipeName),
            ("output", self.output, OutputKind),
            ("target", self.target, Target),
        ):
            if value not in typing.get_args(known):
                raise unknown_name(kind, value, typing.get_args(known))

    @property
    def is_integer(self) -> bool:
        """Whether all computation is in integers."""
        return self.name in ("int8_ptq", "int8_qat")


@dataclass(frozen=True, kw_only=True)
class CalibrationRecord:
    """Which pictures set the activation ranges: where from, how many, and the digest of their input tensors."""

    source: str
    count: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """How the weights came to be; enough to run the same training again."""

    dataset: str
    images: int
    epochs: int
    batch_size: int
    crop: tuple[int, int]
    loss: str
    learning_rate: float
    weight_decay: float
    seed: int
    init: str
    best_epoch: int
    best_miou: float
    wall_s: float


@dataclass(frozen=True, kw_only=True)
class Score:
    """Accuracy of a model on a split, at label resolution; `miou` and the rest are fractions of 1."""

    dataset: str
    split: str
    images: int
    miou: float
    pixel_accuracy: float


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Everything that a device needs to run a model, and a person to trust it. It travels inside the model's file.

    Attributes:
        name: `<arch>_<backbone>_<dataset>_<H>x<W>`.
        architecture: Key of `edgeseg.architectures.ARCHITECTURES`; empty for a network made elsewhere.
        backbone: The backbone's name; empty for a network made elsewhere.
        form: "edge" or "paper", see `edgeseg.architectures.network.NetworkSpec`.
        output_stride: Input size over the size of the encoder's last feature map; 0 if unknown.
        input: How a picture becomes the input.
        labels: The classes.
        recipe: How this file was quantized.
        calibration: Which pictures set the ranges, for int8_ptq.
        training: How the weights were trained.
        scores: Measured accuracy of the float weights or of this very file (see `recipe`).
        agreement: Fraction of pixels on which this file and the Keras model it came from give the same class.
        licence: Terms under which the weights may be used.
        tools: (name, version) of what made the file.
        graph_digest: SHA-256 of the model's bytes without the card; filled in on writing.
        format: Version of this record.
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
    licence: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    graph_digest: str = ""
    format: int = CARD_FORMAT


T = TypeVar("T")


def to_json(record: Any) -> str:
    """Turns any record of this module into a JSON object."""
    return json.dumps(dataclasses.asdict(record), indent=1)


def from_json(kind: type[T], text: str | bytes) -> T:
    """Reads a record back.

    Args:
        kind: The record's class.
        text: What `to_json` wrote.

    Raises:
        ModelFileError: The text is not such a record, or a newer edgeseg wrote it.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"the card is not JSON ({error}): get the file again") from error
    written = value.get("format", CARD_FORMAT) if isinstance(value, dict) else CARD_FORMAT
    if isinstance(written, int) and written > CARD_FORMAT:
        raise ModelFileError(f"the card has format {written}, this edgeseg reads up to {CARD_FORMAT}: upgrade edgeseg")
    return typing.cast(T, _decode(kind, value, kind.__name__))


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _decode(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ModelFileError(f"the card's {where} is {type(value).__name__}, expected a list")
        item = arguments if arguments[-1] is not Ellipsis else arguments[:1] * len(value)
        if len(item) != len(value):
            raise ModelFileError(f"the card's {where} has {len(value)} items, expected {len(item)}")
        return tuple(_decode(k, v, where) for k, v in zip(item, value, strict=True))
    if origin is Literal:
        if value not in arguments:
            raise ModelFileError(f"the card's {where} is {value!r}, expected one of {', '.join(map(repr, arguments))}")
        return value
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ModelFileError(f"the card's {where} is {type(value).__name__}, expected an object")
        hints = typing.get_type_hints(kind)
        fields = {f.name: f for f in dataclasses.fields(kind)}
        missing = [n for n, f in fields.items() if n not in value and f.default is dataclasses.MISSING]
        if missing:
            raise ModelFileError(f"the card's {where} lacks {', '.join(missing)}")
        known = {n: _decode(hints[n], v, f"{where}.{n}") for n, v in value.items() if n in fields}
        try:
            return typing.cast(Any, kind)(**known)
        except UsageError as error:
            raise ModelFileError(f"the card's {where}: {error}") from error
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ModelFileError(f"the card's {where} is {type(value).__name__}, expected {kind.__name__}")
    return value
