"""Where an integer file loses accuracy: quantization noise layer by layer, and what to do about it in words.

Of every operator with weights, the float file's values are compared with what integers make of them. Noise is told as
signal to quantization noise in decibels: 10 log10 of the power of the values over that of the error. Three tell who
is to blame: that of rounding the weights, that of rounding and clipping the output, and that of all that has arrived by
then. A layer's own share is the first two together. The search follows Nagel et al., "A White Paper on Neural Network
Quantization", 2021, on debugging quantized networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec
from edgeseg.conversion.converter import Advance, run_file
from edgeseg.conversion.equalize import equalized_like
from edgeseg.conversion.integer_file import IntegerFile, Scale
from edgeseg.conversion.ptq import stored_inputs
from edgeseg.conversion.tuning import matching_convolutions
from edgeseg.errors import ConversionError
from edgeseg.image import normalise

POOR = 20.0
"""Decibels below which a layer's noise shows in label maps: an error of a tenth of the values."""
UNEVEN = 12.0
"""A channel whose weights fare so many decibels worse than the layer's: channels share a step that fits only some."""
SATURATED = 0.01
"""Share of values at a range's ends from which clipping is worth a word."""
DEAD = 0.25
"""Share of channels that never change from which a layer is worth shrinking."""
MOST = 99.0
"""Decibels that stand for no noise at all."""


@dataclass(frozen=True, kw_only=True)
class LayerNoise:
    """What quantization does to one operator.

    Attributes:
        operator: Its number in the integer file.
        op: Its kind.
        name: Its output's name in the file.
        weights_db: Signal to quantization noise of its weights.
        worst_channel_db: The same of the output channel that fares worst.
        output_db: Of its output as it would be without any other noise, rounded and clipped.
        arriving_db: Of its output as it is, with the noise of all layers up to it.
        low: Lower end of the output's range.
        high: Upper end.
        saturated: Share of values at the range's ends where those cut something off.
        dead: Channels whose output is the same everywhere, on all images.
        channels: Output channels.
        is_logits: Whether it gives the logits, whose range is cut on purpose: only their order matters.
    """

    operator: int
    op: str
    name: str
    weights_db: float
    worst_channel_db: float
    output_db: float
    arriving_db: float
    low: float
    high: float
    saturated: float
    dead: int
    channels: int
    is_logits: bool

    @property
    def own_db(self) -> float:
        """Signal to noise of what this layer adds: by its weights and, but for logits, by its output."""
        parts = (self.weights_db,) if self.is_logits else (self.weights_db, self.output_db)
        return _decibels(1.0, sum(10 ** (-part / 10) for part in parts))

    @property
    def record(self) -> dict[str, Any]:
        """The same for programs and pages, `own_db` and `advice` included."""
        return asdict(self) | {"own_db": self.own_db, "advice": self.advice}

    @property
    def advice(self) -> str:
        """What to do about it; "" where nothing needs doing."""
        found = []
        if self.weights_db < POOR or self.worst_channel_db < POOR - UNEVEN:
            found.append(
                "its weights are too unlike for one step: equalize channels, or give each its own step"
                if self.weights_db - self.worst_channel_db > UNEVEN
                else "its weights round badly: train with --qat"
            )
        if self.output_db < POOR and not self.is_logits:
            found.append(
                "its output's range cuts values off: calibrate on more images, or on other ones"
                if self.saturated > SATURATED
                else f"few values fill its range {self.low:.3g} to {self.high:.3g}: an activation that ends early "
                "(ReLU6) or a batch normalisation before it would narrow it"
            )
        if self.dead >= DEAD * self.channels:
            found.append(f"{self.dead} of {self.channels} channels never change: a narrower layer does the same")
        return "; ".join(found)


class _Power:
    """Sums of squares of a signal and of its error."""

    def __init__(self) -> None:
        self.signal = self.noise = 0.0

    def add(self, wanted: Float32, got: Float32) -> None:
        self.signal += float(np.square(wanted, dtype=np.float64).sum())
        self.noise += float(np.square(wanted - got, dtype=np.float64).sum())

    @property
    def decibels(self) -> float:
        return _decibels(self.signal, self.noise)


class _Output:
    """One operator's output over several images, in floats and in integers."""

    def __init__(self, scale: Scale, channels: int) -> None:
        self.scale = scale
        self.own, self.arriving = _Power(), _Power()
        self.values = self.ends = 0
        self.lowest, self.highest = np.full(channels, np.inf), np.full(channels, -np.inf)

    def add(self, stored: npt.NDArray[Any], wanted: Float32) -> None:
        step, zero = self.scale.step, self.scale.zero_point
        level = np.rint(wanted / step) + zero
        rounded = np.clip(level, -128, 127)
        self.own.add(wanted, self.scale.real(rounded))
        self.arriving.add(wanted, self.scale.real(stored))
        self.values += wanted.size
        self.ends += int(np.count_nonzero(level != rounded))
        by_channel = wanted.reshape(-1, wanted.shape[-1])
        self.lowest = np.minimum(self.lowest, by_channel.min(0))
        self.highest = np.maximum(self.highest, by_channel.max(0))


def layer_noise(
    file: bytes,
    reference: bytes,
    tensors: Sequence[Uint8],
    spec: InputSpec,
    advance: Advance = lambda done, total: None,
) -> list[LayerNoise]:
    """Measures every operator with weights.

    Args:
        file: An integer file, without its card.
        reference: The float32 file of the same network.
        tensors: Images fitted to the input, (height, width, channels) uint8; ten tell enough.
        spec: The network's input.
        advance: Called with (done, total) images.

    Returns:
        One entry for each, in the order in which they run.

    Raises:
        ConversionError: The two files are not of one network.
    """
    integers, floats = IntegerFile(file), IntegerFile(equalized_like(reference, file))
    pairs = [(mine, its) for mine, its in matching_convolutions(integers, floats) if _is_int8(integers, mine)]
    if not pairs:
        raise ConversionError(
            "no layer of the integer file is one of the float network's: name the network it was converted from"
        )
    outputs = [integers.operators[mine].outputs[0] for mine, _ in pairs]
    watched = []
    for output in outputs:
        scale = integers.scale(output)
        assert scale is not None
        watched.append(_Output(scale, integers.shape(output)[-1]))
    stored = run_file(integers.content(outputs), stored_inputs(file, tensors, spec))
    wanted = run_file(floats.content([its for _, its in pairs]), [normalise(tensor, spec) for tensor in tensors])
    for done, (got, expected) in enumerate(zip(stored, wanted, strict=True), 1):
        for seen, a, b in zip(watched, got, expected, strict=True):
            seen.add(a, b)
        advance(done, len(tensors))
    makers = {output: number for number, op in enumerate(floats.operators) for output in op.outputs}
    return [
        _layer(integers, mine, floats.weights(makers[its]), output)
        for (mine, its), output in zip(pairs, watched, strict=True)
    ]


def worst_first(layers: Sequence[LayerNoise]) -> list[LayerNoise]:
    """Orders layers by how much noise they add."""
    return sorted(layers, key=lambda layer: layer.own_db)


def layer_name(tensor: str) -> str:
    """Returns the Keras layer that an operator came from: "a/norm;network/block_3/conv/Conv2D1" is "block_3/conv"."""
    parts = tensor.split(";")[-1].split("/")
    return "/".join(parts[1:-1]) or parts[-1]


def _layer(file: IntegerFile, operator: int, kernel: Float32, output: _Output) -> LayerNoise:
    op = file.operators[operator]
    whole, worst = _weights(file, operator, kernel, output)
    low, high = output.scale.real(np.array([-128, 127])).tolist()
    is_logits = op.outputs[0] == file.logits
    return LayerNoise(
        operator=operator, op=op.name, name="logits" if is_logits else layer_name(file.name(op.outputs[0])),
        weights_db=whole, worst_channel_db=worst, output_db=output.own.decibels, arriving_db=output.arriving.decibels,
        low=low, high=high, saturated=output.ends / output.values,
        dead=int((output.highest <= output.lowest).sum()), channels=len(output.lowest), is_logits=is_logits,
    )  # fmt: skip


def _is_int8(file: IntegerFile, operator: int) -> bool:
    return file.scale(file.operators[operator].outputs[0]) is not None


def _weights(file: IntegerFile, operator: int, wanted: Float32, output: _Output) -> tuple[float, float]:
    """Returns decibels of a kernel as a whole, and of its worst output channel among those that do anything."""
    got, name = file.weights(operator), file.operators[operator].name
    axis = got.ndim - 1 if name == "DEPTHWISE_CONV_2D" else 0
    axes = tuple(n for n in range(got.ndim) if n != axis)
    signal = np.square(wanted, dtype=np.float64).sum(axes)
    noise = np.square(wanted - got, dtype=np.float64).sum(axes)
    alive = (signal > 0) & (output.highest > output.lowest)
    channels = [_decibels(s, n) for s, n in zip(signal[alive], noise[alive], strict=True)]
    return _decibels(float(signal.sum()), float(noise.sum())), min(channels, default=MOST)


def _decibels(signal: float, noise: float) -> float:
    if noise <= 0 or signal <= 0:
        return MOST
    return float(min(MOST, 10 * np.log10(signal / noise)))
