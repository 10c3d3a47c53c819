"""Post-training quantization: what the converter sees of the calibration pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgeseg.card import InputSpec
from edgeseg.errors import DataError
from edgeseg.files import digest
from edgeseg.image import Float32, Uint8, fit, normalise


def calibration_tensors(images: Sequence[Uint8], spec: InputSpec) -> list[Uint8]:
    """Fits calibration pictures to the input, and makes the first one span the whole range of a pixel.

    The input's quantization is taken from the smallest and largest value seen. With 0 and 255 among them it comes out
    as exactly (pixel - mean) / std, so that the uint8 pixels of a camera are the quantized input as they are. Two
    pixels of the first picture's first row are set to them; the activations' ranges do not feel it.

    Args:
        images: Blue-green-red pictures of any size.
        spec: The network's input.

    Returns:
        (height, width, 3) uint8 RGB each.

    Raises:
        DataError: There is no picture.
    """
    if not images:
        raise DataError("the calibration set has no images: expected at least one, better 100")
    fitted = [fit(image, spec) for image in images]
    fitted[0][0, 0], fitted[0][0, -1] = 0, 255
    return fitted


def tensors_digest(tensors: Sequence[Uint8]) -> str:
    """Returns the SHA-256 of calibration tensors, in order."""
    return digest(b"".join(np.ascontiguousarray(t).tobytes() for t in tensors))


def representative(tensors: Sequence[Uint8], spec: InputSpec) -> Iterator[list[Float32]]:
    """Yields what TFLiteConverter wants: a list with one (1, height, width, 3) float32 tensor for each picture."""
    for tensor in tensors:
        yield [normalise(tensor, spec)[None]]
