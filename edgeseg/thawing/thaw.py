"""Any `.tflite` file as a Keras network again: ordinary layers with dequantized weights, in float, ready to train.

The graph is read without TensorFlow. Each operator becomes a layer, with its padding, stride, dilation and fused
activation (`weights` has those with kernels, `shapes`, `slices` and `pointwise` the others). The
network takes and gives real values where the file takes and gives integers. A dilated convolution that a converter
wrote as SPACE_TO_BATCH_ND, convolution, BATCH_TO_SPACE_ND becomes one layer again.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8
from edgeseg.card import ModelCard, Recipe
from edgeseg.card_file import read_model
from edgeseg.errors import ConversionError, UsageError
from edgeseg.keras_model import measure_norms
from edgeseg.tflite.graph import Subgraph, Tensor, read_graph
from edgeseg.thawing import pointwise, shapes, slices, weights
from edgeseg.thawing.agreement import as_input
from edgeseg.thawing.graph import INTEGERS, Thawing

HANDLERS = {**weights.HANDLERS, **shapes.HANDLERS, **slices.HANDLERS, **pointwise.HANDLERS}
"""How each operator is rebuilt."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input:
    """An input of the network: of an image's levels 0-255 it takes (level - mean) / std.

    Attributes:
        name: Its name in the network.
        shape: Without the batch; None where any size will do.
        mean: 127.5 for a float input, whose normalisation the file does not tell.
        std: Likewise.
    """

    name: str
    shape: tuple[int | None, ...]
    mean: float
    std: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thawed:
    """What became of a file.

    Attributes:
        model: The Keras 3 network, of real values.
        inputs: What it takes.
        outputs: The file's tensor that each of its outputs stands for.
        left_out: Operators at the file's end that could not be rebuilt: name, number and reason.
        rounding: Whether it rounds as the file does.
        biases: Of each convolution that a batch normalisation follows, by the layer's name.
    """

    model: Any
    inputs: tuple[Input, ...]
    outputs: tuple[int, ...]
    left_out: tuple[str, ...]
    rounding: bool
    biases: dict[str, npt.NDArray[np.float32]]


def thaw(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    num_classes: int | None = None,
    batch_norm: bool = False,
    rounding: bool | None = None,
    logits: bool = False,
) -> Thawed:
    """Rebuilds a `.tflite` file as a Keras network.

    Args:
        path: A float or quantized file.
        size: Another input size (rows, columns); the file's if None.
        num_classes: Another number of classes: the last operator with weights gets so many channels, and fresh
            weights; its layer is called "logits".
        batch_norm: Put a batch normalisation behind every convolution but that last one. It changes nothing until its
            statistics are set, see `set_statistics`.
        rounding: Round each result that the file stores in integers as it does, so that the network computes what the
            file computes; gradients pass. The default rounds unless `num_classes`, `batch_norm` or `logits` ask for a
            network to train, which would leave the file's ranges. To quantize the network again, leave rounding away:
            TensorFlow's converter would keep the file's ranges, or refuse them.
        logits: End before the ARG_MAX of a file that gives labels; `num_classes` does, since labels teach nothing.

    Returns:
        The network and what is to be known about it.

    Raises:
        ConversionError: An operator on the way to one with weights cannot be rebuilt.
        ModelFileError: The file is damaged or no `.tflite`.
        UsageError: The file has no such input or output, or rounds nothing.
    """
    graph = read_graph(path).main
    if num_classes is not None and (num_classes < 2 or len(graph.outputs) != 1):
        raise UsageError(
            f"{num_classes} classes of {len(graph.outputs)} outputs: expected at least 2 classes, and a file with one "
            "output"
        )
    if size is not None and min(size) < 1:
        raise UsageError(f"input size {size[0]}x{size[1]}: expected two positive numbers")
    if rounding and not _is_quantized(graph):
        raise UsageError(f"{path} is a float file, which rounds nothing: leave --rounding out")
    if rounding is None:
        rounding = num_classes is None and not batch_norm and not logits
    try:
        thawing = Thawing(
            graph,
            size=size,
            num_classes=num_classes,
            batch_norm=batch_norm,
            rounding=rounding,
            logits=logits or num_classes is not None,
        )
        left_out = thawing.run(HANDLERS)
    except ConversionError as error:
        raise ConversionError(f"{path}: {error}") from error
    ends = thawing.ends()
    if not ends:
        raise ConversionError(f"{path} has nothing that could be rebuilt: {left_out[0] if left_out else 'no operator'}")
    outputs, inputs = [thawing.values[i] for i in ends], thawing.inputs
    model = keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0])
    return Thawed(
        model=model,
        inputs=tuple(_input(graph.tensors[i], x) for i, x in zip(graph.inputs, inputs, strict=True)),
        outputs=tuple(ends),
        left_out=tuple(left_out),
        rounding=rounding and _is_quantized(graph),
        biases=thawing.biases,
    )


def _input(tensor: Tensor, x: Any) -> Input:
    mean = std = 127.5
    if tensor.quantization is not None and tensor.dtype in INTEGERS:
        mean = float(tensor.quantization.zero_points[0] - INTEGERS[tensor.dtype][0])
        std = 1 / tensor.quantization.scales[0]
    return Input(name=x.name, shape=tuple(x.shape[1:]), mean=mean, std=std)


def gives_labels(graph: Subgraph) -> bool:
    """Whether a file ends in an ARG_MAX."""
    return any(op.op == "ARG_MAX" and op.outputs[0] in graph.outputs for op in graph.operators)


def _is_quantized(graph: Subgraph) -> bool:
    return any(t.quantization is not None and t.dtype in INTEGERS and not t.is_constant for t in graph.tensors)


def set_statistics(thawed: Thawed, images: Iterable[Uint8]) -> None:
    """Gives the batch normalisations of a network the statistics of some blue-green-red images.

    What it computes stays the same, see `edgeseg.keras_model.measure_norms`.

    Raises:
        UsageError: The network takes no image.
    """
    (taken, *others) = thawed.inputs
    if others or len(taken.shape) != 3 or None in taken.shape or taken.shape[2] not in (1, 3):
        raise UsageError(f"the network takes {taken.shape}: expected one image (rows, columns, 1 or 3)")
    rows, columns, channels = (int(n or 0) for n in taken.shape)
    tensors = ((as_input(i, rows, columns, channels) - taken.mean) / taken.std for i in images)
    measure_norms(thawed.model, thawed.biases, (tensor.astype(np.float32) for tensor in tensors))


def plain_card(path: str | os.PathLike[str], thawed: Thawed, num_classes: int | None) -> ModelCard | None:
    """Returns the card of a network out of a file that has one: its input, its classes, where it is from.

    None where the file has none, or where the classes are to be others.
    """
    _, card = read_model(path)
    if card is None or num_classes is not None or thawed.left_out:
        return None
    height, width = (int(n or 0) for n in thawed.inputs[0].shape[:2])
    return dataclasses.replace(
        card, architecture="", backbone="", output_stride=0, recipe=Recipe(name="float32"), calibration=None,
        scores=(), agreement=None, agreement_on=None, graph_digest="",
        input=dataclasses.replace(card.input, height=height, width=width),
    )  # fmt: skip
