"""Running TensorFlow's converter, and checking what it made."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import flatbuffers
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec, Recipe
from edgeseg.conversion.ptq import representative
from edgeseg.errors import ConversionError
from edgeseg.host import usable_cores
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
    network: Any, recipe: Recipe, spec: InputSpec, tensors: Sequence[Uint8], advance: Advance | None = None
) -> bytes:
    """Runs TensorFlow's converter, with its log off the screen where the program asked for that.

    Raises:
        ConversionError: It failed; the message is its last error.
    """
    with captured_output() as log, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function = _traced(network)
            converter = tf.lite.TFLiteConverter.from_concrete_functions([function], function)
            _configure(converter, recipe, spec, tensors, advance)
            content = _with_signature(converter.convert(), network)
        except Exception as error:  # the converter raises whatever its C++ parts raise
            reason = _reason(str(error), log()) or type(error).__name__
            raise ConversionError(f"TensorFlow's converter failed on {network.name}: {reason}") from error
    return content


def _reason(message: str, log: str) -> str:
    """Says in a line why the converter failed: which operations TFLite lacks, else its last error."""
    lacking = re.search(r"(?:TF Select|Custom) ops: (.+)", f"{message}\n{log}")
    return f"TFLite has no operator for {lacking[1].strip()}" if lacking else telling(log) or telling(message)


def _traced(network: Any) -> Any:
    """Returns a network as one TensorFlow function of a fixed signature.

    The converter freezes it in a fifth of the time in which it would save the network as a SavedModel and load that
    again, and the operators of the file and what they compute are the same.
    """
    signature = [tf.TensorSpec(x.shape, x.dtype, name) for name, x in _inputs(network)]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def serve(*inputs: Any) -> list[Any]:
        given = network(list(inputs) if len(inputs) > 1 else inputs[0], training=False)
        return list(tf.nest.flatten(given))

    return serve.get_concrete_function()


def _inputs(network: Any) -> list[tuple[str, Any]]:
    """Returns the names and the symbolic tensors of a network's inputs."""
    return [(x.name.partition(":")[0], x) for x in network.inputs]


def _with_signature(content: bytes, network: Any) -> bytes:
    """Names a file's inputs and outputs in a signature, which runtimes need that call a file by name."""

    def numbered(names: list[str], tensors: Sequence[int]) -> list[schema.TensorMapT]:
        entries = []
        for name, tensor in zip(names, tensors, strict=True):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name, int(tensor)
            entries.append(entry)
        return entries

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(content), 0))
    (graph,) = model.subgraphs
    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    signature.inputs = numbered([name for name, _ in _inputs(network)], graph.inputs)
    numbers = [f"output_{n}" for n in range(len(graph.outputs))]  # as Keras 3 names them in what it exports
    names = network.output_names if isinstance(network, tf_keras.Model) else numbers
    signature.outputs = numbered(names, graph.outputs)
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _configure(
    converter: Any, recipe: Recipe, spec: InputSpec, tensors: Sequence[Uint8], advance: Advance | None
) -> None:
    row = recipe_row(recipe.name)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if row.weights == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if row.weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    converter._experimental_disable_per_channel = row.per_tensor
    if row.is_integer:

        def images() -> Iterator[list[Float32]]:
            for done, tensor in enumerate(representative(tensors, spec), 1):
                yield tensor
                if advance:
                    advance(done, len(tensors))

        converter.representative_dataset = images
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        if recipe.output == "logits":  # class ids are int32 as they are
            converter.inference_output_type = tf.int8


def run_file(content: bytes, inputs: Sequence[npt.NDArray[Any]]) -> Iterator[list[npt.NDArray[Any]]]:
    """Runs a `.tflite` file on inputs of its own type without the batch; yields copies of its outputs for each."""
    network = open_network(content, OpenOptions(threads=usable_cores(), proven=True))
    for image in inputs:
        network.view(network.inputs[0])[:] = image[None]
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
