"""The capture thread: a frame that has come is a sign of life before anything else happens to it."""

import threading
from types import SimpleNamespace

import numpy as np
from live_fakes import FakeCamera
from tiny_models import picture

from edgeseg.live import capture as capture_module
from edgeseg.live.capture import Capture
from edgeseg.live.packet import Handoff, Packet


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
    capture = Capture(
        camera,
        lambda: told.append("opened again"),
        take=lambda: Packet(np.empty(0, np.uint8), np.empty((0, 0), np.uint8)),
        fill=lambda packet: None,
        give=lambda packet: None,
        handoff=Handoff(1, drop=True),
        on_loss=lambda loss: told.append("lost"),
        on_return=lambda loss: told.append("back"),
    )
    begun.set()
    assert looked.wait(10)
    capture.stop(0)
    camera.release()
    assert told == []
    assert capture.loss is None
