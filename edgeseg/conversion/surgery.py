"""Networks made ready for the converter: a batch of exactly 1, no tail that a device cannot run, labels for logits.

Only with a batch of 1 does the converter fold batch normalisation and keep dilated convolutions whole.
"""

from __future__ import annotations

import os
from typing import Any

import keras

from edgeseg.card import InputSpec, ModelCard, Recipe
from edgeseg.errors import ConversionError, UsageError
from edgeseg.keras_model import rebuild

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
import tensorflow as tf
import tf_keras


def for_converter(model: Any, card: ModelCard, spec: InputSpec, recipe: Recipe) -> Any:
    """Returns a network of batch 1 and the input size of `spec`, whose output is logits.

    A network of edgeseg's is rebuilt under tf_keras; one made elsewhere stays what it is.

    Raises:
        ConversionError: A network made elsewhere does not take that size.
        UsageError: The size does not fit the architecture.
    """
    network = rebuild(tf_keras, model, card, spec) if card.architecture else model
    if recipe.target == "edgetpu":
        network = without_tail(network)
    return network if card.architecture else with_fixed_batch(network, spec)


def with_fixed_batch(model: Any, spec: InputSpec) -> Any:
    """Gives a network made elsewhere a fixed batch of 1 and the input size of `spec`."""
    try:
        image = _namespace(model).Input(batch_shape=(1, spec.height, spec.width, spec.channels), name="image")
        return _namespace(model).Model(image, model(image))
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        size = f"1x{spec.height}x{spec.width}x{spec.channels}"
        raise ConversionError(f"the network does not take a {size} image: {reason}") from error


def without_tail(network: Any) -> Any:
    """Cuts what follows a network's own logits: softmax, and resizing to the image's size.

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
