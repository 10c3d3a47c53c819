"""Float networks on disk: building one from its card, loading and saving `.keras` files, and predicting with them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edgeseg.architectures.network import NetworkSpec
from edgeseg.architectures.registry import build_network
from edgeseg.card import InputSpec, ModelCard
from edgeseg.card_file import read_model, write_model
from edgeseg.errors import ModelFileError
from edgeseg.files import write_bytes
from edgeseg.image import Float32, Uint8, fit, normalise, resize_label_map
from edgeseg.other_formats import unloadable
from edgeseg.postprocess import binary_label_map, label_map, probabilities
from edgeseg.thawed_layers import REGISTERED


def network_spec(card: ModelCard) -> NetworkSpec:
    """Returns what to build for a card.

    Raises:
        UsageError: The card's network was not made by edgeseg, or its input size does not fit.
    """
    return NetworkSpec(
        architecture=card.architecture,
        backbone=card.backbone,
        num_classes=card.labels.num_classes,
        height=card.input.height,
        width=card.input.width,
        output_stride=card.output_stride,
        channels=card.input.channels,
        form=card.form,
    )


def save_model(path: str | os.PathLike[str], model: Any, card: ModelCard | None) -> None:
    """Writes a Keras 3 model with its card, if it has one, as one `.keras` file, atomically."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model.keras"
        model.save(saved)
        content = saved.read_bytes()
    if card is None:
        write_bytes(path, content)
    else:
        write_model(path, content, card)


def load_model(path: str | os.PathLike[str]) -> tuple[Any, ModelCard | None]:
    """Loads a `.keras` or `.h5` file.

    Returns:
        The Keras 3 model, and its card if the file has one.

    Raises:
        ModelFileError: The file is missing, damaged, or no Keras model.
    """
    _, card = read_model(path)
    try:
        return keras.models.load_model(path, custom_objects=REGISTERED, compile=False), card
    except Exception as error:  # layers' own code runs here and raises what it likes
        if known := unloadable(path):
            raise ModelFileError(f"{path} {known}") from error
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelFileError(
            f"{path} is not a Keras model that can be loaded ({reason}): expected .keras or .h5"
        ) from error


def rebuild(
    K: ModuleType, model: Any, card: ModelCard, spec: InputSpec | None = None, batch_size: int | None = 1
) -> Any:
    """Builds a card's network anew and gives it the weights of `model`.

    Args:
        K: `keras` or `tf_keras`: the namespace wanted, whichever `model` is of.
        model: The trained network.
        card: Its card.
        spec: Another input size than the card's, if given.
        batch_size: Fixed batch size; conversion wants 1.
    """
    wanted = network_spec(card if spec is None else replace(card, input=spec))
    network = build_network(K, wanted, batch_size=batch_size)
    copy_weights(model, network)
    return network


def measure_norms(network: Any, biases: Mapping[str, Float32], pictures: Iterable[Any]) -> None:
    """Unfolds batch normalisations that a converter folded, so that training can start from real statistics.

    A convolution's output has mean m and standard deviation s over some pictures. The normalisation behind it is set to
    subtract m, divide by s, multiply by gamma = s and add beta = bias + m: together the folded bias and nothing else,
    so what the network computes stays the same.

    Args:
        network: A Keras 3 network; the normalisation behind its layer NAME is called NAME_BN.
        biases: The folded bias of each such convolution, by its name.
        pictures: Inputs of the network, each a batch of any size, normalised; a list of tensors where it takes several.
            Without any, the normalisations are set to add the bias, with mean 0 and variance 1.
    """
    norms = {name: network.get_layer(f"{name}_BN") for name in biases}
    for name, norm in norms.items():
        ones = np.ones_like(biases[name])
        norm.set_weights([ones, biases[name], np.zeros_like(ones), ones - norm.epsilon])
    if not norms:
        return
    watcher = keras.Model(network.inputs, [network.get_layer(name).output for name in norms])
    sums = {name: np.zeros((2, bias.size)) for name, bias in biases.items()}
    pixels = dict.fromkeys(norms, 0)
    for picture in pictures:
        outputs = watcher(picture if isinstance(picture, list) else [picture], training=False)
        for name, output in zip(norms, outputs, strict=True):
            values = keras.ops.convert_to_numpy(output).reshape(-1, biases[name].size).astype(np.float64)
            sums[name] += values.sum(0), (values**2).sum(0)
            pixels[name] += len(values)
    for name, norm in norms.items():
        if pixels[name]:
            mean, squares = sums[name] / pixels[name]
            variance = np.maximum(squares - mean**2, 1e-6)
            norm.set_weights([np.sqrt(variance + norm.epsilon), biases[name] + mean, mean, variance])


def copy_weights(source: Any, target: Any) -> None:
    """Copies all weights from one network to another of the same layers, whatever Keras each is of, by layer name."""
    for layer in target.layers:
        if layer.weights:
            layer.set_weights(source.get_layer(layer.name).get_weights())


class KerasSegmenter:
    """Segments pictures with a float Keras network, the way `runtime.Segmenter` does with a file.

    Args:
        model: From normalised (1, H, W, 3) to logits (1, h, w, classes); of one channel, class 1 is where it is above
            0.5 behind a sigmoid, above 0 without one.
        spec: Its input.
    """

    def __init__(self, model: Any, spec: InputSpec) -> None:
        self.input = spec
        self._model = model
        last = model
        while getattr(last, "layers", None):  # networks may hold networks
            last = last.layers[-1]
        activation = getattr(last, "activation", None)
        self._threshold = 0.5 if getattr(activation, "__name__", "") == "sigmoid" else 0.0

    def logits(self, image: Uint8) -> npt.NDArray[np.float32]:
        """Returns the logits (h, w, classes) of a blue-green-red picture of any size."""
        batch = normalise(fit(image, self.input), self.input)[None]
        logits: npt.NDArray[np.float32] = keras.ops.convert_to_numpy(self._model(batch, training=False))[0]
        return logits

    def segment(self, image: Uint8, height: int | None = None, width: int | None = None) -> Uint8:
        """Returns the label map of a picture, at the logits' own size or at height x width."""
        logits = self.logits(image)
        if height is None or width is None:
            height, width = logits.shape[:2]
        if logits.shape[2] == 1:
            return resize_label_map(binary_label_map(logits, self._threshold), height, width)
        return label_map(logits, height, width)

    def probabilities(self, image: Uint8, height: int, width: int) -> Float32:
        """Returns the class probabilities (height, width, classes) of a picture."""
        sized: Float32 = probabilities(self.logits(image), height, width)
        return sized
