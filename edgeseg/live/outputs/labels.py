"""Label maps as 8-bit PNG files."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg.image import resize_label_map
from edgeseg.live.outputs.base import Output, OutputContext, OutputKind
from edgeseg.live.outputs.folder import ImageFolder
from edgeseg.live.packet import Packet


class LabelFolder(ImageFolder):
    """Writes each valid label map as `<number>[_<name>].png`, class ids, at the source's size; see `ImageFolder`."""

    name = "label maps"
    settings = (cv2.IMWRITE_PNG_COMPRESSION, 1)  # they are flat: level 9 saves little and takes ten times as long

    def write(self, packet: Packet) -> None:
        """Writes one label map; see `Output`."""
        if packet.label_map is None or packet.image is None or not packet.valid:
            return
        self.save(packet, resize_label_map(np.ascontiguousarray(packet.label_map), *packet.image.shape[:2]))


def _open(folder: str, context: OutputContext) -> Output:
    return LabelFolder(folder)


KIND = OutputKind(open=_open, argument="DIR")
