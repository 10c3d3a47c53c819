"""Label maps as 8-bit PNG files."""

from __future__ import annotations

import os

import cv2
import numpy as np

from edgeseg.errors import OutputError
from edgeseg.files import ensure_folder, write_bytes
from edgeseg.image import resize_label_map
from edgeseg.live.outputs.base import Output, OutputContext, OutputKind
from edgeseg.live.packet import Packet

_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # label maps are flat: level 9 saves little and takes ten times as long


class LabelFolder(Output):
    """Writes each valid label map as `<number>[_<name>].png`, class ids, at the source's size, in source order.

    Args:
        folder: Where to.

    Raises:
        OutputError: The folder cannot be written.
    """

    name = "label maps"

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = ensure_folder(folder)
        self.written = 0

    def write(self, packet: Packet) -> None:
        """Writes one label map; see `Output`."""
        if packet.label_map is None or packet.image is None or not packet.valid:
            return
        label_map = resize_label_map(np.ascontiguousarray(packet.label_map), *packet.image.shape[:2])
        name = f"{packet.index:06d}{'_' + packet.name if packet.name else ''}.png"
        done, data = cv2.imencode(".png", label_map, _FAST)
        if not done:
            raise OutputError(f"cannot encode label map {name}")
        write_bytes(self._folder / name, data.tobytes())
        self.written += 1


def _open(folder: str, context: OutputContext) -> Output:
    return LabelFolder(folder)


KIND = OutputKind(open=_open, argument="DIR")
