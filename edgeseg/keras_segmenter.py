"""A Segmenter of a Keras network that is in memory: what trainings, conversions and comparisons judge by."""

from __future__ import annotations

from typing import Any

from edgeseg.card import InputSpec, LabelSet
from edgeseg.keras_model import KerasNetwork
from edgeseg.runtime.segmenter import Segmenter


class KerasSegmenter(Segmenter):
    """Segments images with a float Keras network that is loaded already.

    Args:
        model: See `KerasNetwork`. Of one channel, class 1 is where it is above 0.5 behind a sigmoid, above 0 without.
        spec: Its input.
        labels: Its classes; numbered if None.
    """

    def __init__(self, model: Any, spec: InputSpec, labels: LabelSet | None = None) -> None:
        super().__init__(KerasNetwork(model, size=(spec.height, spec.width)), input_spec=spec, labels=labels)
