"""From a network's output to the label map of a packet: strongest class, sharp outlines, refining, steadying."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from edgeseg.arrays import Float32, Uint8
from edgeseg.live.packet import Packet
from edgeseg.runtime.segmenter import Segmenter

Smooth = Callable[[Uint8, Uint8], Uint8]
"""From a frame and its label map to a steadier label map of the same size."""
Refine = Callable[[Float32, Uint8], Uint8]
"""From class probabilities (h, w, classes) and a frame to a label map of the probabilities' size."""


class MaskMaker:
    """Makes label maps, in two steps: `read` needs the interpreter, `complete` does not.

    Args:
        sharp: Label maps at the frame's size, from upsampled logits.
        refine: Makes label maps from class probabilities and frames; None takes the strongest class.
        smooth: Steadies label maps; None leaves them.

    Attributes:
        in_any_order: Whether masks may be made on several threads, in any order: what refines or steadies them sees
            the frames one after the other.
    """

    def __init__(self, *, sharp: bool = False, refine: Refine | None = None, smooth: Smooth | None = None) -> None:
        self._sharp, self._refine, self._smooth = sharp, refine, smooth
        self.in_any_order = refine is None and smooth is None

    def read(self, segmenter: Segmenter, packet: Packet) -> Float32 | None:
        """Reads what a network has made of a packet's frame: a label map into the packet, or its probabilities.

        Returns:
            (h, w, classes) probabilities to be refined; None where the label map is there.
        """
        assert packet.image is not None
        if packet.labels.shape != segmenter.output_size:
            packet.labels = np.empty(segmenter.output_size, np.uint8)
        if self._refine is not None:
            return segmenter.probabilities(segmenter.input.height, segmenter.input.width)
        if self._sharp:
            height, width = packet.image.shape[:2]
            packet.label_map = segmenter.sized_label_map(height, width, sharp=True)
        else:
            packet.label_map = segmenter.label_map(packet.labels)
        return None

    def complete(self, packet: Packet, probabilities: Float32 | None) -> float:
        """Refines and steadies a packet's label map.

        Args:
            packet: The packet.
            probabilities: What `read` returned.

        Returns:
            Seconds that refining took; 0 without it.
        """
        assert packet.image is not None
        refine_s = 0.0
        if self._refine is not None and probabilities is not None:
            start = time.monotonic()
            packet.label_map = self._refine(probabilities, packet.image)
            refine_s = time.monotonic() - start
        assert packet.label_map is not None
        if self._smooth is not None:
            np.copyto(packet.label_map, self._smooth(packet.image, packet.label_map))
        return refine_s
