"""Float networks on disk: building one from its card, loading and saving `.keras` files, and running them."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import keras
import numpy as np
import numpy.typing as npt

from edgeseg.architectures.network import NetworkSpec
from edgeseg.architectures.registry import build_network, check_network
from edgeseg.arrays import Float32
from edgeseg.card import InputSpec, ModelCard
from edgeseg.card_file import read_model, write_model
from edgeseg.errors import ModelFileError, UsageError
from edgeseg.files import write_bytes
from edgeseg.foreign import own_normalisation
from edgeseg.keras_passes import forward
from edgeseg.other_formats import unloadable
from edgeseg.runtime.protocol import OpenOptions, Origin, TensorInfo, Wanted
from edgeseg.thawed_layers import REGISTERED


def network_spec(card: ModelCard) -> NetworkSpec:
    """Returns what to build for a card.

    Raises:
        UsageError: The card's network was not made by edgeseg, or its input size does not fit.
    """
    spec = NetworkSpec(
        architecture=card.architecture,
        backbone=card.backbone,
        num_classes=card.labels.num_classes,
        height=card.input.height,
        width=card.input.width,
        output_stride=card.output_stride,
        channels=card.input.channels,
        form=card.form,
    )
    check_network(spec)
    return spec


def save_model(
    path: str | os.PathLike[str], model: Any, card: ModelCard | None, *, half_precision: bool = False
) -> None:
    """Writes a Keras 3 model with its card, if it has one, as one `.keras` file, atomically.

    Args:
        path: Where to.
        model: The network.
        card: Its card.
        half_precision: Store kernels in float16, which halves the file: each weight within one part in 2,048, far below
            the steps of int8. Vectors (biases, batch normalisation) stay float32, and so is the network that is loaded.
    """
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model.keras"
        model.save(saved)
        content = saved.read_bytes()
    if half_precision:
        content = halved(content)
    if card is None:
        write_bytes(path, content)
    else:
        write_model(path, content, card)


def halved(content: bytes) -> bytes:
    """Returns a `.keras` file's bytes with the kernels in its weights as float16."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(result, "w") as target:
        for name in source.namelist():
            member = source.read(name)
            target.writestr(name, _halved_weights(member) if name.endswith(".h5") else member)
    return result.getvalue()


def _halved_weights(content: bytes) -> bytes:
    result = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(result, "w", libver="latest") as target:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                small = item.ndim > 1 and item.dtype == np.float32
                made: Any = target.create_dataset(name, data=item[()], dtype=np.float16 if small else item.dtype)
            else:
                made = target.require_group(name)
            made.attrs.update(item.attrs)

        source.visititems(copy)
    return result.getvalue()


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


def measure_norms(network: Any, biases: Mapping[str, Float32], images: Iterable[Any]) -> None:
    """Unfolds batch normalisations that a converter folded, so that training can start from real statistics.

    A convolution's output has mean m and standard deviation s over some images. The normalisation behind it is set to
    subtract m, divide by s, multiply by gamma = s and add beta = bias + m: together the folded bias and nothing else,
    so what the network computes stays the same.

    Args:
        network: A Keras 3 network; the normalisation behind its layer NAME is called NAME_BN.
        biases: The folded bias of each such convolution, by its name.
        images: Inputs of the network, each a batch of any size, normalised; a list of tensors where it takes several.
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
    for image in images:
        outputs = watcher(image if isinstance(image, list) else [image], training=False)
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


class KerasNetwork:
    """A float Keras network as `runtime.protocol.Network` wants it: one normalised image in, one output each time.

    Args:
        model: From (1, H, W, channels) float32 to logits or probabilities (1, h, w, classes), or class ids.
        name: What messages call it.
        size: (rows, columns) of the input, for a network that takes any.

    Raises:
        ModelFileError: The network does not take one image.
        UsageError: It takes images of any size, and none is given.
    """

    device = "keras"
    accelerator = False
    notices: tuple[str, ...] = ()

    def __init__(self, model: Any, name: str = "the network", size: tuple[int, int] | None = None) -> None:
        self._model, self._forward = model, forward(model)
        shape = getattr(model, "input_shape", None)
        if not isinstance(shape, tuple) or len(shape) != 4 or not shape[3]:
            raise ModelFileError(f"{name} takes {shape}: expected one image, (batch, height, width, channels)")
        if size is None and None in shape[1:3]:
            raise UsageError(f"{name} takes images of any size: say which, height x width (size=, --size)")
        height, width = (fixed or asked for fixed, asked in zip(shape[1:3], size or (0, 0), strict=True))
        self._images = np.zeros((1, height, width, shape[3]), np.float32)
        own = own_normalisation(model, shape[3])
        wants = None if own is None else Wanted(mean=own.mean, std=own.std, reason=own.reason)
        self.inputs: tuple[TensorInfo, ...] = (replace(_tensor(0, "image", self._images), wants=wants),)
        self._results: list[npt.NDArray[Any]] = []
        self.invoke()
        self.outputs = tuple(_tensor(1 + n, "output", result) for n, result in enumerate(self._results))

    def view(self, tensor: TensorInfo) -> npt.NDArray[Any]:
        """Returns a tensor's memory: the image to be filled, or an output of the last `invoke`."""
        return self._results[tensor.index - 1] if tensor.index else self._images

    def origin(self, output: TensorInfo) -> Origin:
        """Returns what the values are, as the network's last layer tells."""
        last = self._model
        while getattr(last, "layers", None):  # networks may hold networks
            last = last.layers[-1]
        activation = getattr(getattr(last, "activation", None), "__name__", "")
        if type(last).__name__ == "Softmax" or activation == "softmax":
            return Origin(activation="softmax")
        return Origin(activation="sigmoid" if activation == "sigmoid" else "")

    def invoke(self) -> None:
        """Runs the network once."""
        results = self._forward(self._images)
        if isinstance(results, dict):
            results = list(results.values())
        listed = list(results) if isinstance(results, list | tuple) else [results]
        self._results = [_readable(keras.ops.convert_to_numpy(result)) for result in listed]

    def twin(self) -> None:
        """Returns None: frameworks use all processors for one image."""


def open_network(content: bytes, options: OpenOptions) -> KerasNetwork:
    """Opens a `.keras` or `.h5` file as a runtime does.

    Raises:
        ModelFileError: The file is damaged or no Keras model, or does not take one image.
        UsageError: A delegate or a number of threads was asked for, or a size is wanting.
    """
    for option, value in (("--delegate", options.delegate), ("--threads", options.threads)):
        if value is not None:
            raise UsageError(
                f"{options.name} is a Keras network, {option} is for .tflite files: leave it out, or convert"
            )
    with tempfile.TemporaryDirectory() as folder:
        path = options.path
        if path is None:
            path = str(Path(folder) / ("model.keras" if content.startswith(b"PK") else "model.h5"))
            Path(path).write_bytes(content)
        model, _ = load_model(path)
    return KerasNetwork(model, options.name, options.size)


def _tensor(index: int, name: str, array: npt.NDArray[Any]) -> TensorInfo:
    return TensorInfo(index=index, name=name, shape=array.shape, dtype=array.dtype)


def _readable(result: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns class ids as they are, and values in float32, whatever mixed precision computed them in."""
    return np.ascontiguousarray(result if result.dtype.kind in "iu" else result.astype(np.float32, copy=False))
