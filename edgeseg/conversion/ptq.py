"""Post-training quantization: what the converter sees of the calibration pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgeseg.card import InputSpec
from edgeseg.errors import DataError
from edgeseg.files import digest
from edgeseg.image import Float32, Uint8, normalise


def span_input_range(tensors: Sequence[Uint8]) -> None:
    """Makes the first calibration tensor span the whole range of a pixel, in place.

    The input's quantization is taken from the smallest and largest value seen. With 0 and 255 among them it comes out
    as exactly (pixel - mean) / std, so that the uint8 pixels of a camera are the quantized input as they are. Two
    corners of the first tensor are set to them; the activations' ranges do not feel it.

    Args:
        tensors: (height, width, 3) uint8 RGB each, fitted to the input.

    Raises:
        DataError: There is none.
    """
    if not tensors:
        raise DataError("the calibration set has no images: expected at least one, better 100")
    tensors[0][0, 0], tensors[0][0, -1] = 0, 255


def tensors_digest(tensors: Sequence[Uint8]) -> str:
    """Returns the SHA-256 of calibration tensors, in order."""
    return digest(b"".join(np.ascontiguousarray(t).tobytes() for t in tensors))


def representative(tensors: Sequence[Uint8], spec: InputSpec) -> Iterator[list[Float32]]:
    """Yields what TFLiteConverter wants: a list with one (1, height, width, 3) float32 tensor for each picture."""
    for tensor in tensors:
        yield [normalise(tensor, spec)[None]]
