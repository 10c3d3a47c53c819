"""What a network's input and output tell about it, for files without a card and against their cards."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.card import ChannelOrder, InputSpec, LabelSet, ModelCard, OutputKind, PerChannel, ResizeMode
from edgeseg.decoder import OutputSpec
from edgeseg.errors import ModelFileError, UsageError
from edgeseg.runtime.labels import numbered_labels
from edgeseg.runtime.protocol import Network, TensorInfo, shapes

FLOAT_SPAN = 127.5
"""MobileNet's habit, (pixel - 127.5) / 127.5: what is assumed of a float input without a card."""

ORDERS: dict[int, ChannelOrder] = {1: "grey", 3: "rgb"}
"""The order that is assumed of an input of so many channels without a card; "as_is" of any other number."""

_HALF_STEP = 1e-3


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a user says of a network's input, in place of what its card says or what is inferred; None leaves that.

    Attributes:
        resize: See `InputSpec`; so for the others.
        mean: Likewise.
        std: Likewise.
        order: Likewise.
    """

    resize: ResizeMode | None = None
    mean: PerChannel | None = None
    std: PerChannel | None = None
    order: ChannelOrder | None = None

    @property
    def told(self) -> dict[str, Any]:
        """What is not None, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


def image_input(inputs: Sequence[TensorInfo], name: str) -> TensorInfo:
    """Returns the one input, after checking that it takes an image.

    Raises:
        ModelFileError: It does not.
    """
    shape = inputs[0].shape if inputs else ()
    if len(inputs) != 1 or len(shape) != 4 or shape[0] != 1 or min(shape) < 1:
        raise ModelFileError(f"{name} takes {shapes(inputs)}: expected one image, 1 x height x width x channels")
    if inputs[0].dtype not in (np.uint8, np.int8, np.float32):
        raise ModelFileError(f"{name} takes {inputs[0].dtype}: expected uint8, int8 or float32")
    return inputs[0]


def map_output(outputs: Sequence[TensorInfo], name: str) -> TensorInfo:
    """Returns the first output that is a map.

    Raises:
        ModelFileError: There is none.
    """
    for output in outputs:
        if len(output.shape) in (3, 4) and output.shape[0] == 1 and min(output.shape) >= 1:
            return output
    raise ModelFileError(
        f"{name} gives {shapes(outputs)}: expected 1 x height x width x classes or 1 x height x width; "
        "a classifier or detector cannot segment"
    )


def output_spec(network: Network, tensor: TensorInfo) -> OutputSpec:
    """Describes an output: class ids have no class axis and no scale, everything else is taken for logits."""
    channels = tensor.shape[3] if len(tensor.shape) == 4 else 1
    labels = len(tensor.shape) == 3 or (channels == 1 and tensor.dtype.kind in "iu" and not tensor.scale)
    kind: OutputKind = "labels" if labels else "logits"
    binary = kind == "logits" and channels == 1
    return OutputSpec(
        kind=kind,
        height=tensor.shape[1],
        width=tensor.shape[2],
        channels=channels,
        dtype=tensor.dtype,
        scale=tensor.scale,
        zero_point=tensor.zero_point,
        threshold=0.5 if binary and network.origin(tensor).activation == "sigmoid" else 0.0,
    )


def choose_input(
    tensor: TensorInfo,
    given: InputSpec | None,
    size: tuple[int, int] | None,
    preprocessing: Preprocessing,
    name: str,
) -> tuple[InputSpec, list[str]]:
    """Decides how an image becomes the input.

    Args:
        tensor: The input.
        given: What the caller says, or else the card; None infers it.
        size: (rows, columns) that were asked for, if any.
        preprocessing: What replaces parts of it.
        name: What messages call the model.

    Returns:
        The input, and lines to show to the user.

    Raises:
        ModelFileError: The card tells another size than the network has.
        UsageError: The network has another size than was asked for, or what replaces parts of it is not possible.
    """
    height, width = tensor.shape[1:3]
    if size is not None and tuple(size) != (height, width):
        raise UsageError(
            f"{name} takes {height}x{width} and no other size, {size[0]}x{size[1]} was asked for: leave the size out, "
            "or convert the network to it"
        )
    spec = _inferred_input(tensor) if given is None else given
    if size is not None:
        spec = dataclasses.replace(spec, height=height, width=width)
    channels = tensor.shape[3]
    if (spec.height, spec.width, spec.channels) != (height, width, channels):
        raise ModelFileError(
            f"{name} takes {height}x{width}x{channels}, its card says {spec.height}x{spec.width}x{spec.channels}: "
            "convert it again"
        )
    notices = _assumptions(tensor, spec, preprocessing) if given is None else []
    return dataclasses.replace(spec, **preprocessing.told), notices


def _inferred_input(tensor: TensorInfo) -> InputSpec:
    """Infers the preprocessing of a file without a card: as it shows, else pixels as they are, or `FLOAT_SPAN`."""
    mean = std = FLOAT_SPAN
    if tensor.wants is not None:
        mean, std = tensor.wants.mean, tensor.wants.std
    elif tensor.dtype != np.float32:
        mean = float(tensor.zero_point + (128 if tensor.dtype == np.int8 else 0))
        std = 1.0 / (tensor.scale or 1.0)
    height, width, channels = tensor.shape[1:]
    order = ORDERS.get(channels, "as_is")
    return InputSpec(height=height, width=width, mean=mean, std=std, order=order, channels=channels)


def _assumptions(tensor: TensorInfo, spec: InputSpec, preprocessing: Preprocessing) -> list[str]:
    if {"mean", "std"} <= preprocessing.told.keys():
        return []
    order = (preprocessing.order or spec.order).upper()
    if tensor.wants is not None:
        return [f"no card: the input is (pixel - {spec.mean:g}) / {spec.std:g}, {order}, as {tensor.wants.reason}"]
    if tensor.dtype == np.float32:
        return [
            f"no card: assuming the float input is (pixel - {spec.mean}) / {spec.std}, {order}; "
            "say otherwise with --mean, --std and --order"
        ]
    return [f"no card: feeding {order} pixels as {tensor.dtype}, as they are"]


def choose_labels(count: int, card: ModelCard | None, given: LabelSet | None, name: str) -> tuple[LabelSet, list[str]]:
    """Decides what the classes are called.

    Args:
        count: How many the network tells apart; 0 if it does not say.
        card: The model's card, if it has one.
        given: What the caller says instead, if anything.
        name: What messages call the model.

    Returns:
        The classes, and lines to show to the user.

    Raises:
        UsageError: Their number is not the network's.
    """
    labels = given if given is not None else (None if card is None else card.labels)
    if labels is None:
        told = (
            f"no card: {count} classes, named class_0 to class_{count - 1}; name them with --labels"
            if count
            else "no card, and the file does not tell how many classes it has; name them with --labels"
        )
        return numbered_labels(max(2, min(count or 255, 255))), [told]
    if count and labels.num_classes != max(2, count):
        raise UsageError(f"{name} has {count} classes, the label set {labels.num_classes}: give one name each")
    return labels, []


def input_table(spec: InputSpec, tensor: TensorInfo) -> Uint8 | None:
    """Tabulates what a quantized input stores for each pixel value.

    Returns:
        (256,) uint8, or (1, 256, channels) where the channels differ, for `cv2.LUT`; None for a float input, and where
        pixels go in as they are.
    """
    if tensor.dtype == np.float32:
        return None
    scale = tensor.scale or 1.0 / max(spec.stds)
    limits = np.iinfo(tensor.dtype)
    real = (np.arange(256)[:, None] - np.array(spec.means)) / np.array(spec.stds)
    # Halves all go one way, whatever the last bit of the scale: pixels half a step off keep all of their levels.
    stored = np.clip(np.floor(real / scale + (0.5 + _HALF_STEP)) + tensor.zero_point, limits.min, limits.max)
    table: Uint8 = stored.astype(tensor.dtype).view(np.uint8)
    same = bool((table == table[:, :1]).all())
    if same and tensor.dtype == np.uint8 and np.array_equal(table[:, 0], np.arange(256)):
        return None
    return np.ascontiguousarray(table[:, 0]) if same else table[None]
