"""One device that may fail: who owns the frame that was under way, and whose input it was made for."""

import threading
from time import monotonic

import numpy as np
import pytest
from live_fakes import ListSource, Notebook
from tiny_models import colour_model, painted

from edgeseg.errors import DelegateError
from edgeseg.live import device
from edgeseg.live.device import HANG_SECONDS, OneDevice
from edgeseg.live.inference import Wiring
from edgeseg.live.packet import Handoff
from edgeseg.live.pipeline import Pipeline
from edgeseg.live.timing import StageTimes
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.signature import Preprocessing

GREEN = painted(np.full((32, 48), 2))
WAIT = 10.0


class Results(Handoff):
    """Where results go; says when the first has come."""

    def __init__(self):
        super().__init__(9, drop=False)
        self.came, self.packets = threading.Event(), []

    def put(self, packet):
        self.packets.append(packet)
        self.came.set()
        return super().put(packet)


class OneFrameInTheDevice:
    """A device with one frame in it, in a call that returns when `let_go` is set; and what becomes of the frame."""

    def __init__(self):
        self.entered, self.let_go = threading.Event(), threading.Event()
        self.captured, self.results, self.errors = Handoff(1, drop=False), Results(), []
        self.replacements = []
        wiring = Wiring(captured=self.captured, results=self.results, times=StageTimes(), fail=self.errors.append)
        self.inference = OneDevice(self.held(), self.replace, wiring)
        packet = self.inference.take()
        packet.image = GREEN
        self.inference.fill(packet)
        self.captured.put(packet)
        self.captured.close()
        self.inference.start()
        assert self.entered.wait(WAIT)

    def held(self):
        segmenter = Segmenter(colour_model())
        invoke = segmenter.invoke

        def wait_and_invoke():
            self.entered.set()
            assert self.let_go.wait(WAIT)
            invoke()

        segmenter.invoke = wait_and_invoke
        return segmenter

    def replace(self, reason):
        self.replacements.append(reason)
        return Segmenter(colour_model())

    def end(self):
        for thread in self.inference._threads:
            thread.join(WAIT)
        assert not self.inference.alive
        assert self.errors == []
        assert self.results.finished is False  # there is a result, and no more will come
        assert [int(packet.label_map[0, 0]) for packet in self.results.packets] == [2]


def test_a_call_that_returns_while_it_is_being_given_up_leaves_one_result(monkeypatch):
    """The watch has read the clock and found the call too long; before it acts on that, the call returns."""
    run = OneFrameInTheDevice()

    def clock():
        if threading.current_thread() is threading.main_thread():  # the watch, between its question and its decision
            run.let_go.set()
            run.results.came.wait(0.5)  # in vain: the call's thread must wait for the decision
        return monotonic() + (HANG_SECONDS + 1) * (threading.current_thread() is threading.main_thread())

    monkeypatch.setattr(device, "monotonic", clock)
    run.inference.watch()
    run.end()
    assert len(run.replacements) == 1


def test_a_call_that_returns_before_it_is_given_up_keeps_its_frame(monkeypatch):
    run = OneFrameInTheDevice()
    run.let_go.set()
    assert run.results.came.wait(WAIT)
    monkeypatch.setattr(device, "monotonic", lambda: monotonic() + HANG_SECONDS + 1)
    run.inference.watch()
    run.end()
    assert run.replacements == []


def test_a_call_that_returns_after_it_was_given_up_leaves_no_result(monkeypatch):
    run = OneFrameInTheDevice()
    monkeypatch.setattr(device, "monotonic", lambda: monotonic() + HANG_SECONDS + 1)
    run.inference.watch()
    assert run.results.came.wait(WAIT)
    monkeypatch.undo()
    run.let_go.set()
    run.end()
    assert run.replacements == [f"no result for {HANG_SECONDS:.0f} s"]


def test_a_frame_staged_for_a_network_that_was_replaced_is_staged_again():
    """The replacement takes bytes like the first network's, and means so faint colours by them that all is grey."""
    first, second = (
        Segmenter(colour_model(input_type=np.int8), preprocessing=Preprocessing(std=std)) for std in (128.0, 10_000.0)
    )

    def fails():
        raise DelegateError("unplugged")

    first.invoke = fails
    notebook = Notebook()
    Pipeline(first, ListSource([GREEN] * 8), ListSource, replace=lambda reason: second).run([notebook])
    assert [int(label_map.max()) for _, _, label_map in notebook.results] == [0] * 8


@pytest.mark.parametrize("where", ["source", "network", "output"])
def test_an_error_of_any_kind_on_any_thread_ends_the_run_with_that_error(where):
    """Not with "end of source", as if all had gone well, and not never."""

    def breaks(*_):
        raise ZeroDivisionError(where)

    source, notebook, segmenter = ListSource([GREEN] * 3), Notebook(), Segmenter(colour_model())
    if where == "source":
        source.read = breaks
    elif where == "output":
        notebook.write = breaks
    replace = None
    if where == "network":
        segmenter.invoke = breaks
        replace = lambda reason: segmenter  # noqa: E731
    pipeline = Pipeline(segmenter, source, ListSource, replace=replace)
    errors = []

    def run():
        try:
            pipeline.run([notebook])
        except ZeroDivisionError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(WAIT)
    assert errors == [where]
    assert pipeline.stats().ended == f"error: {where}"
