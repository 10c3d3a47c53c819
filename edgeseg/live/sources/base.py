"""What every source of frames can do."""

from __future__ import annotations

from typing import Protocol

from edgeseg.arrays import Uint8


class Source(Protocol):
    """Frames, one after the other.

    Attributes:
        name: What the user calls it.
        live: Whether frames come by themselves and the newest is wanted. Others wait until they are asked for, and
            none is left out.
        fps: Nominal frames per second; None if there is no rate.
    """

    name: str
    live: bool
    fps: float | None

    def read(self, into: Uint8 | None) -> tuple[Uint8, float] | None:
        """Waits for the next frame.

        Args:
            into: An array to put it in, if its shape fits; else a new one is made.

        Returns:
            The frame, (H, W, 3) uint8 blue-green-red, and its capture time on the clock of `time.monotonic`; None at
            the end of what is not live.

        Raises:
            SourceError: A live source gives no more frames.
            DataError: An image cannot be read.
        """

    def frame_name(self) -> str:
        """A file-system friendly name of the frame read last ("" if only its number tells it apart)."""

    def close(self) -> None:
        """Lets go of the device or file. May be called from another thread, and twice."""
