"""Running TensorFlow's converter, and checking what it made."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy.typing as npt

from edgeseg.arrays import Uint8
from edgeseg.card import InputSpec, Recipe
from edgeseg.conversion.quantizer import quantize
from edgeseg.errors import ConversionError
from edgeseg.recipes import recipe_row
from edgeseg.runtime.protocol import OpenOptions
from edgeseg.runtime.quiet import captured_output, telling
from edgeseg.runtime.registry import open_network
from edgeseg.tflite.cost import flex_operators, float_operators
from edgeseg.tflite.graph import Graph, Operator

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
import tensorflow as tf
import tf_keras

Advance = Callable[[int, int], None]
"""Called with (done, total)."""


def run_converter(
    network: Any, recipe: Recipe, spec: InputSpec, tensors: Sequence[Uint8] = (), advance: Advance | None = None
) -> bytes:
    """Runs TensorFlow's converter, and its quantizer if the recipe is of integers; nothing of their log is shown.

    Args:
        network: The network, of a batch of 1.
        recipe: How to quantize.
        spec: Its input.
        tensors: Calibration tensors, see `conversion.quantizer`; only for integers.
        advance: Called with (done, total) of them.

    Raises:
        ConversionError: It failed; the message is its last error.
    """
    if recipe_row(recipe.name).is_integer:
        floating = run_converter(network, Recipe(name="float32"), spec)
        return quantize(floating, recipe, spec, tensors, run_file, advance)[0]
    with (
        tempfile.TemporaryDirectory(prefix="edgeseg-") as folder,
        captured_output() as log,
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            converter = _converter_of(network, folder)
            _configure(converter, recipe)
            graph: bytes = converter.convert()
        except Exception as error:  # the converter raises whatever its C++ parts raise
            lines = str(error).strip().splitlines()
            reason = telling(log()) or (lines[-1] if lines else type(error).__name__)
            raise ConversionError(f"TensorFlow's converter failed on {network.name}: {reason}") from error
    return graph


def _converter_of(network: Any, folder: str) -> Any:
    """Returns TensorFlow's converter for a network, of which `folder` may keep a copy until it has run.

    tf_keras would write each layer as a function of its own, too, which the converter never looks at; the network alone
    is written in a quarter of the time, and the file has the same operators, tensors and names.
    """
    if not (isinstance(network, tf_keras.Model) and network.inputs):
        return tf.lite.TFLiteConverter.from_keras_model(network)
    named = zip(network.input_names, network.inputs, strict=True)

    @tf.function(input_signature=[tf.TensorSpec(x.shape, x.dtype, name) for name, x in named])  # type: ignore[untyped-decorator]
    def serve(*inputs: Any) -> dict[str, Any]:
        given = network(list(inputs) if len(inputs) > 1 else inputs[0], training=False)
        return dict(zip(network.output_names, tf.nest.flatten(given), strict=True))

    module = tf.Module()
    module.variables_of_network = network.variables
    options = tf.saved_model.SaveOptions(save_debug_info=True)
    tf.saved_model.save(module, folder, signatures=serve, options=options)
    return tf.lite.TFLiteConverter.from_saved_model(folder)


def _configure(converter: Any, recipe: Recipe) -> None:
    row = recipe_row(recipe.name)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if row.weights == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if row.weights == "float16":
        converter.target_spec.supported_types = [tf.float16]


def run_file(content: bytes, inputs: Iterable[Any]) -> Iterator[list[npt.NDArray[Any]]]:
    """Runs a `.tflite` file on inputs of its own type; yields copies of its outputs for each.

    Args:
        content: The file.
        inputs: Arrays, the batch of 1 may be left out; lists with one for each input where the file has several.
    """
    network = open_network(content, OpenOptions(threads=len(os.sched_getaffinity(0)), proven=True))
    for picture in inputs:
        for tensor, array in zip(network.inputs, picture if isinstance(picture, list) else [picture], strict=True):
            network.view(tensor)[:] = array
        network.invoke()
        yield [network.view(output).copy() for output in network.outputs]


def check_operators(graph: Graph, recipe: Recipe) -> None:
    """Refuses a graph that the recipe's devices could not run.

    Raises:
        ConversionError: An integer recipe left float operators, or an operator needs the TensorFlow runtime.
    """
    flex = flex_operators(graph)
    if flex:
        raise ConversionError(f"{_named(flex)} would need the TensorFlow runtime on the device: build without them")
    left = float_operators(graph) if recipe.is_integer else []
    if left:
        raise ConversionError(
            f"{recipe.name} was asked for and {_named(left)} stayed float: replace these layers, or use --int8-weights"
        )


def _named(operators: Sequence[Operator]) -> str:
    names = [f"{op.op} (operator {op.index})" for op in operators]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
