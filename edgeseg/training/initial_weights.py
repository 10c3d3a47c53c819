"""Starting weights from elsewhere: keras.applications, another network's .keras file, a backbone inside a .tflite."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edgeseg.architectures.backbones.registry import BackboneName, mobilenetv2_channels, parse_backbone
from edgeseg.card import InputSpec
from edgeseg.data.dataset import Dataset
from edgeseg.errors import ModelFileError, UsageError
from edgeseg.image import fit, normalise
from edgeseg.tflite.graph import Subgraph, Tensor, read_graph

MOBILENETV2_CONVOLUTIONS = 52
"""Stem, 2 of the first block, 3 of each of the 16 others, and the 1280-channel end that segmentation leaves out."""

STATISTICS_IMAGES = 32
"""Pictures from which the statistics of the convolutions' outputs are taken."""

Float32 = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class FoldedConvolution:
    """A convolution with its batch normalisation folded in: kernel in Keras' layout, and bias."""

    depthwise: bool
    kernel: Float32
    bias: Float32


def read_backbone(path: str | os.PathLike[str]) -> list[FoldedConvolution]:
    """Takes the 51 convolutions of a MobileNetV2 out of a `.tflite` file, dequantized, in order.

    Args:
        path: A float or quantized file whose graph begins with a MobileNetV2 of any width.

    Raises:
        ModelFileError: The file is no `.tflite`, or does not begin with a MobileNetV2.
    """
    graph = read_graph(path).main
    found = [_folded(graph, op) for op in graph.operators if op.op in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    wanted = [False, True, False] + [False, True, False] * 16
    kinds = [conv.depthwise for conv in found[: len(wanted)]]
    if kinds != wanted:
        raise ModelFileError(
            f"{path} does not begin with a MobileNetV2: expected its {len(wanted)} convolutions (stem, then "
            f"expand, depthwise, project in turn), found {len(found)} in another order"
        )
    return found[: len(wanted)]


def _folded(graph: Subgraph, operator: Any) -> FoldedConvolution:
    depthwise = operator.op == "DEPTHWISE_CONV_2D"
    kernel, bias = graph.tensor_at(operator, 1), graph.tensor_at(operator, 2)
    if kernel is None or not kernel.is_constant:
        raise ModelFileError(f"operator {operator.index} ({operator.op}) has no constant kernel to take over")
    values = dequantize(kernel)
    # TFLite stores (out, rows, columns, in), and (1, rows, columns, channels) for depthwise.
    values = values[0][..., None] if depthwise else values.transpose(1, 2, 3, 0)
    channels = values.shape[2] if depthwise else values.shape[3]
    offsets = np.zeros(channels, np.float32) if bias is None else dequantize(bias)
    return FoldedConvolution(depthwise, np.ascontiguousarray(values), offsets)


def dequantize(tensor: Tensor) -> Float32:
    """Returns a constant's real values, scale * (stored - zero point), per tensor or per channel."""
    stored = tensor.array().astype(np.float32)
    quantization = tensor.quantization
    if tensor.is_float or quantization is None:
        return stored
    shape = [1] * stored.ndim
    shape[quantization.axis if quantization.per_channel else 0] = -1
    scales = np.array(quantization.scales, np.float32).reshape(shape)
    zero_points = np.array(quantization.zero_points, np.float32).reshape(shape)
    result: Float32 = scales * (stored - zero_points)
    return result


def matching_backbone(path: str | os.PathLike[str]) -> str:
    """Returns the name of the backbone that has the channels of the MobileNetV2 in a file ("mobilenetv2_0.5_exact").

    Raises:
        ModelFileError: There is none.
    """
    convolutions = read_backbone(path)
    projections = [c.bias.size for c in convolutions[2::3]]
    stages = [projections[0], *(projections[i] for i in (1, 3, 6, 10, 13, 16))]
    channels = (convolutions[0].bias.size, *stages)
    for exact in (False, True):
        for percent in range(10, 201, 5):
            name = BackboneName(family="mobilenetv2", width=percent / 100, exact=exact)
            if mobilenetv2_channels(name) == channels:
                return str(name)
    raise ModelFileError(f"{path} has a MobileNetV2 of channels {channels}, which is no width from 0.1 to 2")


def init_from_tflite(
    network: Any, path: str | os.PathLike[str], backbone: str, spec: InputSpec, images: Dataset
) -> None:
    """Gives a network's MobileNetV2 the weights in a `.tflite` file, without changing what they compute.

    A convolution's output has mean m and standard deviation s over some training pictures. The batch normalisation
    behind it is set to subtract m, divide by s, multiply by gamma = s and add beta = bias + m: together the folded
    bias and nothing else, but with statistics from which training can start.

    Args:
        network: A fresh Keras 3 network on that backbone.
        path: The `.tflite` file.
        backbone: The network's backbone; its channels must be those in the file.
        spec: The network's input.
        images: Where the statistics come from.

    Raises:
        ModelFileError: There is no MobileNetV2 in the file.
        UsageError: Its channels are others.
    """
    convolutions = read_backbone(path)
    name = parse_backbone(backbone)
    matching = matching_backbone(path)
    if name.family != "mobilenetv2" or mobilenetv2_channels(name) != mobilenetv2_channels(parse_backbone(matching)):
        raise UsageError(f"{path} holds {matching}, the network is built on {backbone}: use --backbone {matching}")
    layers = backbone_layers(network)
    for layer, folded in zip(layers, convolutions, strict=True):
        layer.set_weights([folded.kernel])
        norm = network.get_layer(f"{layer.name}_BN")
        ones = np.ones_like(folded.bias)
        norm.set_weights([ones, folded.bias, np.zeros_like(ones), ones - norm.epsilon])
    outputs = [layer.output for layer in layers]
    watcher = keras.Model(network.input, outputs)
    sums = [np.zeros((2, folded.bias.size)) for folded in convolutions]
    pixels = np.zeros(len(convolutions))
    rows, columns = network.input.shape[1:3]
    count = min(STATISTICS_IMAGES, len(images))
    for index in np.linspace(0, len(images) - 1, count).round().astype(int):
        image, _ = images.load(int(index))
        picture = fit(image, dataclasses.replace(spec, height=rows, width=columns))
        for n, output in enumerate(watcher(normalise(picture, spec)[None], training=False)):
            values = keras.ops.convert_to_numpy(output).reshape(-1, sums[n].shape[1]).astype(np.float64)
            sums[n] += values.sum(0), (values**2).sum(0)
            pixels[n] += len(values)
    for layer, folded, (total, squares), seen in zip(layers, convolutions, sums, pixels, strict=True):
        mean = total / seen
        norm = network.get_layer(f"{layer.name}_BN")
        variance = np.maximum(squares / seen - mean**2, 1e-6)
        norm.set_weights([np.sqrt(variance + norm.epsilon), folded.bias + mean, mean, variance])


def backbone_layers(network: Any) -> list[Any]:
    """Returns the 51 convolution layers of a network's MobileNetV2 backbone, in order."""
    layers = [layer for layer in network.layers if hasattr(layer, "kernel")]
    return layers[: MOBILENETV2_CONVOLUTIONS - 1]


def init_from_keras(network: Any, donor: Any) -> str:
    """Gives a network the weights of those layers of another that have the same name and shapes.

    All of them where the network is the same; the backbone where the architecture is another; everything but the
    classifier where the classes are others.

    Returns:
        How many layers were taken over, in words.

    Raises:
        UsageError: No layer fits.
    """
    theirs = {layer.name: layer.get_weights() for layer in donor.layers}
    wanted = [layer for layer in network.layers if layer.weights]
    taken = 0
    for layer in wanted:
        weights = theirs.get(layer.name, [])
        if [w.shape for w in weights] == [tuple(w.shape) for w in layer.weights]:
            layer.set_weights(weights)
            taken += 1
    if not taken:
        raise UsageError(
            f"no layer of {donor.name} has the name and the shape of one of {network.name}: use its --backbone"
        )
    return f"{taken} of {len(wanted)} layers"


def init_from_imagenet(network: Any, backbone: str) -> None:
    """Gives a network's backbone the ImageNet weights of keras.applications, by layer name.

    They are trained on (pixel - 127.5) / 127.5; the half grey level to (pixel - 128) / 128 is far below sensor noise.

    Raises:
        UsageError: keras.applications has no weights for that backbone, or they cannot be downloaded.
    """
    name = parse_backbone(backbone)
    widths = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
    if name.family != "mobilenetv2" or name.width not in widths or name.exact:
        known = ", ".join(f"mobilenetv2_{w:g}" for w in widths)
        raise UsageError(f"there are no ImageNet weights for {backbone}: expected one of {known}")
    try:
        source = keras.applications.MobileNetV2(
            input_shape=(224, 224, 3), alpha=name.width, include_top=False, weights="imagenet"
        )
    except Exception as error:  # the download raises whatever the network stack raises
        raise UsageError(
            f"the ImageNet weights of {backbone} cannot be downloaded ({error}): connect to the network once, or use "
            "--init-from with a .tflite file"
        ) from error
    copy_backbone(source, network)


def copy_backbone(source: Any, network: Any) -> None:
    """Copies the layers that a keras.applications MobileNetV2 and a network on one share.

    The stem's normalisation is called `bn_Conv1` there.
    """
    theirs = {layer.name: layer for layer in source.layers}
    for layer in network.layers:
        name = "bn_Conv1" if layer.name == "Conv1_BN" else layer.name
        if name in theirs and theirs[name].get_weights():
            layer.set_weights(theirs[name].get_weights())
