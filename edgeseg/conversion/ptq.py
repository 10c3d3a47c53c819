"""Post-training quantization: what the converter sees of the calibration images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec
from edgeseg.errors import DataError
from edgeseg.files import digest
from edgeseg.image import normalise
from edgeseg.runtime.protocol import OpenOptions
from edgeseg.runtime.registry import open_network
from edgeseg.runtime.signature import input_table


def span_input_range(tensors: Sequence[Uint8]) -> None:
    """Makes the first calibration tensor span the whole range of a pixel, in place.

    The input's quantization is taken from the smallest and largest value seen. With 0 and 255 among them, in every
    channel, no pixel lies outside; with one mean and std it comes out as exactly (pixel - mean) / std, so that the
    uint8 pixels of a camera are the quantized input as they are. Two corners of the first tensor are set to them; the
    activations' ranges do not feel it.

    Args:
        tensors: (height, width, channels) uint8 each, fitted to the input.

    Raises:
        DataError: There is none.
    """
    if not tensors:
        raise DataError("the calibration set has no images: expected at least one, better 100")
    tensors[0][0, 0], tensors[0][0, -1] = 0, 255


def stored_inputs(content: bytes, tensors: Sequence[Uint8], spec: InputSpec) -> Sequence[Uint8]:
    """Returns what a file with uint8 input stores for calibration tensors, as the Segmenter would put it in."""
    table = input_table(spec, open_network(content, OpenOptions(proven=True)).inputs[0])
    if table is None:
        return tensors
    return [cv2.LUT(tensor, table).astype(np.uint8, copy=False) for tensor in tensors]


def tensors_digest(tensors: Sequence[Uint8]) -> str:
    """Returns the SHA-256 of calibration tensors, in order."""
    return digest(b"".join(np.ascontiguousarray(t).tobytes() for t in tensors))


def representative(tensors: Sequence[Uint8], spec: InputSpec) -> Iterator[list[Float32]]:
    """Yields what TFLiteConverter wants: a list with one float32 tensor (1, height, width, channels) an image."""
    for tensor in tensors:
        yield [normalise(tensor, spec)[None]]
