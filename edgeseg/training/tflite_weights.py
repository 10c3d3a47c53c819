"""Starting weights out of a `.tflite` file: its backbone, dequantized, and DeepLab's pyramid where it has one.

Converters fold batch normalisations into the convolutions. Here they are unfolded: what the network computes stays the
same, but its normalisations hold the statistics of real images, from which training can start.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edgeseg.architectures.backbones.registry import BACKBONES, build_backbone
from edgeseg.card import InputSpec
from edgeseg.data.dataset import Dataset
from edgeseg.errors import ModelFileError, UsageError
from edgeseg.image import fit, normalise
from edgeseg.keras_model import measure_norms
from edgeseg.tflite.graph import Operator, Subgraph, read_graph
from edgeseg.training.initial_weights import for_order

STATISTICS_IMAGES = 32
"""Images from which the statistics of the convolutions' outputs are taken."""

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")

Float32 = npt.NDArray[np.float32]
Shape = tuple[str, tuple[int, ...]]
"""("convolution" or "depthwise convolution", shape of the kernel in Keras' layout)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoldedConvolution:
    """A convolution with its batch normalisation folded in.

    Attributes:
        depthwise: Whether it has a kernel of its own for each channel.
        kernel: In Keras' layout, (rows, columns, in, out), or (rows, columns, channels, 1).
        bias: (out,).
        operator: Its operator in the file.
    """

    depthwise: bool
    kernel: Float32
    bias: Float32
    operator: Operator

    @property
    def shape(self) -> Shape:
        """What a layer must have to take it over."""
        return "depthwise convolution" if self.depthwise else "convolution", self.kernel.shape


def read_convolutions(path: str | os.PathLike[str]) -> list[FoldedConvolution]:
    """Takes all convolutions out of a `.tflite` file, dequantized, in order.

    Raises:
        ModelFileError: The file is no `.tflite`, or a kernel is no constant.
    """
    graph = read_graph(path).main
    return [_folded(graph, op) for op in graph.operators if op.op in CONVOLUTIONS]


def _folded(graph: Subgraph, operator: Operator) -> FoldedConvolution:
    depthwise = operator.op == "DEPTHWISE_CONV_2D"
    kernel, bias = graph.tensor_at(operator, 1), graph.tensor_at(operator, 2)
    if kernel is None or not kernel.is_constant:
        raise ModelFileError(f"operator {operator.index} ({operator.op}) has no constant kernel to take over")
    values = kernel.real()
    # TFLite stores (out, rows, columns, in), and (1, rows, columns, channels) for depthwise.
    values = values[0][..., None] if depthwise else values.transpose(1, 2, 3, 0)
    channels = values.shape[2] if depthwise else values.shape[3]
    offsets = np.zeros(channels, np.float32) if bias is None else bias.real()
    return FoldedConvolution(
        depthwise=depthwise, kernel=np.ascontiguousarray(values), bias=offsets, operator=operator
    )  # fmt: skip


# === Which backbone it is ===


@functools.cache  # some have tens of millions of weights, which Keras draws
def backbone_layers(backbone: str) -> tuple[tuple[str, Shape], ...]:
    """Returns name and shape of the convolution layers of a backbone, in order."""
    image = keras.Input((64, 64, 3))
    model = keras.Model(image, build_backbone(keras, image, backbone, 32).last)
    return tuple((layer.name, _shape(layer)) for layer in model.layers if hasattr(layer, "kernel"))


def _shape(layer: Any) -> Shape:
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return "depthwise convolution" if depthwise else "convolution", tuple(int(side) for side in layer.kernel.shape)


def matching_backbone(path: str | os.PathLike[str]) -> str:
    """Returns the name of the backbone that has the convolutions with which a file begins ("mobilenetv2_0.5_exact").

    Raises:
        ModelFileError: There is none.
    """
    found = [conv.shape for conv in read_convolutions(path)]
    same_kinds = []
    for family in BACKBONES:
        try:
            layers = backbone_layers(family)
        except UsageError:  # it does not take this size
            continue
        if _kinds([shape for _, shape in layers]) != _kinds(found[: len(layers)]):
            continue
        same_kinds.append(family)
        # The width shows in the channels of the last convolutions but one; the last may not scale.
        ratio = np.median([f[1][-2] / s[1][-2] for f, (_, s) in zip(found, layers, strict=False)][1:])
        near = sorted(range(10, 201, 5), key=lambda percent: abs(percent / 100 - ratio))[:5]
        for percent in near:
            for ending in ("", "_exact"):
                name = f"{family}_{percent / 100:g}{ending}"
                try:
                    wanted = [shape for _, shape in backbone_layers(name)]
                except UsageError:  # a family of one width
                    continue
                if wanted == found[: len(wanted)]:
                    return name
    if same_kinds:
        raise ModelFileError(
            f"{path} begins like {' or '.join(same_kinds)}, but its channels are those of no width from 0.1 to 2"
        )
    raise ModelFileError(
        f"{path} does not begin with a backbone of edgeseg: expected the convolutions of one of "
        f"{', '.join(BACKBONES)}, in order; found {len(found)}, "
        f"{', '.join(_told(shape) for shape in found[:3]) or 'none'}, ..."
    )


def _kinds(shapes: Sequence[Shape]) -> list[tuple[str, tuple[int, ...]]]:
    return [(kind, sides[:2]) for kind, sides in shapes]


def _told(shape: Shape) -> str:
    return f"{shape[0]} {'x'.join(map(str, shape[1]))}"


# === Taking it over ===


def init_from_tflite(
    network: Any, path: str | os.PathLike[str], backbone: str, spec: InputSpec, images: Dataset
) -> int:
    """Gives a network the weights of the backbone in a `.tflite` file, without changing what they compute.

    The normalisations get their statistics from some training images, see `edgeseg.keras_model.measure_norms`.

    Args:
        network: A fresh Keras 3 network on that backbone.
        path: The `.tflite` file.
        backbone: The network's backbone; its convolutions must be those with which the file begins.
        spec: The network's input.
        images: Where the statistics come from.

    Returns:
        How many convolutions were taken over.

    Raises:
        ModelFileError: There is no backbone in the file.
        UsageError: It is another one.
    """
    convolutions = read_convolutions(path)
    layers = backbone_layers(backbone)
    for number, (name, wanted) in enumerate(layers):
        if number >= len(convolutions) or convolutions[number].shape != wanted:
            matching = matching_backbone(path)
            raise UsageError(
                f"{path} holds {matching}, the network is built on {backbone} (whose {name}, convolution "
                f"{number + 1}, is a {_told(wanted)}): use --backbone {matching}"
            )
    taken = {name: conv for (name, _), conv in zip(layers, convolutions, strict=False)}
    stem = layers[0][0]
    taken[stem] = dataclasses.replace(taken[stem], kernel=for_order(taken[stem].kernel, spec.order))
    taken |= _pyramid(network, read_graph(path).main, convolutions[len(layers) : len(layers) + 3])
    for name, conv in taken.items():
        layer = network.get_layer(name)
        layer.set_weights([conv.kernel, conv.bias] if layer.use_bias else [conv.kernel])
    normed = {layer.name.removesuffix("_BN") for layer in network.layers if layer.name.endswith("_BN")}
    rows, columns = network.input.shape[1:3]
    taken_at = dataclasses.replace(spec, height=rows, width=columns)
    chosen = np.linspace(0, len(images) - 1, min(STATISTICS_IMAGES, len(images))).round().astype(int)
    seen = (normalise(fit(images.load(int(index))[0], taken_at), taken_at)[None] for index in chosen)
    measure_norms(network, {name: conv.bias for name, conv in taken.items() if name in normed}, seen)
    return len(taken)


def _pyramid(network: Any, graph: Subgraph, behind: list[FoldedConvolution]) -> dict[str, FoldedConvolution]:
    """Finds what fits a `reduced_pyramid`: a 1x1 and a pooled branch, concatenated and projected.

    The network adds the two branches' projections, so the file's projection is split in two.
    """
    names = {layer.name for layer in network.layers}
    if len(behind) < 3 or "aspp_pool_project" not in names or "aspp_rate6" in names:
        return {}
    first, second, project = behind
    pooled = {graph.outputs_of(conv.operator)[0].shape[1:3] == (1, 1): conv for conv in (first, second)}
    filters = first.bias.size
    joined = next((op for op in graph.operators if project.operator.inputs[0] in op.outputs), None)
    if len(pooled) < 2 or joined is None or joined.op != "CONCATENATION" or project.kernel.shape[2] != 2 * filters:
        return {}
    source = joined.inputs[0]
    while (producer := next((op for op in graph.operators if source in op.outputs), None)) and (
        producer.op not in CONVOLUTIONS
    ):
        source = producer.inputs[0]
    halves = [project.kernel[:, :, :filters], project.kernel[:, :, filters:]]
    if producer is None or producer.index != pooled[True].operator.index:
        halves.reverse()
    found = {
        "aspp_1x1": pooled[False],
        "aspp_pool_conv": pooled[True],
        "aspp_project": dataclasses.replace(project, kernel=halves[1]),
        "aspp_pool_project": dataclasses.replace(project, kernel=halves[0], bias=np.zeros_like(project.bias)),
    }
    fits = all(_shape(network.get_layer(name)) == conv.shape for name, conv in found.items())
    return found if fits else {}
