"""How well a rebuilt network agrees with the `.tflite` file it came from."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8
from edgeseg.errors import UsageError
from edgeseg.host import usable_cores
from edgeseg.runtime.protocol import OpenOptions, TensorInfo
from edgeseg.runtime.registry import open_network
from edgeseg.tflite.graph import read_graph

STEPS = 2
"""Values of a quantized output agree if they differ by at most so many of its steps; of a float one, by 1 %."""

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """What came out of a comparison.

    Attributes:
        share: Of all places of the outputs, the fraction at which network and file choose the same class; at an
            output of one channel, at which the values agree. The lowest of the outputs'.
        compared: How many inputs.
        outputs: How many outputs could be compared: those that the file has too.
    """

    share: float
    compared: int
    outputs: int


def noise(path: str | os.PathLike[str], count: int, seed: int = 0) -> Iterator[list[Array]]:
    """Yields inputs of a file that are uniform noise, in its own types."""
    random = np.random.default_rng(seed)
    network = open_network(Path(path).read_bytes(), OpenOptions(name=str(path)))
    for _ in range(count):
        yield [_noise(info, random) for info in network.inputs]


def _noise(info: TensorInfo, random: np.random.Generator) -> Array:
    if info.dtype.kind == "f":
        return random.uniform(-1, 1, info.shape).astype(info.dtype)
    bounds = np.iinfo(info.dtype)
    return random.integers(bounds.min, bounds.max, info.shape, info.dtype, endpoint=True)


def inputs_from(path: str | os.PathLike[str], images: Iterable[Uint8]) -> Iterator[list[Array]]:
    """Yields inputs of a file made of blue-green-red images, resized, in its own types.

    Raises:
        UsageError: The file does not take one image of three channels, or one.
    """
    graph = read_graph(path).main
    tensor = graph.tensors[graph.inputs[0]]
    if len(graph.inputs) != 1 or len(tensor.shape) != 4 or tensor.shape[3] not in (1, 3):
        raise UsageError(f"{path} takes no image: expected one input (1, rows, columns, 1 or 3)")
    for image in images:
        levels = as_input(image, *tensor.shape[1:])
        if tensor.is_float:
            yield [((levels - 127.5) / 127.5).astype(tensor.dtype)]
        else:
            yield [(levels.astype(np.int16) + np.iinfo(tensor.dtype).min).astype(tensor.dtype)]


def as_input(image: Uint8, rows: int, columns: int, channels: int) -> Uint8:
    """Returns a blue-green-red image as (1, rows, columns, channels), red-green-blue or grey."""
    code = cv2.COLOR_BGR2RGB if channels == 3 else cv2.COLOR_BGR2GRAY
    sized = cv2.cvtColor(cv2.resize(image, (columns, rows)), code)
    return sized.reshape(1, rows, columns, channels).astype(np.uint8, copy=False)


def agreement(
    model: Any, outputs: Sequence[int], path: str | os.PathLike[str], inputs: Iterable[Sequence[Array]]
) -> Agreement | None:
    """Compares a network that has the file's size and classes with the file.

    Args:
        model: The network.
        outputs: The file's tensor that each of its outputs stands for.
        path: Its file.
        inputs: One list of input tensors for each run, in the file's types; see `noise` and `inputs_from`.

    Returns:
        None if no output of the network is one of the file's.

    Raises:
        ModelFileError: The runtime cannot run the file.
    """
    options = OpenOptions(threads=usable_cores(), name=str(path))
    network = open_network(Path(path).read_bytes(), options)
    common = [(n, info) for info in network.outputs for n, i in enumerate(outputs) if i == info.index]
    if not common:
        return None
    same = np.zeros(len(common))
    places, compared = np.zeros(len(common)), 0
    for tensors in inputs:
        real = []
        for info, tensor in zip(network.inputs, tensors, strict=True):
            network.view(info)[...] = tensor
            real.append(_real(tensor, info))
        network.invoke()
        results = model(real if len(real) > 1 else real[0], training=False)
        results = results if isinstance(results, list | tuple) else [results]
        for n, (position, info) in enumerate(common):
            ours = keras.ops.convert_to_numpy(results[position])
            agreeing = _agreeing(ours, _real(network.view(info).copy(), info), info)
            same[n] += agreeing.sum()
            places[n] += agreeing.size
        compared += 1
    share = float((same / np.maximum(places, 1)).min())
    return Agreement(share=share, compared=compared, outputs=len(common))


def _real(stored: Array, info: TensorInfo) -> Array:
    if info.dtype.kind == "f" or not info.scale:
        return stored
    return (info.scale * (stored.astype(np.float32) - info.zero_point)).astype(np.float32)


def _agreeing(ours: Array, theirs: Array, info: TensorInfo) -> Array:
    """Returns at which places of an output network and file agree."""
    ours = ours.reshape(theirs.shape)
    if theirs.dtype.kind != "f":  # class ids
        return np.asarray(ours == theirs)
    if theirs.ndim > 1 and theirs.shape[-1] > 1:  # a step may hold several classes: any of its strongest is right
        chosen = np.take_along_axis(theirs, ours.argmax(-1)[..., None], -1)[..., 0]
        return np.asarray(chosen == theirs.max(-1))
    tolerance = STEPS * info.scale if info.scale else 0.01 * max(float(np.ptp(theirs)), 1e-6)
    return np.asarray(np.abs(ours - theirs) <= tolerance)
