"""The live loop: nothing lost from files, the newest from cameras, and the truth when the camera is gone."""

import threading
import time

import numpy as np
import pytest
from live_fakes import FakeCamera, ListSource, Notebook
from tiny_models import colour_model, painted

from edgeseg.errors import DataError, OutputError, SourceError
from edgeseg.live import capture as capture_module
from edgeseg.live.masks import MaskMaker
from edgeseg.live.options import RunOptions
from edgeseg.live.pipeline import Pipeline
from edgeseg.runtime.segmenter import Segmenter

RED = painted(np.ones((32, 48), int))


def frames(count):
    """Images whose class changes from one to the next."""
    return [painted(np.full((32, 48), i % 4)) for i in range(count)]


def make(source, reopen=None, masks=None, **options):
    def fails():
        raise SourceError("not there")

    return Pipeline(Segmenter(colour_model()), source, reopen or fails, options=RunOptions(**options), masks=masks)


def in_background(pipeline, outputs):
    thread = threading.Thread(target=pipeline.run, args=(outputs,))
    thread.start()
    return thread


def wait_for(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def edgeseg_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("edgeseg")]


def test_every_frame_of_a_file_in_order():
    notebook = Notebook(pause=0.003)
    stats = make(ListSource(frames(25))).run([notebook])
    assert [index for index, _, _ in notebook.results] == list(range(25))
    assert [int(label_map[0, 0]) for _, _, label_map in notebook.results] == [i % 4 for i in range(25)]
    assert all(valid for _, valid, _ in notebook.results)
    assert (stats.frames, stats.dropped, stats.invalid, stats.ended) == (25, 0, 0, "end of source")
    assert notebook.closed_down
    assert edgeseg_threads() == []


def test_a_source_is_closed_at_the_end():
    source = ListSource(frames(2))
    make(source).run([])
    assert source.closed


def test_frames_limit():
    source = ListSource(frames(50))
    notebook = Notebook()
    stats = make(source, frames=7).run([notebook])
    assert (stats.ended, stats.dropped) == ("frames", 0)
    assert stats.frames == len(notebook.results) == 7


def test_seconds_limit():
    stats = make(FakeCamera(RED), seconds=0.3).run([])
    assert stats.ended == "seconds"
    assert stats.wall_s >= 0.3


def test_a_slow_output_makes_a_live_source_drop_frames_and_keeps_masks_fresh():
    """The output is stuck in the first result while the camera gives 60: a handful waits, the newest among it."""
    may_go_on = threading.Event()

    class Stuck(Notebook):
        def write(self, packet):
            assert may_go_on.wait(30)
            super().write(packet)

    camera = FakeCamera(RED, count=60, then="hang", fps=2000.0)
    stuck = Stuck()
    pipeline = make(camera)
    thread = in_background(pipeline, [stuck])
    wait_for(lambda: camera.given == 60 and pipeline.stats().dropped >= 55)
    may_go_on.set()
    wait_for(lambda: stuck.results and stuck.results[-1][0] == 59)
    pipeline.stop("test")
    thread.join()
    camera.release()
    stats = pipeline.stats()
    seen = [index for index, valid, _ in stuck.results if valid]
    assert seen == sorted(seen)
    assert len(seen) == stats.frames == 60 - stats.dropped <= 5


def test_stages_are_all_measured():
    stages = make(ListSource(frames(10))).run([Notebook(wants_overlay=True)]).stages_ms
    for name in ("capture", "preprocess", "invoke", "postprocess", "render", "end_to_end", "shown"):
        assert 0 < stages[name]["p50"] <= stages[name]["p90"] <= stages[name]["p99"]
    assert stages["end_to_end"]["p50"] >= stages["invoke"]["p50"]


def test_a_lost_camera_is_told_at_once_and_comes_back():
    """The second opening fails, the third works."""
    attempts = []

    def reopen():
        attempts.append(time.monotonic())
        if len(attempts) < 3:
            raise SourceError("still away")
        return FakeCamera(RED)

    notebook = Notebook(wants_overlay=True)
    pipeline = make(FakeCamera(RED, count=10), reopen)
    thread = in_background(pipeline, [notebook])
    wait_for(lambda: "returned" in notebook.kinds())
    lost = notebook.kinds().index("lost")
    returned = notebook.events[notebook.kinds().index("returned")]["at"]
    count = pipeline.frames
    wait_for(lambda: pipeline.frames > count + 3)
    pipeline.stop("test")
    thread.join()
    stats = pipeline.stats()
    assert stats.reconnects == 1
    assert stats.losses[0].lasted_s >= sum(capture_module.BACK_OFF_SECONDS[:2])
    assert notebook.events[lost]["valid"] is False
    invalid = [i for i, (_, valid, _) in enumerate(notebook.results) if not valid]
    assert len(invalid) == stats.invalid >= 1
    assert all(label_map is None for _, valid, label_map in notebook.results if not valid)
    assert len(attempts) == 3
    assert returned >= attempts[2]
    assert edgeseg_threads() == []


def test_a_read_that_never_returns_is_a_loss(monkeypatch):
    monkeypatch.setattr(capture_module, "SILENCE_SECONDS", 0.1)
    hanging = FakeCamera(RED, count=10, then="hang")
    replacement = FakeCamera(RED)
    notebook = Notebook()
    pipeline = make(hanging, lambda: replacement)
    thread = in_background(pipeline, [notebook])
    wait_for(lambda: "returned" in notebook.kinds())
    assert notebook.kinds().index("lost") < notebook.kinds().index("returned")
    assert not hanging.released.is_set()  # it was told, and replaced, while it hung
    pipeline.stop("test")
    thread.join()
    assert pipeline.stuck
    assert pipeline.stats().reconnects >= 1
    hanging.release()
    wait_for(lambda: hanging.closed)
    wait_for(lambda: not pipeline.stuck)


def test_a_lost_camera_is_not_shown_as_a_dark_scene():
    notebook = Notebook(wants_overlay=True)
    pipeline = make(FakeCamera(RED, count=5))
    thread = in_background(pipeline, [notebook])
    wait_for(lambda: sum(not valid for _, valid, _ in notebook.results) >= 2)
    pipeline.stop("test")
    thread.join()
    shown = notebook.overlays[-1]
    assert (shown[15:17] == (40, 40, 220)).any()  # the banner
    assert shown[0, 0].max() < notebook.overlays[0][0, 0].max() / 2


def test_exit_on_loss():
    with pytest.raises(SourceError, match="source lost: fake camera gives no more frames"):
        make(FakeCamera(RED, count=5), exit_on_loss=True).run([])


def test_two_hundred_losses_leave_no_thread_and_no_open_source(monkeypatch):
    monkeypatch.setattr(capture_module, "BACK_OFF_SECONDS", (0.0,))
    opened = []

    def reopen():
        opened.append(FakeCamera(RED, count=2, fps=2000.0))
        return opened[-1]

    before = threading.active_count()
    pipeline = make(FakeCamera(RED, count=2, fps=2000.0), reopen)
    thread = in_background(pipeline, [])
    wait_for(lambda: len(opened) > 200, 20.0)
    pipeline.stop("test")
    thread.join()
    assert threading.active_count() == before
    assert all(source.closed for source in opened[:-1])
    assert pipeline.stats().reconnects >= 199
    assert len(pipeline.stats().losses) <= 100


def test_stop_does_not_wait_for_a_camera_that_hangs():
    pipeline = make(hanging := FakeCamera(RED, count=3, then="hang"))
    notebook = Notebook()
    thread = in_background(pipeline, [notebook])
    wait_for(lambda: hanging.given == 3)
    pipeline.stop("SIGINT")
    thread.join(30)
    assert not thread.is_alive()
    assert not hanging.released.is_set()
    assert pipeline.stats().ended == "SIGINT"
    assert pipeline.stats().stuck
    assert notebook.closed_down
    hanging.release()


def test_an_output_that_fails_is_left_out_and_the_run_goes_on():
    class FullDisk(Notebook):
        name = "recording"

        def write(self, packet):
            if len(self.results) == 3:
                raise OutputError("disk full")
            super().write(packet)

    told = []
    full, fine = FullDisk(), Notebook()
    pipeline = Pipeline(Segmenter(colour_model()), ListSource(frames(10)), ListSource, notify=told.append)
    stats = pipeline.run([full, fine])
    assert len(full.results) == 3
    assert full.closed_down
    assert len(fine.results) == stats.frames == 10
    assert stats.outputs_stopped == ("disk full",)
    assert "output_stopped" in fine.kinds()
    assert any("disk full" in line for line in told)


def test_a_broken_image_ends_the_run_with_its_error():
    class Broken(ListSource):
        def read(self, into):
            if self.next == 2:
                raise DataError("image 2 is not an image")
            return super().read(into)

    pipeline = make(Broken(frames(5)))
    with pytest.raises(DataError, match="image 2"):
        pipeline.run([])
    assert pipeline.stats().ended == "error: image 2 is not an image"


def test_packets_are_used_again():
    """A steady run allocates a handful of packets, however long it is."""
    pipeline = make(ListSource(frames(60)))
    taken = []  # the packets themselves: of one that is gone, another may have the id
    taking = pipeline._inference.take

    def counting():
        taken.append(taking())
        return taken[-1]

    pipeline._inference.take = counting
    pipeline.run([Notebook()])
    assert len(taken) >= 60
    assert len({id(packet) for packet in taken}) <= 8


def test_sharp_label_maps_have_the_frames_size():
    notebook = Notebook()
    big = painted(np.full((64, 96), 2))
    make(ListSource([big]), masks=MaskMaker(sharp=True)).run([notebook])
    assert notebook.results[0][2].shape == (64, 96)
    assert (notebook.results[0][2] == 2).all()


def test_smoothing_keeps_its_hands_off_the_packets():
    """Each result has the smoothed mask of its own frame, although the smoother uses its array again."""
    seen = []

    def smooth(image, label_map):
        seen.append(label_map.copy())
        threads.add(threading.current_thread().name)
        held[:] = (label_map + 1) % 4
        return held

    held, threads = np.empty((32, 48), np.uint8), set()
    notebook = Notebook()
    make(ListSource(frames(12)), masks=MaskMaker(smooth=smooth)).run([notebook])
    assert [int(label_map[0, 0]) for _, _, label_map in notebook.results] == [(i + 1) % 4 for i in range(12)]
    assert [int(label_map[0, 0]) for label_map in seen] == [i % 4 for i in range(12)]
    assert threads == {"edgeseg-inference-0"}  # never beside itself, whoever has time


def test_each_stage_is_what_its_own_step_took(monkeypatch):
    """One frame, and a clock that stands still but for the steps: 1 s of reading, 2 of preprocessing, and so on."""
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def lasting(seconds, step):
        """The step, which takes so long the first time: the read that finds no second frame must not count."""
        left = [seconds]

        def wrapped(*arguments, **options):
            clock[0] += left.pop() if left else 0
            return step(*arguments, **options)

        return wrapped

    class Slow(Notebook):
        write = lasting(32, Notebook.write)

    source, segmenter = ListSource(frames(1)), Segmenter(colour_model())
    source.read = lasting(1, source.read)
    twin = segmenter.twin()
    for lane in (segmenter, twin):
        lane.prepare, lane.invoke = lasting(2, lane.prepare), lasting(4, lane.invoke)
        lane.label_map = lasting(8, lane.label_map)
    segmenter.twin = lambda: twin
    pipeline = Pipeline(segmenter, source, ListSource)
    pipeline._overlay.render = lasting(16, pipeline._overlay.render)
    stages = pipeline.run([Slow(wants_overlay=True)]).stages_ms
    seconds = {name: stages[name]["mean"] and stages[name]["mean"] / 1000 for name in stages}
    assert seconds == pytest.approx(
        {"capture": 1, "preprocess": 2, "invoke": 4, "postprocess": 8, "refine": None, "render": 16,
         "end_to_end": 2 + 4 + 8, "shown": 2 + 4 + 8 + 16 + 32}
    )  # fmt: skip
