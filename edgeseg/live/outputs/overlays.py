"""Overlays as images: what the network makes of a folder, to look through."""

from __future__ import annotations

import cv2

from edgeseg.live.outputs.base import Output, OutputContext, OutputKind
from edgeseg.live.outputs.folder import ImageFolder
from edgeseg.live.packet import Packet


class OverlayFolder(ImageFolder):
    """Writes each overlay as `<number>[_<name>].jpg`, at the source's size; see `ImageFolder`."""

    name = "overlays"
    wants_overlay = True
    suffix = ".jpg"
    settings = (cv2.IMWRITE_JPEG_QUALITY, 90)

    def write(self, packet: Packet) -> None:
        """Writes one image; see `Output`."""
        if packet.overlay is not None:
            self.save(packet, packet.overlay)


def _open(folder: str, context: OutputContext) -> Output:
    return OverlayFolder(folder)


KIND = OutputKind(open=_open, argument="DIR")
