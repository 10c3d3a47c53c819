"""The browser view: images and figures over HTTP, for any number of viewers.

The loop pays for one small resize of a frame at most `IMAGES_PER_SECOND` times a second, and nothing while nobody
looks. Encoding happens once for all viewers, on a thread of its own; each viewer's thread sends the newest image, so
a slow one only sees fewer. On a loopback address everybody on the machine may look; bound wider, a token is needed.
"""

from __future__ import annotations

import importlib.resources
import json
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

import cv2
import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.card import LabelSet
from edgeseg.errors import OutputError, UsageError
from edgeseg.image import colorize
from edgeseg.live.outputs.base import Output, OutputContext, OutputKind
from edgeseg.live.outputs.browser_server import ViewServer, is_loopback
from edgeseg.live.packet import Packet
from edgeseg.live.stats import RunStats

IMAGES_PER_SECOND = 15.0
LONGEST_SIDE = 960
VIEWS: tuple[str, ...] = ("overlay", "mask", "camera")
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 80]
_HISTORY = 150
_SHARES_EVERY = 0.25


class BrowserView(Output):
    """Serves the view; see `Output`.

    Args:
        address: "PORT" or "HOST:PORT"; port 0 takes a free one. Without a host, the loopback interface.
        labels: The classes.

    Attributes:
        url: What to open, token included.

    Raises:
        UsageError: The address cannot be understood.
        OutputError: The port cannot be had.
    """

    name = "browser view"
    views = VIEWS

    def __init__(self, address: str, labels: LabelSet) -> None:
        host, port = parse_address(address)
        self.labels = labels
        self._figures: Callable[[], RunStats] | None = None
        self.token = "" if is_loopback(host) else secrets.token_urlsafe(9)
        try:
            self._server = ViewServer((host, port), self)
        except OSError as error:
            raise OutputError(f"cannot serve on {host}:{port}: {error.strerror}; choose another port") from error
        shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
        self.url = f"http://{shown}:{self._server.server_address[1]}/" + (f"?token={self.token}" if self.token else "")
        self.announcement = f"browser view: {self.url}"
        self._changed = threading.Condition()
        self._watchers = dict.fromkeys(VIEWS, 0)
        self._images: dict[str, tuple[int, bytes]] = {}
        self._pending: dict[str, Uint8] = {}
        self._sequence = 0
        self._over = False
        self._next_image = self._next_shares = 0.0
        self._latency: deque[tuple[float, float]] = deque(maxlen=_HISTORY)
        self._state: dict[str, Any] = {"valid": False, "reason": "no image yet", "shares": {}}
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.1,), name="edgeseg-http", daemon=True),
            threading.Thread(target=self._encode, name="edgeseg-jpeg", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def begin(self, figures: Callable[[], RunStats]) -> None:
        """Takes where the page's figures come from."""
        self._figures = figures

    @property
    def wants_overlay(self) -> bool:
        """Whether somebody looks and the next image is due."""
        return any(self._watchers.values()) and time.monotonic() >= self._next_image

    def write(self, packet: Packet) -> None:
        """Takes what viewers need of a result; see `Output`."""
        now = time.monotonic()
        if packet.valid:
            self._latency.append(((packet.ready - packet.captured) * 1000, packet.invoke_s * 1000))
        self._state["valid"], self._state["reason"] = packet.valid, packet.reason
        if packet.label_map is not None and now >= self._next_shares:
            self._next_shares = now + _SHARES_EVERY
            self._state["shares"] = self._shares(packet.label_map)
        if now < self._next_image or not any(self._watchers.values()):
            return
        self._next_image = now + 1 / IMAGES_PER_SECOND
        images = {view: self._image(view, packet) for view in VIEWS if self._watchers[view]}
        with self._changed:
            self._pending = {view: image for view, image in images.items() if image is not None}
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the server and every stream."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(1.0)

    def status(self) -> dict[str, Any]:
        """Returns what the page polls: validity, figures, recent latencies, class shares."""
        stats = self._figures() if self._figures is not None else None
        keys = (
            "frames",
            "dropped",
            "invalid",
            "reconnects",
            "fps",
            "wall_s",
            "stages_ms",
            "temperature_c",
            "throttling",
        )
        return {
            **self._state,
            "latency": [list(pair) for pair in tuple(self._latency)],
            **{key: getattr(stats, key, None) for key in keys},
        }

    def images(self, view: str) -> Generator[bytes, None, None]:
        """Yields the newest JPEG of a view, again and again, until the run ends."""
        with self._changed:
            if not self._watchers[view]:
                self._images.pop(view, None)  # from when somebody last looked
            self._watchers[view] += 1
        seen = -1
        try:
            while (newer := self._wait_newer(view, seen)) is not None:
                seen, image = newer
                yield image
        finally:
            with self._changed:
                self._watchers[view] -= 1

    def _wait_newer(self, view: str, seen: int) -> tuple[int, bytes] | None:
        """Waits for an image after number `seen`; None when the run is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._images.get(view, (seen, b""))[0] != seen)
            return None if self._over else self._images[view]

    def page(self) -> bytes:
        """Returns the HTML page with the classes filled in."""
        text = importlib.resources.files("edgeseg.live.outputs").joinpath("page.html").read_text("utf-8")
        classes = [
            {"name": name, "color": f"rgb({red},{green},{blue})"}
            for name, (red, green, blue) in zip(self.labels.names, self.labels.colors, strict=True)
        ]
        return text.replace("/*CLASSES*/[]", json.dumps(classes).replace("<", "\\u003c")).encode()

    def _encode(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._over or self._pending)
                if self._over:
                    return
                pending, self._pending = self._pending, {}
            for view, image in pending.items():
                done, data = cv2.imencode(".jpg", image, _JPEG)
                if done:
                    with self._changed:
                        self._sequence += 1
                        self._images[view] = (self._sequence, data.tobytes())
                        self._changed.notify_all()

    def _image(self, view: str, packet: Packet) -> Uint8 | None:
        """Makes a new small image of a view; of a lost source, the banner."""
        if not packet.valid or view == "overlay":
            return None if packet.overlay is None else _small(packet.overlay)
        if packet.image is None or packet.label_map is None:
            return None
        if view == "camera":
            return _small(packet.image)
        height, width = _small_size(packet.image.shape[0], packet.image.shape[1])
        painted = colorize(packet.label_map, self.labels)
        return cv2.resize(painted, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False)

    def _shares(self, label_map: Uint8) -> dict[str, float]:
        sample = label_map[::2, ::2]
        counts = np.bincount(sample.ravel(), minlength=256)[: self.labels.num_classes] / max(1, sample.size)
        return {name: float(share) for name, share in zip(self.labels.names, counts, strict=True) if share}


def parse_address(text: str) -> tuple[str, int]:
    """Reads "[HOST:]PORT"; an IPv6 host stands in brackets.

    Raises:
        UsageError: It is not of this form.
    """
    host, colon, port = text.rpartition(":")
    host = host.strip("[]") if colon else "127.0.0.1"
    if not port.isdecimal() or int(port) > 65535 or not host:
        raise UsageError(f"--serve {text}: expected PORT or HOST:PORT, such as 8000 or 0.0.0.0:8000")
    return host, int(port)


def _small_size(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _small(image: Uint8) -> Uint8:
    """Returns a copy, no larger than `LONGEST_SIDE`."""
    height, width = _small_size(image.shape[0], image.shape[1])
    if (height, width) == image.shape[:2]:
        return image.copy()
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def _open(address: str, context: OutputContext) -> Output:
    return BrowserView(address, context.labels)


KIND = OutputKind(open=_open, argument="[HOST:]PORT")
