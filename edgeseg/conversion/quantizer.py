"""From a float32 file to an integer one: TensorFlow's quantizer makes the graph, edgeseg sets the ranges in it.

The quantizer's own calibration runs every picture through slow kernels. Here it sees one picture, which is enough to
make the graph; the ranges of activations are then measured on all pictures with the float file on XNNPACK, several
times faster. Where an operator's scale cannot be set in the file, the quantizer sees all pictures after all.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Sequence

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec, Recipe
from edgeseg.conversion.equalize import channel_ranges
from edgeseg.conversion.integer_file import IntegerFile
from edgeseg.conversion.ptq import representative
from edgeseg.conversion.tuning import Run
from edgeseg.conversion.twins import Ranges, all_settled, requantized
from edgeseg.errors import ConversionError
from edgeseg.image import normalise
from edgeseg.recipes import recipe_row
from edgeseg.runtime.quiet import captured_output, telling

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.optimize.calibrator import Calibrator, add_intermediate_tensors

Advance = Callable[[int, int], None]


def quantize(
    floating: bytes, recipe: Recipe, spec: InputSpec, tensors: Sequence[Uint8], run: Run, advance: Advance | None = None
) -> tuple[bytes, Ranges]:
    """Makes an integer file of a float32 one.

    Args:
        floating: The float32 file.
        recipe: An integer recipe.
        spec: The network's input.
        tensors: Calibration tensors, (height, width, channels) uint8; the first spans the range of a pixel.
        run: Runs a file.
        advance: Called with (done, total) pictures.

    Returns:
        The file, with uint8 input and, for logits, int8 output; and the range of each channel of the float file's
        activations.

    Raises:
        ConversionError: The quantizer failed.
    """
    pictures = _counted(tensors, advance)
    file = IntegerFile(floating)
    outputs = [t for op in file.operators for t in op.outputs if file.is_float(t)]
    ranges = channel_ranges(file, outputs, run, (normalise(tensor, spec) for tensor in pictures))
    made = requantized(graph := _quantized(floating, recipe, representative(tensors[:1], spec)), floating, ranges)
    if made is None or not all_settled(graph):
        made = _quantized(floating, recipe, representative(_counted(tensors, advance), spec))
    return made, ranges


def _quantized(floating: bytes, recipe: Recipe, pictures: Iterator[list[Float32]]) -> bytes:
    """Runs TensorFlow's calibration and quantizer, with nothing of their log on the screen."""
    with captured_output() as log, contextlib.redirect_stdout(io.StringIO()):
        try:
            calibrated = Calibrator(add_intermediate_tensors(floating)).calibrate(lambda: pictures)
            content: bytes = mlir_quantize(
                calibrated,
                disable_per_channel=recipe_row(recipe.name).per_tensor,
                input_data_type=tf.uint8,
                output_data_type=tf.int8 if recipe.output == "logits" else tf.float32,  # class ids stay int32
            )
        except Exception as error:  # it raises whatever its C++ parts raise
            lines = str(error).strip().splitlines()
            reason = telling(log()) or (lines[-1] if lines else type(error).__name__)
            raise ConversionError(f"TensorFlow's quantizer failed: {reason}") from error
    return content


def _counted(tensors: Sequence[Uint8], advance: Advance | None) -> Iterator[Uint8]:
    for done, tensor in enumerate(tensors, 1):
        yield tensor
        if advance:
            advance(done, len(tensors))
