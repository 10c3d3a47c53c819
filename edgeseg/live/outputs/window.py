"""A window on the desktop, where the OpenCV build has one."""

from __future__ import annotations

import os

import cv2

from edgeseg.errors import OutputError
from edgeseg.live.outputs.base import Output, OutputContext, OutputKind
from edgeseg.live.packet import Packet

_TITLE = "edgeseg"
_CLOSING_KEYS = (27, ord("q"))


def window_trouble() -> str:
    """Says why no window can be shown; "" where one can."""
    gui = [line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith("GUI:")]
    if gui and "NONE" in gui[0]:
        return "this OpenCV has no window support (opencv-python-headless): use --serve, or install opencv-python"
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        return "there is no display (DISPLAY is not set): use --serve"
    return ""


class Window(Output):
    """Shows overlays in a window; q or Escape ends the run.

    Raises:
        OutputError: There is no window support or no display.
    """

    name = "window"
    wants_overlay = True

    def __init__(self) -> None:
        if trouble := window_trouble():
            raise OutputError(f"cannot open a window: {trouble}")

    def write(self, packet: Packet) -> None:
        """Shows one image; see `Output`."""
        if packet.overlay is not None:
            cv2.imshow(_TITLE, packet.overlay)
        self.closed = self.closed or cv2.waitKey(1) & 0xFF in _CLOSING_KEYS

    def close(self) -> None:
        """Closes the window."""
        cv2.destroyAllWindows()


def _open(argument: str, context: OutputContext) -> Output:
    return Window()


KIND = OutputKind(open=_open, argument="")
