"""Networks that edgeseg did not make: what they take, where the network itself tells it.

A network that begins with `Rescaling`, `Normalization` or plain arithmetic normalises its own input: it wants pixels as
they are, or between 0 and 1. Feeding it pixels that are normalised already gives nonsense that looks healthy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeseg.card import InputSpec, LabelSet, ModelCard, PerChannel, Recipe, input_channels, per_channel_text
from edgeseg.errors import UsageError

DEFAULT_MEAN = DEFAULT_STD = 127.5
_NORMALISING = frozenset({"Rescaling", "Normalization"})
_ARITHMETIC = frozenset({"Add", "Subtract", "Multiply", "Divide", "TrueDivide", "TFOpLambda", "SlicingOpLambda"})
_LARGEST_NORMALISED = 20.0
"""Pixels that a network has normalised for itself are not above this."""


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """(pixel - mean) / std, and why: what the network itself does first, for people."""

    mean: float
    std: float
    reason: str = ""


def own_normalisation(network: Any, channels: int = 3) -> Normalisation | None:
    """Returns what a network that normalises its own input wants to be given; None for one that does not.

    Looks at what stands before the first layer with a kernel, in networks within networks, too.
    """
    layers = list(_before_first_kernel(network))
    found = [layer for layer in layers if type(layer).__name__ in _NORMALISING]
    arithmetic = [layer for layer in layers if type(layer).__name__ in _ARITHMETIC]
    if not found and not arithmetic:
        return None
    names = ", ".join(f"{type(layer).__name__} '{layer.name}'" for layer in (found or arithmetic))
    raw, unit = (_largest(found, channels, brightest) for brightest in (255.0, 1.0))
    takes_unit = bool(found) and not arithmetic and raw > _LARGEST_NORMALISED >= unit
    return Normalisation(mean=0.0, std=255.0 if takes_unit else 1.0, reason=f"it begins with {names}")


def _before_first_kernel(network: Any) -> Iterator[Any]:
    for layer in _flat(network):
        if hasattr(layer, "kernel") or hasattr(layer, "depthwise_kernel"):
            return
        yield layer


def _flat(network: Any) -> Iterator[Any]:
    for layer in getattr(network, "operations", network.layers):
        if getattr(layer, "layers", None):
            yield from _flat(layer)
        else:
            yield layer


def _largest(layers: list[Any], channels: int, brightest: float) -> float:
    """The largest magnitude that some layers make of black and of the brightest pixel."""
    values = np.stack([np.full((4, 4, channels), level, np.float32) for level in (0, brightest)])
    for layer in layers:
        values = np.asarray(layer(values))
    return float(np.abs(values).max())


def foreign_card(
    network: Any,
    name: str,
    *,
    labels: LabelSet | None = None,
    size: tuple[int, int] | None = None,
    mean: PerChannel | None = None,
    std: PerChannel | None = None,
    order: str | None = None,
) -> tuple[ModelCard, list[str]]:
    """Makes a card for a network without one.

    Args:
        network: A Keras network from one image to logits.
        name: What to call it.
        labels: Its classes; numbered if not given.
        size: Height and width of its input, for a network that takes any.
        mean: Subtracted from pixels; what the network itself tells, or 127.5, if not given.
        std: Likewise.
        order: Order of its channels; by their number if not given.

    Returns:
        The card, and lines for people: what was assumed.

    Raises:
        UsageError: It is no segmentation network of one image, or of another number of classes than `labels`.
    """
    height, width, channels = _input_shape(network, name, size)
    count = _num_classes(network, name)
    names = labels or LabelSet.from_names([f"class_{index}" for index in range(count)])
    if names.num_classes != count:
        raise UsageError(f"{name} gives {count} classes, the label set names {names.num_classes}: give one name each")
    own = own_normalisation(network, channels)
    assumed = own or Normalisation(mean=DEFAULT_MEAN, std=DEFAULT_STD)
    spec = InputSpec(
        height=height, width=width, **input_channels(order, channels),
        mean=assumed.mean if mean is None else mean, std=assumed.std if std is None else std,
    )  # fmt: skip
    card = ModelCard(
        name=f"{name}_{height}x{width}", architecture="", backbone="", output_stride=0, input=spec, labels=names,
        recipe=Recipe(name="float32"),
    )  # fmt: skip
    return card, _assumptions(card, name, own, told=mean is not None and std is not None)


def _assumptions(card: ModelCard, name: str, own: Normalisation | None, *, told: bool) -> list[str]:
    spec = card.input
    fed = normalisation_text(spec)
    line = f"{name} has no card: {fed}, {spec.order}, {card.labels.num_classes} classes"
    if own is None:
        return [line if told else f"{line}, assumed; say otherwise with --mean, --std and --order"]
    if (spec.mean, spec.std) == (own.mean, own.std):
        return [f"{line}; {own.reason}, so it is given pixels {'as they are' if own.std == 1 else 'from 0 to 1'}"]
    likely = f"--mean {own.mean:g} --std {own.std:g}"
    return [line, f"{name} is given {fed} as asked, but {own.reason}: it is likely to want {likely}"]


def normalisation_text(spec: InputSpec) -> str:
    """Returns "(pixel - 127.5) / 127.5", or with numbers for each channel."""
    return f"(pixel - {per_channel_text(spec.mean)}) / {per_channel_text(spec.std)}"


def _input_shape(network: Any, name: str, size: tuple[int, int] | None) -> tuple[int, int, int]:
    """Height, width and channels of a network's one input."""
    shape = getattr(network, "input_shape", None)
    if isinstance(shape, list) and len(shape) == 1:
        shape = shape[0]
    if not isinstance(shape, tuple) or len(shape) != 4 or not shape[3]:
        raise UsageError(f"{name} takes {shape}, expected one input (batch, height, width, channels)")
    height, width = shape[1:3] if shape[1] and shape[2] else size or (0, 0)
    if not height or not width:
        raise UsageError(f"{name} takes images of any size: choose one with --size, such as --size 256x320")
    return int(height), int(width), int(shape[3])


def _num_classes(network: Any, name: str) -> int:
    """How many classes a network tells apart: one channel tells two."""
    shape = getattr(network, "output_shape", None)
    if isinstance(shape, list) and len(shape) == 1:
        shape = shape[0]
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise UsageError(f"{name} gives {shape}, expected logits (batch, height, width, classes)")
    return max(2, int(shape[3] or 0))
