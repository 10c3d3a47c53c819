"""Redirecting the process's output: only where the program asked for it, and by one thread at a time."""

import os
import threading

import pytest
from tiny_models import colour_model

from edgeseg.runtime import quiet
from edgeseg.runtime.quiet import captured_output, captured_stderr, keep_logs_off_the_screen
from edgeseg.runtime.segmenter import Segmenter


@pytest.fixture
def asked():
    before = quiet._asked
    keep_logs_off_the_screen()
    yield
    keep_logs_off_the_screen(before)


@pytest.fixture
def unasked():
    before = quiet._asked
    keep_logs_off_the_screen(False)
    yield
    keep_logs_off_the_screen(before)


def say(line):
    os.write(2, f"{line}\n".encode())


def test_what_a_library_writes_is_taken_in(asked, capfd):
    with captured_stderr() as text:
        say("INFO: from C++")
        assert text() == "INFO: from C++\n"
    say("after")
    assert capfd.readouterr().err == "after\n"


def test_unasked_opening_a_network_leaves_stderr_alone(unasked, monkeypatch):
    """A program that uses edgeseg as a library may write there on another thread at the same time."""
    redirections = []
    monkeypatch.setattr(os, "dup2", lambda *descriptors: redirections.append(descriptors))
    Segmenter(colour_model()).invoke()
    assert redirections == []


def test_unasked_converting_leaves_both_alone(unasked, monkeypatch):
    tf_keras = pytest.importorskip("tf_keras")
    from edgeseg.card import InputSpec, Recipe
    from edgeseg.conversion.converter import run_converter

    image = tf_keras.Input((8, 8, 3), batch_size=1)
    network = tf_keras.Model(image, tf_keras.layers.Conv2D(2, 1)(image))
    redirections = []
    monkeypatch.setattr(os, "dup2", lambda *descriptors: redirections.append(descriptors))
    assert run_converter(network, Recipe(name="float32"), InputSpec(height=8, width=8), [])
    assert redirections == []


@pytest.mark.parametrize("capture", [captured_stderr, captured_output])
def test_unasked_lines_show_and_the_text_is_empty(unasked, capfd, capture):
    with capture() as text:
        say("seen")
        assert text() == ""
    assert capfd.readouterr().err == "seen\n"


@pytest.mark.parametrize("capture", [captured_stderr, captured_output])
def test_two_threads_leave_stderr_as_it_was(asked, capfd, capture):
    """The second wants to redirect while the first does: it waits, and neither puts the other's buffer back."""
    first_in, second_wants, took_in = threading.Event(), threading.Event(), {}

    def first():
        with capture() as text:
            first_in.set()
            second_wants.wait(10)
            say("of the first")
            took_in["first"] = text()

    def second():
        first_in.wait(10)
        second_wants.set()
        with capture() as text:
            threads[0].join(10)  # the first leaves while the second is inside, if it could come in before
            say("of the second")
            took_in["second"] = text()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert took_in == {"first": "of the first\n", "second": "of the second\n"}
    say("afterwards")
    assert capfd.readouterr().err == "afterwards\n"
