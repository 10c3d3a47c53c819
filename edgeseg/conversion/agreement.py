"""Whether a file is what its network was: agreement on pictures apart, and what is wrong where a network is blind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeseg.card import InputSpec, LabelSet
from edgeseg.errors import ConversionError
from edgeseg.foreign import normalisation_text
from edgeseg.image import Uint8
from edgeseg.keras_model import KerasSegmenter
from edgeseg.runtime.segmenter import Segmenter

_BLIND = 0.999
"""Of a network that gives one class for so many pixels of real pictures, something is wrong with its input."""


class ChoicesOf:
    """What a float network chooses on some pictures, to compare files made of it with.

    Args:
        network: The network.
        spec: Its input.
        images: Blue-green-red pictures.

    Raises:
        ConversionError: It gives values that are no numbers.
    """

    def __init__(self, network: Any, spec: InputSpec, images: Sequence[Uint8]) -> None:
        reference = KerasSegmenter(network, spec)
        self._images = images
        self._label_maps = []
        self._spreads = []
        for image in images:
            chosen, logits = reference.coarse_label_map(image), reference.logits()
            if not np.isfinite(logits).all():
                raise ConversionError(
                    f"the Keras network gives values that are not finite for {normalisation_text(spec)}: "
                    "give its own normalisation with --mean and --std, or mend its weights"
                )
            self._spreads.append(float(np.ptp(logits, axis=(0, 1)).max()))
            self._label_maps.append(chosen)

    def agreement(self, file: bytes) -> float:
        """Returns the fraction of pixels on which a file chooses the same class, at the logits' own resolution."""
        segmenter = Segmenter(file)
        same = [
            float(np.mean(segmenter.coarse_label_map(image) == chosen))
            for image, chosen in zip(self._images, self._label_maps, strict=True)
        ]
        return float(np.mean(same))

    def blindness(self, labels: LabelSet) -> str:
        """Says in words that the float network cannot tell anything apart on these pictures; "" where it can."""
        counts = np.sum([np.bincount(chosen.ravel(), minlength=256) for chosen in self._label_maps], 0)
        share = counts.max() / counts.sum()
        if not any(self._spreads):
            return "its output is the same at every pixel of every picture"
        if share < _BLIND:
            return ""
        name = labels.names[int(counts.argmax())]
        return f"it gives class '{name}' for {share:.2%} of the pixels of {len(self._images)} pictures"
