"""From a Keras network to a `.tflite` file with its card.

The network is rebuilt under tf_keras with a batch of exactly 1: only then does the converter fold batch normalisation
and keep dilated convolutions whole. What comes out is checked before anything is written: a file that was asked to be
integer has no float operator, and none needs more than TFLite's builtins.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edgeseg.card import CalibrationRecord, InputSpec, ModelCard, Recipe
from edgeseg.card_file import attach
from edgeseg.conversion.ptq import representative, span_input_range, tensors_digest
from edgeseg.conversion.tuning import tune
from edgeseg.errors import ConversionError, UsageError
from edgeseg.files import digest
from edgeseg.image import Float32, Uint8, fit
from edgeseg.keras_model import KerasSegmenter, rebuild
from edgeseg.runtime.interpreter import Interpreter
from edgeseg.runtime.quiet import captured_output, telling
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.tflite.cost import flex_operators, float_operators
from edgeseg.tflite.graph import Graph, Operator, parse_graph

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
import tensorflow as tf
import tf_keras

Advance = Callable[[int, int], None]
Notify = Callable[[str], None]

AGREEMENT_IMAGES = 20
"""Pictures on which a file is compared with the network it came from."""


def convert(
    model: Any,
    card: ModelCard,
    recipe: Recipe,
    calibration: Iterable[Uint8],
    *,
    calibration_source: str,
    spec: InputSpec | None = None,
    advance: Advance | None = None,
    notify: Notify = lambda line: None,
) -> tuple[bytes, ModelCard]:
    """Converts a float network.

    Args:
        model: A Keras 3 network.
        card: Its card. Without an architecture in it (a network made elsewhere) the model is converted as it stands.
        recipe: How to quantize.
        calibration: Blue-green-red pictures like those the camera will see. They set the ranges of int8_ptq; for every
            recipe, agreement is measured on the first of them.
        calibration_source: Where they come from, for the card.
        spec: Another input size than the card's.
        advance: Called with (done, total) calibration pictures, then tuning steps.
        notify: Called with a line about what tuning brought (see `quantize.tuning`).

    Returns:
        The file's bytes, card included, and that card.

    Raises:
        ConversionError: The converter failed, or left an operator that the recipe does not allow.
        DataError: The calibration set is empty.
        UsageError: The input size does not fit the network.
    """
    spec = spec or card.input
    network = rebuild(tf_keras, model, card, spec) if card.architecture else model
    if recipe.target == "edgetpu":
        network = without_tail(network)
    if not card.architecture:
        network = with_fixed_batch(network, spec)
    tensors: list[Uint8] = []
    shown: list[Uint8] = []
    for image in calibration:
        tensors.append(fit(image, spec))
        if len(shown) < AGREEMENT_IMAGES:
            shown.append(image)
    span_input_range(tensors)
    with_result = with_output(network, recipe)
    graph = run_converter(with_result, recipe, spec, tensors, advance)
    check_operators(parse_graph(graph), recipe)
    record = CalibrationRecord(source=calibration_source, count=len(tensors), digest=tensors_digest(tensors))
    converted = replace(
        card,
        input=spec,
        recipe=recipe,
        calibration=record if recipe.name == "int8_ptq" else None,
        scores=(),
        name=card.name.replace(f"{card.input.height}x{card.input.width}", f"{spec.height}x{spec.width}"),
    )
    choices = ChoicesOf(network, spec, shown)
    agreement = choices.agreement(attach(graph, converted))
    if recipe.name == "int8_ptq":
        reference = run_converter(with_result, replace(recipe, name="float32"), spec, [])
        tuned, biases = tune(graph, reference, tensors, spec, run_file, advance or (lambda done, total: None))
        now = choices.agreement(attach(tuned, converted))
        notify(
            f"ranges and {biases} biases tuned: {now:.2%} agreement, {agreement:.2%} before"
            if now > agreement
            else f"ranges and biases are left as the converter set them: tuning brought no gain ({now:.2%} agreement)"
        )
        graph, agreement = (tuned, now) if now > agreement else (graph, agreement)
    converted = replace(converted, agreement=round(agreement, 6), graph_digest=digest(graph))
    return attach(graph, converted), converted


def with_fixed_batch(model: Any, spec: InputSpec) -> Any:
    """Gives a network made elsewhere a fixed batch of 1 and the input size of `spec`."""
    try:
        image = keras.Input(batch_shape=(1, spec.height, spec.width, spec.channels), name="image")
        return keras.Model(image, model(image))
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        size = f"1x{spec.height}x{spec.width}x{spec.channels}"
        raise ConversionError(f"the network does not take a {size} image: {reason}") from error


def without_tail(network: Any) -> Any:
    """Cuts what follows a network's own logits: softmax, and resizing to the picture's size.

    The Edge TPU leaves both to the CPU or refuses the file for their size (`tflite.edgetpu.rules`); the Segmenter
    upsamples and decides on the host, with the same result, since neither changes which class is strongest at a pixel
    of the logits.
    """
    output = network.output
    while True:
        layer = _producer(output)
        kind = type(layer).__name__
        if kind in ("Softmax", "UpSampling2D", "Resizing") or (kind == "Activation" and _is_softmax(layer)):
            output = layer.input
            continue
        if kind == "Conv2D" and _is_softmax(layer):
            plain = type(layer).from_config({**layer.get_config(), "activation": "linear"})
            output = plain(layer.input)
            plain.set_weights(layer.get_weights())
        break
    if output is network.output:
        return network
    return _namespace(network).Model(network.input, output)


def _namespace(network: Any) -> Any:
    """Returns the Keras that a network is of."""
    return tf_keras if isinstance(network, tf_keras.Model) else keras


def _producer(tensor: Any) -> Any:
    """Returns the layer that a symbolic tensor of either Keras comes from."""
    history = tensor._keras_history
    return history.operation if hasattr(history, "operation") else history.layer


def _is_softmax(layer: Any) -> bool:
    return getattr(layer.activation, "__name__", "") == "softmax"


def with_output(network: Any, recipe: Recipe) -> Any:
    """Lets a network give class ids (1, h, w) instead of logits where the recipe asks for labels.

    Raises:
        UsageError: It has one channel.
    """
    if recipe.output == "logits":
        return network
    if network.output_shape[-1] < 2:
        raise UsageError("--output labels with a network of one channel: its class is a threshold, use --output logits")
    namespace = _namespace(network)
    argmax = namespace.layers.Lambda(lambda logits: tf.argmax(logits, -1, output_type=tf.int32), name="labels")
    return namespace.Model(network.input, argmax(network.output))


def run_converter(
    network: Any, recipe: Recipe, spec: InputSpec, tensors: Sequence[Uint8], advance: Advance | None = None
) -> bytes:
    """Runs TensorFlow's converter with nothing of its log on the screen.

    Raises:
        ConversionError: It failed; the message is its last error.
    """
    with captured_output() as log, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            converter = tf.lite.TFLiteConverter.from_keras_model(network)
            _configure(converter, recipe, spec, tensors, advance)
            graph: bytes = converter.convert()
        except Exception as error:  # the converter raises whatever its C++ parts raise
            lines = str(error).strip().splitlines()
            reason = telling(log()) or (lines[-1] if lines else type(error).__name__)
            raise ConversionError(f"TensorFlow's converter failed on {network.name}: {reason}") from error
    return graph


def _configure(
    converter: Any, recipe: Recipe, spec: InputSpec, tensors: Sequence[Uint8], advance: Advance | None
) -> None:
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if recipe.name == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe.name == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif recipe.name == "int8_ptq":

        def pictures() -> Iterator[list[Float32]]:
            for done, tensor in enumerate(representative(tensors, spec), 1):
                yield tensor
                if advance:
                    advance(done, len(tensors))

        converter.representative_dataset = pictures
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        if recipe.output == "logits":  # class ids are int32 as they are
            converter.inference_output_type = tf.int8


def run_file(content: bytes, inputs: Sequence[npt.NDArray[Any]]) -> Iterator[list[npt.NDArray[Any]]]:
    """Runs a `.tflite` file on inputs of its own type without the batch; yields copies of its outputs for each."""
    interpreter = Interpreter(content, threads=len(os.sched_getaffinity(0)))
    for picture in inputs:
        interpreter.view(interpreter.inputs[0])[:] = picture[None]
        interpreter.invoke()
        yield [interpreter.view(output).copy() for output in interpreter.outputs]


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


class ChoicesOf:
    """What a float network chooses on some pictures, to compare files made of it with.

    Args:
        network: The network.
        spec: Its input.
        images: Blue-green-red pictures.
    """

    def __init__(self, network: Any, spec: InputSpec, images: Sequence[Uint8]) -> None:
        reference = KerasSegmenter(network, spec)
        self._images = images
        self._label_maps = [reference.segment(image) for image in images]

    def agreement(self, file: bytes) -> float:
        """Returns the fraction of pixels on which a file chooses the same class, at the logits' own resolution."""
        segmenter = Segmenter(file)
        same = [
            float(np.mean(segmenter.segment(image) == chosen))
            for image, chosen in zip(self._images, self._label_maps, strict=True)
        ]
        return float(np.mean(same))
