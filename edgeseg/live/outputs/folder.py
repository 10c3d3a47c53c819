"""Outputs that write an image file of each result into a folder."""

from __future__ import annotations

import os

import cv2

from edgeseg.arrays import Uint8
from edgeseg.errors import OutputError
from edgeseg.files import ensure_folder, write_bytes
from edgeseg.live.outputs.base import Output
from edgeseg.live.packet import Packet


class ImageFolder(Output):
    """Files `<number>[_<name>]<suffix>`, in source order; a subclass says in `write` what goes into them.

    Args:
        folder: Where to; made if missing.

    Attributes:
        suffix: The files' format, such as ".png".
        settings: OpenCV's, of the encoder.

    Raises:
        OutputError: The folder cannot be written.
    """

    suffix = ".png"
    settings: tuple[int, ...] = ()

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = ensure_folder(folder)

    def save(self, packet: Packet, image: Uint8) -> None:
        """Writes the file of a result.

        Raises:
            OutputError: It cannot be encoded or written.
        """
        name = f"{packet.index:06d}{'_' + packet.name if packet.name else ''}{self.suffix}"
        done, data = cv2.imencode(self.suffix, image, self.settings)
        if not done:
            raise OutputError(f"cannot encode {name} of {self.name}")
        write_bytes(self._folder / name, data.tobytes())
