"""Starting weights from Keras: keras.applications, or another network's .keras file; see also `tflite_weights`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edgeseg.architectures.backbones.registry import BACKBONES, parse_backbone
from edgeseg.card import ChannelOrder
from edgeseg.errors import UsageError

Float32 = npt.NDArray[np.float32]


def for_order(kernel: Float32, order: ChannelOrder) -> Float32:
    """Fits the kernel of an RGB network's first convolution to another order of channels.

    Grey images have equal red, green and blue: the sum over the three answers them as the RGB network does.

    Raises:
        UsageError: The order is "as_is": nobody knows what the channels are.
    """
    if order == "as_is":
        raise UsageError(
            "weights of an RGB network cannot start one whose channels are as_is: train from random weights"
        )
    if order == "grey":
        summed: Float32 = kernel.sum(2, keepdims=True)
        return summed
    return np.ascontiguousarray(kernel[:, :, ::-1]) if order == "bgr" else kernel


def init_from_keras(network: Any, donor: Any) -> tuple[int, int]:
    """Gives a network the weights of those layers of another that have the same name and shapes.

    All of them where the network is the same; the backbone where the architecture is another; everything but the
    classifier where the classes are others.

    Returns:
        How many layers were taken over, and how many there are.

    Raises:
        UsageError: No layer fits.
    """
    theirs = {layer.name: layer.get_weights() for layer in donor.layers}
    wanted = [layer for layer in network.layers if layer.weights]
    taken = 0
    for layer in wanted:
        weights = theirs.get(layer.name, [])
        if weights and weights[0].shape[2:3] == (3,) and layer.weights[0].shape[2:3] == (1,):  # colour's stem, for grey
            weights = [for_order(weights[0], "grey"), *weights[1:]]
        if [w.shape for w in weights] == [tuple(w.shape) for w in layer.weights]:
            layer.set_weights(weights)
            taken += 1
    if not taken:
        raise UsageError(
            f"no layer of {donor.name} has the name and the shape of one of {network.name}: use its --backbone"
        )
    return taken, len(wanted)


def init_from_imagenet(network: Any, backbone: str, order: ChannelOrder = "rgb") -> None:
    """Gives a network's backbone the ImageNet weights that its `Backbone` names, by layer name.

    They are trained on (pixel - 127.5) / 127.5; the half grey level to (pixel - 128) / 128 is far below sensor noise.

    Raises:
        UsageError: There are none for that backbone, or they cannot be downloaded.
    """
    name = parse_backbone(backbone)
    pretrained = BACKBONES[name.family].pretrained
    if pretrained is None or name.width not in pretrained.widths or name.exact:
        known = [f"{b.name}_{w:g}" for b in BACKBONES.values() if b.pretrained for w in b.pretrained.widths]
        raise UsageError(f"there are no ImageNet weights for {backbone}: expected one of {', '.join(known)}")
    try:
        source = pretrained.load(keras, name)
    except Exception as error:  # the download raises whatever the network stack raises
        raise UsageError(
            f"the ImageNet weights of {backbone} cannot be downloaded ({error}): connect to the network once, or use "
            "--init-from with a .tflite file"
        ) from error
    copy_backbone(source, network, pretrained.renamed, order)


def copy_backbone(
    source: Any, network: Any, renamed: tuple[tuple[str, str], ...] = (), order: ChannelOrder = "rgb"
) -> None:
    """Copies the layers that two networks share, the first convolution's channels put into `order`.

    Args:
        source: An RGB network.
        network: Gets the weights.
        renamed: Pairs of the source's layer names and the network's, where they differ.
        order: The network's channel order.
    """
    ours = dict(renamed)
    theirs = {ours.get(layer.name, layer.name): layer.get_weights() for layer in source.layers}
    stem = next(layer.name for layer in source.layers if layer.get_weights())
    for layer in network.layers:
        if weights := theirs.get(layer.name):
            layer.set_weights([for_order(weights[0], order), *weights[1:]] if layer.name == stem else weights)
