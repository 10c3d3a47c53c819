"""The capture thread: a frame that has come is a sign of life before anything else happens to it."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from live_fakes import FakeCamera
from tiny_models import picture

from edgeseg.errors import SourceError
from edgeseg.live import capture as capture_module
from edgeseg.live.capture import Capture
from edgeseg.live.packet import Handoff, Packet


def make_capture(source, reopen, **hooks):
    def ignore(_):
        pass

    return Capture(
        source,
        reopen,
        take=lambda: Packet(np.empty(0, np.uint8), np.empty((0, 0), np.uint8)),
        handoff=Handoff(1, drop=True),
        **{"fill": ignore, "give": ignore, "on_loss": ignore, "on_return": ignore, **hooks},
    )


def test_a_read_that_returns_after_long_silence_is_no_loss_once_it_has_returned(monkeypatch):
    """The watch looks right after a read of 5 s has returned: the camera lives, and no second thread may open it."""
    clock, begun, looked = [100.0], threading.Event(), threading.Event()
    monkeypatch.setattr(capture_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    told = []

    class SlowCamera(FakeCamera):
        def read(self, into):
            assert begun.wait(10)
            if self.given:  # the second read is the slow one
                clock[0] += 5.0
            return super().read(into)

        def frame_name(self):
            if self.given == 2:
                capture.watch()
                looked.set()
            return ""

    camera = SlowCamera(picture(np.zeros((8, 8), int)), count=2, then="hang", fps=1000.0)
    capture = make_capture(
        camera,
        lambda: told.append("opened again"),
        on_loss=lambda loss: told.append("lost"),
        on_return=lambda loss: told.append("back"),
    )
    begun.set()
    assert looked.wait(10)
    capture.stop(0)
    camera.release()
    assert told == []
    assert capture.loss is None


@pytest.mark.parametrize(("fps", "limit"), [(50.0, 1.5), (None, 1.5), (1.0, 3.0)])
def test_silence_is_a_loss_after_its_time_and_not_before(monkeypatch, fps, limit):
    """Within two seconds, the watch's own period included; of a camera slower than 2 a second, after three periods."""
    clock, told = [100.0], []
    monkeypatch.setattr(capture_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    camera = FakeCamera(picture(np.zeros((8, 8), int)), count=1, then="hang", fps=1000.0)
    camera.fps = fps
    camera.read = lambda into, read=camera.read: read(into) if camera.given else (camera_gives(), clock[0])

    def camera_gives():
        camera.given = 1
        return camera.frame

    def reopened():
        opened.set()
        raise SourceError("still away")

    opened, filled = threading.Event(), threading.Event()
    capture = make_capture(
        camera, reopened, fill=lambda packet: filled.set(), on_loss=lambda loss: told.append(loss.reason)
    )
    assert filled.wait(10)
    clock[0] += limit
    capture.watch()
    assert told == []
    clock[0] += 0.01
    capture.watch()
    assert told == [f"no frame for {limit + 0.01:.1f} s"]
    assert opened.wait(10)
    capture.stop(0)
    camera.release()
