"""What segmenting an image gives."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgeseg.arrays import Uint8, check_image, check_label_map
from edgeseg.card import LabelSet
from edgeseg.errors import UsageError
from edgeseg.image import colorize, resize_label_map


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """A label map with its classes.

    Attributes:
        label_map: (H, W) uint8 class ids, as large as the image.
        labels: The classes: names and colours.
    """

    label_map: Uint8
    labels: LabelSet

    def __post_init__(self) -> None:
        check_label_map(self.label_map)

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns) of the label map."""
        return self.label_map.shape[0], self.label_map.shape[1]

    @property
    def shares(self) -> dict[str, float]:
        """The fraction of the pixels of each class that is there, by name, the largest first."""
        counts = np.bincount(self.label_map.ravel(), minlength=256)[: self.labels.num_classes]
        return {self.labels.names[i]: float(counts[i] / self.label_map.size) for i in np.argsort(-counts) if counts[i]}

    def mask(self, name: str) -> Uint8:
        """Returns (H, W) uint8, 255 where a class is, else 0.

        Raises:
            UsageError: There is no class of this name.
        """
        if name not in self.labels.names:
            raise UsageError(f"no class '{name}': expected one of {', '.join(self.labels.names)}")
        return np.where(self.label_map == self.labels.names.index(name), 255, 0).astype(np.uint8)

    def colorize(self) -> Uint8:
        """Returns the label map painted in the classes' colours: (H, W, 3) uint8, blue-green-red."""
        return colorize(self.label_map, self.labels)

    def overlay(self, image: Uint8, opacity: float = 0.6) -> Uint8:
        """Lays the classes' colours over an image; pixels without a class stay as they are.

        Args:
            image: (H, W, 3) uint8, blue-green-red; its size is that of the result.
            opacity: Share of the colour, 0-1.

        Returns:
            (H, W, 3) uint8, blue-green-red.

        Raises:
            UsageError: `image` is no image, or the opacity is out of range.
        """
        check_image(image)
        if not 0 <= opacity <= 1:
            raise UsageError(f"opacity {opacity}: expected 0 to 1")
        label_map = resize_label_map(self.label_map, image.shape[0], image.shape[1])
        mixed = cv2.addWeighted(colorize(label_map, self.labels), opacity, image, 1 - opacity, 0)
        classed = (label_map < self.labels.num_classes)[:, :, None]
        painted: Uint8 = np.where(classed, mixed, image).astype(np.uint8, copy=False)
        return painted
