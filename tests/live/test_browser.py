"""The browser view: over plain HTTP, and driven by a real browser where there is one."""

import http.client
import json
import socket
import threading
import time

import chromium
import cv2
import numpy as np
import pytest
from live_fakes import FakeCamera
from tiny_models import CLASSES, colour_model, painted

from edgeseg.card import LabelSet
from edgeseg.errors import OutputError, SourceError, UsageError
from edgeseg.live.options import RunOptions
from edgeseg.live.outputs.browser import BrowserView, parse_address
from edgeseg.live.pipeline import Pipeline
from edgeseg.runtime.segmenter import Segmenter

LABELS = LabelSet.from_names(CLASSES)


class ChangingCamera(FakeCamera):
    """Sees another class every tenth of a second, in an image of a quarter of it."""

    def read(self, into):
        scene = np.zeros((240, 320), int)
        scene[:, : 80 + 40 * (int(time.monotonic() * 10) % 4)] = 1 + int(time.monotonic() * 10) % 3
        self.frame = painted(scene)
        return super().read(into)


@pytest.fixture
def running():
    """`running(camera)` runs the loop with a browser view and gives the view; it ends with the test."""
    stops = []

    def run(camera, address="0"):
        def away():
            raise SourceError("away")

        segmenter = Segmenter(colour_model(), labels=LABELS)
        view = BrowserView(address, LABELS)
        pipeline = Pipeline(segmenter, camera, away, options=RunOptions())
        thread = threading.Thread(target=pipeline.run, args=([view],))
        thread.start()
        stops.append((pipeline, thread))
        return view

    yield run
    for pipeline, thread in stops:
        pipeline.stop("test")
        thread.join(10)
    assert [t.name for t in threading.enumerate() if t.name.startswith("edgeseg")] == []


def port_of(view):
    return int(view.url.split(":")[2].split("/")[0])


def get(view, path, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port_of(view), timeout=10)
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, dict(answer.getheaders())


def images(view, name, count):
    """The first images of a stream."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(view), timeout=10)
    connection.request("GET", f"/stream?view={name}")
    stream = connection.getresponse()
    found = []
    while len(found) < count:
        headers = {}
        while (line := stream.fp.readline().strip()) or not headers:
            if b":" in line:
                key, value = line.split(b":", 1)
                headers[key.lower()] = value.strip()
        data = stream.fp.read(int(headers[b"content-length"]))
        found.append(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    connection.close()
    return found


def test_page_and_figures(running):
    view = running(FakeCamera(painted(np.ones((240, 320), int))))
    status, page, _ = get(view, "/")
    assert status == 200
    assert b'"name": "red"' in page
    end = time.monotonic() + 10
    while not (figures := json.loads(get(view, "/status.json")[1]))["shares"]:
        assert time.monotonic() < end
    assert figures["valid"] is True
    assert figures["shares"] == {"red": 1.0}
    assert len(figures["latency"][0]) == 2
    assert figures["fps"] >= 0
    assert get(view, "/other")[0] == 404
    assert get(view, "/stream?view=other")[0] == 404


def test_the_three_views(running):
    view = running(FakeCamera(painted(np.full((240, 320), 2))))  # green
    camera = images(view, "camera", 1)[0]
    mask = images(view, "mask", 1)[0]
    overlay = images(view, "overlay", 1)[0]
    blue_green_red = np.array(LABELS.colors[2][::-1])
    np.testing.assert_allclose(camera[200, 160], (0, 255, 0), atol=6)
    np.testing.assert_allclose(mask[200, 160], blue_green_red, atol=6)
    np.testing.assert_allclose(overlay[200, 160], (np.array((0, 255, 0)) + blue_green_red) // 2, atol=6)


def test_images_change(running):
    first, *others = images(running(ChangingCamera(None)), "camera", 8)
    assert any(np.abs(first.astype(int) - other).mean() > 5 for other in others)


def test_nobody_looking_costs_no_image(running):
    view = running(FakeCamera(painted(np.ones((240, 320), int))))
    wait_for_frames(view, 10)
    assert not view.wants_overlay
    assert view._sequence == 0
    images(view, "mask", 1)
    assert view._sequence >= 1


def test_a_lost_camera_shows_as_lost(running):
    view = running(FakeCamera(painted(np.ones((240, 320), int)), count=40))
    images(view, "camera", 1)
    end = time.monotonic() + 10
    while json.loads(get(view, "/status.json")[1])["valid"]:
        assert time.monotonic() < end
    assert "no more frames" in json.loads(get(view, "/status.json")[1])["reason"]
    banner = images(view, "camera", 1)[0]
    np.testing.assert_allclose(banner[120, 5], (40, 40, 220), atol=12)


def wait_for_frames(view, more):
    """Waits until the loop has made so many masks more."""
    first, end = json.loads(get(view, "/status.json")[1])["frames"], time.monotonic() + 30
    while json.loads(get(view, "/status.json")[1])["frames"] < first + more:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_viewer_that_reads_nothing_does_not_stop_the_loop(running):
    """Its thread is stuck in sending an image, here for good; the loop and the other viewers go on."""
    view = running(FakeCamera(painted(np.ones((240, 320), int)), fps=60.0))
    stuck = [view.images(name) for name in ("overlay", "mask", "camera")]
    for viewer in stuck:
        next(viewer)
    wait_for_frames(view, 60)
    assert len(images(view, "overlay", 3)) == 3
    for viewer in stuck:
        viewer.close()


def test_another_sites_page_cannot_read_a_loopback_server(running):
    view = running(FakeCamera(painted(np.ones((240, 320), int))))
    assert view.token == ""
    assert get(view, "/status.json", {"Host": "evil.example"})[0] == 403
    assert get(view, "/status.json", {"Host": f"localhost:{port_of(view)}"})[0] == 200


def test_bound_wider_a_token_is_needed(running):
    view = running(FakeCamera(painted(np.ones((240, 320), int))), "0.0.0.0:0")
    assert len(view.token) >= 12
    assert view.token in view.url
    assert get(view, "/")[0] == 403
    assert get(view, "/?token=wrong")[0] == 403
    assert get(view, "/status.json", {"Cookie": "edgeseg_token=wrong"})[0] == 403
    status, _, headers = get(view, f"/?token={view.token}")
    assert status == 200
    assert "HttpOnly" in headers["Set-Cookie"]
    assert get(view, "/status.json", {"Cookie": headers["Set-Cookie"].split(";")[0]})[0] == 200


def test_a_port_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OutputError, match="choose another port"):
            BrowserView(str(taken.getsockname()[1]), LABELS)


@pytest.mark.parametrize(
    ("text", "address"),
    [("8000", ("127.0.0.1", 8000)), ("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:80", ("::1", 80))],
)
def test_addresses(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "host", "host:", ":80", "1:2:x", "70000"])
def test_other_addresses_are_refused(text):
    with pytest.raises(UsageError, match="HOST:PORT"):
        parse_address(text)


# === A real browser ===

needs_chromium = pytest.mark.skipif(chromium.find() is None, reason="needs Chromium")
PIXELS = """(() => { const i = document.getElementById("image"), c = document.createElement("canvas");
  c.width = 32; c.height = 24; if (!i.naturalWidth) return null; c.getContext("2d").drawImage(i, 0, 0, 32, 24);
  return Array.from(c.getContext("2d").getImageData(0, 0, 32, 24).data).join(); })()"""


@needs_chromium
def test_in_a_browser(running, tmp_path):
    view = running(ChangingCamera(None))
    with chromium.Chromium(tmp_path / "profile") as browser:
        browser.open(view.url)
        browser.wait("document.getElementById('state')?.textContent === 'live'")
        first = browser.wait(PIXELS)
        browser.wait(f"{PIXELS} !== {json.dumps(first)}")  # the image changes
        for name in ("mask", "camera", "overlay"):
            browser.run(f"document.querySelector('button[data-view={name}]').click()")
            assert browser.run("document.getElementById('image').src").endswith(f"view={name}")
            assert browser.run("document.querySelectorAll('button[aria-pressed=true]').length") == 1
            browser.wait(PIXELS)
        assert browser.wait("document.querySelectorAll('.share').length") >= 1
        assert "grey" in browser.wait("document.getElementById('shares').textContent")
        chart = browser.run("document.getElementById('chart').toDataURL()")
        browser.wait(f"document.getElementById('chart').toDataURL() !== {json.dumps(chart)}")
        for width, height, mobile in ((1280, 800, False), (390, 844, True)):
            browser.size(width, height, mobile)
            browser.wait(PIXELS)
            assert browser.run("document.documentElement.scrollWidth") <= width  # nothing runs out to the right
            box = browser.run("(r => [r.width, r.height])(document.getElementById('image').getBoundingClientRect())")
            assert box[0] > 0.55 * width
            assert box[0] / box[1] == pytest.approx(4 / 3, rel=0.02)
            shot = cv2.imdecode(np.frombuffer(browser.screenshot(), np.uint8), cv2.IMREAD_COLOR)
            assert shot.shape[:2] == (height, width)


@needs_chromium
def test_the_browser_shows_a_lost_camera(running, tmp_path):
    view = running(FakeCamera(painted(np.ones((240, 320), int)), count=60))
    with chromium.Chromium(tmp_path / "profile") as browser:
        browser.open(view.url)
        browser.wait("document.getElementById('state')?.className === 'lost'")
        assert "no more frames" in browser.wait("document.getElementById('state').textContent")
