"""Network streams from real servers on loopback that are killed, frozen and started again."""

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import ROOT
from live_fakes import Notebook
from tiny_models import colour_model

from edgeseg.errors import SourceError
from edgeseg.live.pipeline import Pipeline
from edgeseg.live.sources import open_source
from edgeseg.runtime.segmenter import Segmenter


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def open_patiently(url):
    """Opens a stream whose server is still starting."""
    end = time.monotonic() + 20
    while True:
        try:
            return open_source(url)
        except SourceError:
            assert time.monotonic() < end
            time.sleep(0.1)


class Server:
    """A network camera in a process of its own: `command` and the port."""

    def __init__(self, url, *command):
        self.command, self.port = command, free_port()
        self.url = url.format(port=self.port)
        self.start()

    def start(self):
        self.process = subprocess.Popen([*self.command, str(self.port)])

    def kill(self):
        self.process.kill()
        self.process.wait()


def gstreamer_python():
    """A Python that has GStreamer's RTSP server: the system's, if at all."""
    code = "import gi; gi.require_version('GstRtspServer', '1.0')"
    found = [path for path in ("/usr/bin/python3",) if Path(path).exists()]
    return next((p for p in found if subprocess.run([p, "-c", code], capture_output=True).returncode == 0), None)


@pytest.fixture(params=["mjpeg", "rtsp"])
def server(request):
    if request.param == "mjpeg":
        running = Server("http://127.0.0.1:{port}/a.mjpg", sys.executable, str(ROOT / "tests/mjpeg_server.py"))
    elif (python := gstreamer_python()) is None:
        pytest.skip("needs GStreamer's RTSP server for Python (Debian: gir1.2-gst-rtsp-server-1.0, python3-gi)")
    else:
        running = Server("rtsp://127.0.0.1:{port}/camera", python, str(ROOT / "tests/rtsp_server.py"))
    yield running
    running.kill()


def follow(url):
    """Runs the loop on a stream; returns it, its thread and its notebook once masks arrive."""
    source = open_patiently(url)
    notebook = Notebook()
    pipeline = Pipeline(Segmenter(colour_model()), source, lambda: open_source(url))
    thread = threading.Thread(target=pipeline.run, args=([notebook],))
    thread.start()
    wait_for(lambda: pipeline.frames > 5, 10)
    return pipeline, thread, notebook


def test_a_stream_gives_frames(server):
    source = open_patiently(server.url)
    frame, stamp = source.read(None)
    source.close()
    assert frame.ndim == 3
    assert frame.any()
    assert 0 <= time.monotonic() - stamp < 5


def leave(server, how):
    if how == "killed":
        server.kill()
    else:
        server.process.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_stream_whose_server_goes_and_comes_back(server, how):
    pipeline, thread, notebook = follow(server.url)
    leave(server, how)
    wait_for(lambda: "lost" in notebook.kinds(), 10)
    wait_for(lambda: not notebook.results[-1][1], 10)
    if how == "killed":
        server.start()
    else:
        server.process.send_signal(signal.SIGCONT)
    wait_for(lambda: "returned" in notebook.kinds(), 20)
    frames = pipeline.frames
    wait_for(lambda: pipeline.frames > frames + 5, 10)
    pipeline.stop("test")
    thread.join(20)
    stats = pipeline.stats()
    assert stats.reconnects == 1
    assert stats.invalid >= 1
    assert any(not valid for _, valid, _ in notebook.results)


@pytest.mark.slow  # of a busy machine it says more about that machine
@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_it_is_noticed_within_two_seconds(server, how):
    pipeline, thread, notebook = follow(server.url)
    gone = time.monotonic()
    leave(server, how)
    wait_for(lambda: "lost" in notebook.kinds(), 10)
    assert notebook.events[notebook.kinds().index("lost")]["at"] - gone <= 2.0
    if how == "frozen":
        server.process.send_signal(signal.SIGCONT)
    pipeline.stop("test")
    thread.join(20)
