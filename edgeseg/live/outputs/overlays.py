"""Overlays as images: what the network makes of a folder, to look through."""

from __future__ import annotations

import os

import cv2

from edgeseg.errors import OutputError
from edgeseg.files import ensure_folder, write_bytes
from edgeseg.live.outputs.base import Output, OutputContext, OutputKind
from edgeseg.live.packet import Packet

_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 90]


class OverlayFolder(Output):
    """Writes each overlay as `<number>[_<name>].jpg`, at the source's size, in source order.

    Args:
        folder: Where to.

    Raises:
        OutputError: The folder cannot be written.
    """

    name = "overlays"
    wants_overlay = True

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = ensure_folder(folder)

    def write(self, packet: Packet) -> None:
        """Writes one image; see `Output`."""
        if packet.overlay is None:
            return
        name = f"{packet.index:06d}{'_' + packet.name if packet.name else ''}.jpg"
        done, data = cv2.imencode(".jpg", packet.overlay, _QUALITY)
        if not done:
            raise OutputError(f"cannot encode overlay {name}")
        write_bytes(self._folder / name, data.tobytes())


def _open(folder: str, context: OutputContext) -> Output:
    return OverlayFolder(folder)


KIND = OutputKind(open=_open, argument="DIR")
