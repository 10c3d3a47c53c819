"""Events as JSON lines, to a file or over UDP."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from edgeseg.errors import OutputError, UsageError
from edgeseg.files import ensure_folder
from edgeseg.live.describe import describe_mask
from edgeseg.live.outputs.base import Event, Output, OutputContext, OutputKind
from edgeseg.live.packet import Packet

Describe = Callable[[Packet], Event]
"""Makes the event of a frame."""


class EventLines(Output):
    """Writes an event for every mask, and every other event, as one JSON object a line.

    Args:
        destination: A file, or udp://HOST:PORT for one datagram an event.
        describe: Makes the event of a frame.

    Raises:
        OutputError: The file cannot be written.
        UsageError: The address is incomplete.
    """

    name = "events"

    def __init__(self, destination: str, describe: Describe) -> None:
        self._describe = describe
        self._destination = destination
        self._lock = threading.Lock()
        self._send: Callable[[bytes], object]
        if destination.startswith("udp:"):
            parts = urlsplit(destination)
            if not parts.hostname or not parts.port:
                raise UsageError(f"events to {destination}: expected udp://HOST:PORT")
            try:
                address = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_DGRAM)[0]
            except OSError as error:
                raise OutputError(f"events to {destination}: {error.strerror}") from error
            datagrams = socket.socket(address[0], socket.SOCK_DGRAM)
            datagrams.setblocking(False)
            self._send = lambda line: datagrams.sendto(line, address[4])
            self._close: Callable[[], None] = datagrams.close
            self._lossy = True
        else:
            path = Path(destination)
            ensure_folder(path.parent)
            try:
                file = path.open("wb", buffering=0)
            except OSError as error:
                raise OutputError(f"cannot write events to {path}: {error.strerror}") from error
            self._send, self._close, self._lossy = file.write, file.close, False

    def write(self, packet: Packet) -> None:
        """Writes the event of a frame; see `Output`."""
        self._line(self._describe(packet))

    def event(self, event: Event) -> None:
        """Writes an event; see `Output`."""
        try:
            self._line(event)
        except OutputError:
            return  # the next frame's event tells it, on the thread that can act on it

    def close(self) -> None:
        """Closes the file or socket."""
        with self._lock:
            self._close()

    def _line(self, event: Event) -> None:
        line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                self._send(line)
            except OSError as error:
                if self._lossy:
                    return  # nobody listens yet, or the network is away: datagrams may be lost
                raise OutputError(f"events to {self._destination}: {error.strerror or os.strerror(5)}") from error
            except ValueError:
                return  # closed: the run is over


def _open(destination: str, context: OutputContext) -> Output:
    return EventLines(destination, lambda packet: describe_mask(packet, context.labels, context.find))


KIND = OutputKind(open=_open, argument="FILE|udp://HOST:PORT")
