"""The HTTP side of the browser view: page, figures, streams, and who may see them."""

from __future__ import annotations

import contextlib
import http
import ipaddress
import json
import secrets
import socket
from collections.abc import Generator
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

_BOUNDARY = "frame"
_COOKIE = "edgeseg_token"
_SEND_SECONDS = 5.0


class View(Protocol):
    """What the server shows.

    Attributes:
        token: What a viewer must present; "" where everybody may look.
        views: Names of the streams.
    """

    token: str
    views: tuple[str, ...]

    def page(self) -> bytes:
        """The HTML page."""

    def status(self) -> dict[str, Any]:
        """The figures."""

    def images(self, view: str) -> Generator[bytes, None, None]:
        """JPEGs of a stream until the run ends."""


class ViewServer(ThreadingHTTPServer):
    """Answers viewers, each on a thread of its own.

    Args:
        address: (host, port).
        view: What they see.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], view: View) -> None:
        self.view = view
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A viewer that goes away in the middle of an image is no error."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request: the page, the figures, or a stream of images."""

    protocol_version = "HTTP/1.1"
    timeout = _SEND_SECONDS
    server: ViewServer

    def do_GET(self) -> None:
        """Answers a GET."""
        view = self.server.view
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if not self._allowed(view, query.get("token", [""])[0]):
            self._answer(http.HTTPStatus.FORBIDDEN, "text/plain", b"open the address that edgeseg run printed\n")
        elif parts.path == "/":
            self._answer(http.HTTPStatus.OK, "text/html; charset=utf-8", view.page())
        elif parts.path == "/status.json":
            self._answer(http.HTTPStatus.OK, "application/json", json.dumps(view.status()).encode())
        elif parts.path == "/stream" and query.get("view", ["overlay"])[0] in view.views:
            self._stream(view, query.get("view", ["overlay"])[0])
        else:
            self._answer(
                http.HTTPStatus.NOT_FOUND, "text/plain", b"there is /, /status.json and /stream?view=overlay\n"
            )

    def log_message(self, format: str, *args: Any) -> None:
        """The user's screen is not a server's log."""

    def _allowed(self, view: View, token: str) -> bool:
        if not view.token:  # another site's page must not read a loopback server through a name of its own
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
            return host == "localhost" or is_loopback(host)
        try:
            morsel = SimpleCookie(self.headers.get("Cookie", "")).get(_COOKIE)
        except CookieError:
            morsel = None
        given = token or (morsel.value if morsel else "")
        return secrets.compare_digest(given.encode(), view.token.encode())

    def _answer(self, status: http.HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'self' 'unsafe-inline'")
        if self.server.view.token and status is http.HTTPStatus.OK:
            self.send_header("Set-Cookie", f"{_COOKIE}={self.server.view.token}; HttpOnly; SameSite=Strict; Path=/")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, view: View, name: str) -> None:
        self.send_response(http.HTTPStatus.OK)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with contextlib.closing(view.images(name)) as images:
            for image in images:
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
                self.wfile.write(head.encode() + image + b"\r\n")


def is_loopback(host: str) -> bool:
    """Whether an address reaches this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
