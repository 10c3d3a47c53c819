"""Starting weights from Keras: keras.applications, or another network's .keras file; see also `tflite_weights`."""

from __future__ import annotations

from typing import Any

import keras

from edgeseg.architectures.backbones.registry import parse_backbone
from edgeseg.errors import UsageError


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
