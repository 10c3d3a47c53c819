"""Whether a file is what its network was: agreement on images apart, and what is wrong where a network is blind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8
from edgeseg.card import InputSpec, LabelSet
from edgeseg.errors import ConversionError
from edgeseg.foreign import normalisation_text
from edgeseg.keras_segmenter import KerasSegmenter
from edgeseg.runtime.segmenter import Segmenter

_BLIND = 0.999
"""Of a network that gives one class for so many pixels of real images, something is wrong with its input."""


REFERENCE_IMAGES = 2
"""Images on which XNNPACK is compared with the reference kernels, which take seconds for one."""
LEAST_KERNEL_AGREEMENT = 0.95
"""How often they have to choose alike. They round differently, so near a border between classes they differ."""
QUADRANTS = ("top left", "top right", "bottom left", "bottom right")


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How often a file chooses as its network: fractions of pixels at the logits' own resolution.

    Attributes:
        overall: Of all pixels.
        by_class: Of those to which the network gives a class, by its name; classes that it gives nowhere are left out.
        class_shares: How many of all pixels the network gives to each of these classes.
        by_quadrant: Of each quarter of the images, by the names of `QUADRANTS`.
        of_kernels: How often XNNPACK and the reference kernels, which define what an integer file means, choose alike.
    """

    overall: float
    by_class: tuple[tuple[str, float], ...]
    class_shares: tuple[tuple[str, float], ...]
    by_quadrant: tuple[tuple[str, float], ...]
    of_kernels: float

    @property
    def weakest(self) -> str:
        """The class and the quadrant that agree least, in words."""
        return ", ".join(
            f"{name} {share:.2%}"
            for name, share in (min(told, key=lambda pair: pair[1]) for told in (self.by_class, self.by_quadrant))
        )


class ChoicesOf:
    """What a float network chooses on some images, to compare files made of it with.

    Args:
        network: The network.
        spec: Its input.
        images: Blue-green-red images.

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
        return float(np.mean([same.mean() for same in self._same(file)]))

    def compare(self, file: bytes, labels: LabelSet) -> Agreement:
        """Returns how often a file chooses the same class, in all, by class and by quadrant, and by other kernels."""
        same = self._same(file)
        counts, hits = (np.zeros(labels.num_classes + 1) for _ in range(2))
        for hit, chosen in zip(same, self._label_maps, strict=True):
            ids = np.minimum(chosen.ravel(), labels.num_classes)
            counts += np.bincount(ids, minlength=len(counts))
            hits += np.bincount(ids, hit.ravel(), len(counts))
        quarters = np.mean([[part.mean() for part in _quarters(hit)] for hit in same], 0)
        reference, fast = Segmenter(file, delegate="reference"), Segmenter(file)
        kernels = [
            np.mean(reference.coarse_label_map(image) == fast.coarse_label_map(image))
            for image in self._images[:REFERENCE_IMAGES]
        ]
        return Agreement(
            overall=float(np.mean([hit.mean() for hit in same])),
            by_class=tuple((n, float(h / c)) for n, h, c in zip(labels.names, hits, counts, strict=False) if c),
            class_shares=tuple((n, float(c / counts.sum())) for n, c in zip(labels.names, counts, strict=False) if c),
            by_quadrant=tuple(zip(QUADRANTS, map(float, quarters), strict=True)),
            of_kernels=float(np.mean(kernels)),
        )

    def _same(self, file: bytes) -> list[npt.NDArray[np.bool_]]:
        segmenter = Segmenter(file)
        pairs = zip(self._images, self._label_maps, strict=True)
        return [np.asarray(segmenter.coarse_label_map(image) == chosen) for image, chosen in pairs]

    def blindness(self, labels: LabelSet) -> str:
        """Says in words that the float network cannot tell anything apart on these images; "" where it can."""
        counts = np.sum([np.bincount(chosen.ravel(), minlength=256) for chosen in self._label_maps], 0)
        share = counts.max() / counts.sum()
        if not any(self._spreads):
            return "its output is the same at every pixel of every image"
        if share < _BLIND:
            return ""
        name = labels.names[int(counts.argmax())]
        return f"it gives class '{name}' for {share:.2%} of the pixels of {len(self._images)} images"


def _quarters(hit: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.bool_]]:
    """Cuts a map into its quadrants, in the order of `QUADRANTS`; those of a single row or column share it."""
    rows, columns = (max(1, size // 2) for size in hit.shape)
    return [part for half in (hit[:rows], hit[-rows:]) for part in (half[:, :columns], half[:, -columns:])]
