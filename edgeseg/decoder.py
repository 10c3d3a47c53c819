"""From a network's output to the image's label map: the one way, for Keras networks and for files.

A letterboxed image covers only the upper left part of the input; what a network says of the padding is cut off. Of
one output channel, what is above a threshold is class 1. A network that gives class ids itself is only resized.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32, Uint8, check_size
from edgeseg.card import InputSpec, OutputKind
from edgeseg.errors import UsageError
from edgeseg.image import resize_label_map
from edgeseg.postprocess import Argmax, binary_label_map, checked_out, label_map, probabilities


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """What a network gives.

    Attributes:
        kind: "logits", one channel for each class or one for two classes, or "labels", class ids.
        height: Rows.
        width: Columns.
        channels: Of logits; 1 of labels.
        dtype: Type of what is stored.
        scale: Real value of one step; 0 if real values are stored.
        zero_point: Stored value of real zero.
        threshold: Real value above which a pixel of one channel is class 1.
    """

    kind: OutputKind
    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0
    threshold: float = 0.0

    @property
    def is_binary(self) -> bool:
        """Whether one channel tells two classes apart."""
        return self.kind == "logits" and self.channels == 1

    @property
    def stored_threshold(self) -> float:
        """The threshold in the units that are stored."""
        return self.threshold / self.scale + self.zero_point if self.scale else self.threshold


class Decoder:
    """Makes label maps of a network's outputs; keeps its buffers from call to call.

    An output is (h, w, channels), or (h, w) class ids. `covered` says, with it, which rows and columns of the input
    the image covers, from the upper left corner (see `image.content_size`).

    Args:
        input_spec: The network's input.
        output: What it gives.
    """

    def __init__(self, input_spec: InputSpec, output: OutputSpec) -> None:
        self._input, self._spec = input_spec, output
        dtype = np.dtype(np.float32) if output.dtype == np.float16 else output.dtype
        self._argmax = Argmax(output.height, output.width, output.channels, dtype)

    def label_map(self, output: npt.NDArray[Any], covered: tuple[int, int], out: Uint8 | None = None) -> Uint8:
        """Returns the label map at the output's own size, padding cut off: the quickest.

        Args:
            output: See the class.
            covered: See the class.
            out: uint8 of the output's size to work in; a new array if None.

        Returns:
            uint8 class ids; a view of `out` if that was given.

        Raises:
            UsageError: `out` is not contiguous uint8 of the output's size.
        """
        spec = self._spec
        size = (spec.height, spec.width)
        labels = np.empty(size, np.uint8) if out is None else checked_out(out, size)
        if spec.kind == "labels":
            np.copyto(labels, output, casting="unsafe")
        elif spec.is_binary:
            np.copyto(labels, binary_label_map(output, spec.stored_threshold))
        else:
            self._argmax(output.astype(np.float32) if output.dtype == np.float16 else output, labels)
        rows = max(1, round(spec.height * covered[0] / self._input.inner[0]))
        columns = max(1, round(spec.width * covered[1] / self._input.inner[1]))
        return labels[:rows, :columns]

    def sized_label_map(
        self, output: npt.NDArray[Any], covered: tuple[int, int], height: int, width: int, *, sharp: bool
    ) -> Uint8:
        """Returns the label map at another size, usually the image's.

        Args:
            output: See the class.
            covered: See the class.
            height: Rows wanted.
            width: Columns wanted.
            sharp: Interpolate logits and then decide; else repeat decided pixels, as is done with class ids anyway.

        Returns:
            (height, width) uint8 class ids.

        Raises:
            UsageError: The size is none.
        """
        check_size(height, width)
        canvas = self._canvas(covered, height, width)
        if sharp and self._spec.kind == "logits":
            return label_map(one_per_class(output, self._spec), height, width, canvas)
        whole = self.label_map(output, self._input.inner)
        return np.ascontiguousarray(resize_label_map(whole, *canvas)[:height, :width])

    def probabilities(
        self, output: npt.NDArray[Any], covered: tuple[int, int], height: int, width: int, *, are_logits: bool
    ) -> Float32:
        """Returns the class probabilities at another size.

        Args:
            output: Logits, see the class.
            covered: See the class.
            height: Rows wanted.
            width: Columns wanted.
            are_logits: Whether the output's values are logits; else they are probabilities.

        Returns:
            (height, width, classes) float32; each pixel's sum to 1.

        Raises:
            UsageError: The size is none, or the network gives labels.
        """
        check_size(height, width)
        spec = self._spec
        if spec.kind != "logits":
            raise UsageError("a network that gives labels has no class probabilities")
        real = output.astype(np.float32)
        if spec.scale:
            real = (real - np.float32(spec.zero_point)) * np.float32(spec.scale)
        if spec.is_binary:
            real = np.concatenate([np.zeros_like(real) if are_logits else 1 - real, real], axis=2)
        return probabilities(real, height, width, self._canvas(covered, height, width), softmax=are_logits)

    def _canvas(self, covered: tuple[int, int], height: int, width: int) -> tuple[int, int]:
        """The size of what the output covers, padding and all, where the image in it is height x width."""
        rows, columns = self._input.inner
        return max(height, round(height * rows / covered[0])), max(width, round(width * columns / covered[1]))


def one_per_class(output: npt.NDArray[Any], spec: OutputSpec) -> npt.NDArray[Any]:
    """Returns logits with a channel for each class: the strongest of a pixel, or of a mixture of pixels, is its class.

    Args:
        output: (h, w, channels) logits.
        spec: What they are; of one channel, its threshold is set against it.

    Returns:
        (h, w, classes); `output` itself if it has more than one channel.
    """
    if not spec.is_binary:
        return output
    threshold = spec.stored_threshold
    whole = output.dtype.kind in "iu" and float(threshold).is_integer()
    channel = output.astype(np.int32 if whole else np.float32)
    return np.concatenate([np.full_like(channel, threshold), channel], axis=2)
