"""The capture thread: a frame that has come is a sign of life before anything else happens to it."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from live_fakes import FakeCamera, ListSource
from tiny_models import painted

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

    camera = SlowCamera(painted(np.zeros((8, 8), int)), count=2, then="hang", fps=1000.0)
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
    camera = FakeCamera(painted(np.zeros((8, 8), int)), count=1, then="hang", fps=1000.0)
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


class Run:
    """A capture, what it told, and what it handed on.

    Args:
        source: What is read.
        reopened: What each attempt to open it again gives: a source, or an error to raise; the last one repeats.
        capacity: Packets that may wait for the taker.
        drop: Whether the oldest of them makes room.
        fill: Called with each filled packet.
    """

    def __init__(self, source, reopened=(), *, capacity=100, drop=False, fill=lambda packet: None):
        self.reopened, self.attempts = list(reopened), 0
        self.losses, self.returns, self.given_back, self.taken = [], [], [], []
        self.handoff = Handoff(capacity, drop=drop)
        self.capture = Capture(
            source, self.reopen, take=self.take, fill=fill, give=self.given_back.append, handoff=self.handoff,
            on_loss=self.losses.append, on_return=self.returns.append,
        )  # fmt: skip

    def take(self):
        self.taken.append(Packet(np.empty(0, np.uint8), np.empty((0, 0), np.uint8)))
        return self.taken[-1]

    def reopen(self):
        what = self.reopened[min(self.attempts, len(self.reopened) - 1)]
        self.attempts += 1
        if isinstance(what, Exception):
            raise what
        return what

    def packets(self):
        """All packets until the capture closes the handoff."""
        packets = []
        while (packet := self.handoff.get(10)) is not None:
            packets.append(packet)
        assert self.handoff.finished, "the capture neither hands on nor ends"
        return packets


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


FRAMES = [np.full((2, 2, 3), index, np.uint8) for index in range(3)]


def test_a_file_is_handed_on_frame_by_frame_and_closed_at_its_end():
    source, filled = ListSource(FRAMES, fps=25.0), []
    run = Run(source, fill=lambda packet: filled.append(packet.image))
    packets = run.packets()
    assert run.capture.stop(10)
    assert [packet.index for packet in packets] == [0, 1, 2]
    assert [packet.name for packet in packets] == ["image0", "image1", "image2"]
    for packet, image, frame in zip(packets, filled, FRAMES, strict=True):
        assert packet.image is frame
        assert image is frame  # filled before it was handed on
    assert (run.capture.frames, run.capture.dropped, run.capture.reconnects) == (3, 0, 0)
    assert run.capture.fps == 25.0
    assert run.capture.failure is None
    assert source.closed
    assert run.given_back == run.taken[3:]  # the one in which there was no frame


def test_what_makes_room_for_newer_frames_is_counted_and_given_back():
    run = Run(ListSource(FRAMES), capacity=1, drop=True)
    run.capture._threads[0].join(10)
    assert [packet.index for packet in run.packets()] == [2]
    assert run.capture.dropped == 2
    assert run.given_back == [*run.taken[:2], *run.taken[3:]]


def test_a_frame_that_waits_when_the_run_ends_is_given_back_and_is_no_dropped_one():
    run = Run(ListSource(FRAMES), capacity=1)
    until(lambda: run.capture.frames == 2)
    assert run.capture.stop(10)
    assert run.capture.dropped == 0
    assert run.given_back == run.taken[1:]


@pytest.mark.parametrize("live", [True, False])
def test_the_time_of_a_read_is_told_without_the_wait_for_a_live_frame(monkeypatch, live):
    """The read takes 3 s; the frame itself came 2 s after its begin."""
    clock = [100.0]
    monkeypatch.setattr(capture_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    class Slow(ListSource):
        def read(self, into):
            if self.next == 1:
                return None
            self.next = 1
            clock[0] += 3.0
            return FRAMES[0], 102.0

    source = Slow(FRAMES)
    source.live = live
    packet = Run(source).packets()[0]
    assert packet.captured == 102.0
    assert packet.capture_s == (1.0 if live else 3.0)


class Broken(ListSource):
    """Frames from a list, then an error."""

    def __init__(self, frames, error, *, live):
        super().__init__(frames)
        self.error, self.live = error, live

    def read(self, into):
        if self.next == len(self.frames):
            raise self.error
        return super().read(into)


@pytest.mark.parametrize(
    ("error", "live"), [(SourceError("cut off"), False), (ValueError("a fault"), False), (ValueError("a fault"), True)]
)
def test_an_error_that_is_no_loss_ends_the_run_and_is_kept(error, live):
    source = Broken(FRAMES, error, live=live)
    run = Run(source)
    assert len(run.packets()) == 3
    assert run.capture.failure is error
    assert run.capture.stop(10)
    assert source.closed
    assert run.losses == []
    assert run.given_back == run.taken[3:]


def test_an_error_in_what_is_made_of_a_frame_ends_the_run():
    error = RuntimeError("no memory")

    def fill(_):
        raise error

    run = Run(ListSource(FRAMES), fill=fill)
    assert run.packets() == []
    assert run.capture.failure is error


def test_a_lost_source_is_opened_again_until_it_is_back(monkeypatch):
    monkeypatch.setattr(capture_module, "BACK_OFF_SECONDS", (0.001, 0.002))
    away = SourceError("still away")
    first, second = Broken(FRAMES[:2], SourceError("unplugged"), live=True), ListSource(FRAMES)
    second.live = True
    run = Run(first, [away, away, away, second])
    assert [packet.index for packet in run.packets()] == [0, 1, 2, 3, 4]
    assert run.attempts == 4
    (loss,) = run.losses
    assert run.returns == [loss]
    assert loss.reason == "unplugged"
    assert 0 < loss.lasted < 10
    assert run.capture.loss is None
    assert run.capture.reconnects == 1
    assert first.closed
    assert run.capture.failure is None


def test_pauses_between_attempts_grow_to_the_longest():
    run = Run(FakeCamera(FRAMES[0], count=0), [SourceError("still away")])
    run.capture.stop(10)
    pauses = []
    run.capture._stopped = SimpleNamespace(is_set=lambda: len(pauses) == 6, wait=pauses.append)
    assert run.capture._open_again(0) is None
    assert pauses == [0.1, 0.2, 0.4, 0.5, 0.5, 0.5]


def test_a_source_that_is_lost_again_before_its_first_frame_is_one_loss(monkeypatch):
    monkeypatch.setattr(capture_module, "BACK_OFF_SECONDS", (0.001,))
    lost = [Broken([], SourceError(f"lost {number}"), live=True) for number in range(2)]
    back = ListSource(FRAMES[:1])
    back.live = True
    run = Run(lost[0], [lost[1], back])
    assert len(run.packets()) == 1
    assert [loss.reason for loss in run.losses] == ["lost 0"]
    assert run.capture.reconnects == 1
    assert all(source.closed for source in lost)


@pytest.mark.parametrize("late", ["a frame", "the end"])
def test_a_stuck_thread_that_comes_back_after_it_was_given_up_hands_nothing_on(monkeypatch, late):
    clock = [100.0]
    monkeypatch.setattr(capture_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    class Stuck(FakeCamera):
        def read(self, into):
            reading.set()
            assert self.released.wait(10)
            return (self.frame, clock[0]) if late == "a frame" else None

    reading, stuck, fresh = threading.Event(), Stuck(FRAMES[0]), FakeCamera(FRAMES[1], count=2, then="hang", fps=1000)
    run = Run(stuck, [fresh])
    assert reading.wait(10)
    clock[0] += capture_module.FIRST_FRAME_SECONDS
    run.capture.watch()
    assert run.losses == []  # a first frame may take so long
    clock[0] += 0.01
    run.capture.watch()
    assert [run.handoff.get(10).image[0, 0, 0] for _ in range(2)] == [1, 1]
    stuck.release()
    until(lambda: stuck.closed)
    assert run.taken[0] in run.given_back
    assert run.capture.frames == 2
    assert run.capture.failure is None
    assert not run.handoff.finished
    assert not run.capture.stop(0)  # the other one hangs by now
    fresh.release()
    assert run.capture.stop(10)


def test_a_source_that_was_opened_again_has_as_long_to_its_first_frame(monkeypatch):
    clock, started = [100.0], []
    monkeypatch.setattr(capture_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    camera = FakeCamera(FRAMES[0], count=1, then="hang", fps=1000)
    run = Run(camera)
    assert run.handoff.get(10) is not None
    run.capture._start_thread = started.append  # a thread that has not come to run yet
    for later, begun in ((1.6, 1), (0, 1), (9.9, 1), (0.2, 2)):
        clock[0] += later
        run.capture.watch()
        assert len(started) == begun
    camera.release()


def test_so_has_one_that_was_opened_again_after_an_error(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(capture_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    again = FakeCamera(FRAMES[0], count=0, then="hang")
    run = Run(Broken(FRAMES[:1], SourceError("unplugged"), live=True), [again])
    until(lambda: len(run.taken) == 3)  # a frame, the error, and the first of the source that is back
    for later, threads in ((9.9, 1), (0.2, 2)):
        clock[0] += later
        run.capture.watch()
        assert len(run.capture._threads) == threads
    again.release()
    assert run.capture.stop(10)


def test_reads_that_return_late_are_no_stuck_ones(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(capture_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    cameras = [FakeCamera(FRAMES[0], count=0, then="hang") for _ in range(capture_module.MOST_STUCK + 2)]
    run = Run(cameras[0], cameras[1:])
    for number, camera in enumerate(cameras[:-1]):
        until(lambda number=number: len(run.taken) == number + 1)
        clock[0] += 11
        thread = run.capture._threads[-1]
        run.capture.watch()
        camera.release()
        thread.join(10)
    assert run.capture.failure is None
    cameras[-1].release()
    assert run.capture.stop(10)


def test_a_source_that_hangs_again_and_again_ends_the_run(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(capture_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    camera = FakeCamera(FRAMES[0], count=0, then="hang")
    run = Run(camera, [camera])
    for hung in range(capture_module.MOST_STUCK):
        until(lambda hung=hung: len(run.taken) == hung + 1)
        assert run.capture.failure is None
        clock[0] += 11
        run.capture.watch()
    assert "hung 16 times" in str(run.capture.failure)
    assert isinstance(run.capture.failure, SourceError)
    assert run.packets() == []
    assert len(run.losses) == 1
    camera.release()
    assert run.capture.stop(10)


@pytest.mark.parametrize("why", ["no live source", "stopped"])
def test_nobody_is_watched_who_need_not_give_frames_in_time(monkeypatch, why):
    clock = [100.0]
    monkeypatch.setattr(capture_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    camera = FakeCamera(FRAMES[0], count=0, then="hang")
    camera.live = why == "stopped"
    run = Run(camera)
    if why == "stopped":
        run.capture.stop(0)
    clock[0] += 100
    run.capture.watch()
    assert run.losses == []
    camera.release()


def test_threads_that_are_stuck_share_the_time_that_stopping_may_take(monkeypatch):
    """Two of them: the first takes all of it, the second gets none more."""
    clock, waits = [100.0], []
    monkeypatch.setattr(capture_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def join(timeout):
        waits.append(timeout)
        clock[0] += 3.0

    capture = Run(ListSource(FRAMES)).capture
    assert capture.stop(10)
    capture._threads = [SimpleNamespace(join=join, is_alive=lambda: True)] * 2
    assert not capture.stop(2.0)
    assert waits == [2.0, 0.0]


def test_a_thread_that_is_stuck_keeps_no_process_from_ending():
    camera = FakeCamera(FRAMES[0], count=0, then="hang")
    run = Run(camera)
    assert [thread.daemon for thread in run.capture._threads] == [True]
    camera.release()
    assert run.capture.stop(10)
