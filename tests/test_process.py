"""Settings of the process, wanted by several threads: first in, last out."""

import threading

import pytest

from edgeseg.process import SharedSetting


class Dial:
    """A setting of the process, at 8 unless somebody sets it."""

    def __init__(self):
        self.value = 8

    def set_to_one(self):
        before, self.value = self.value, 1

        def put_back():
            self.value = before

        return put_back


def test_the_first_to_leave_does_not_put_it_back_under_the_second():
    dial = Dial()
    setting = SharedSetting(dial.set_to_one)
    inside, may_leave, seen = threading.Event(), threading.Event(), []

    def first():
        with setting():
            inside.set()
            assert may_leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    with setting():
        seen.append(dial.value)
        may_leave.set()
        thread.join(10)
        seen.append(dial.value)
    assert seen == [1, 1]
    assert dial.value == 8
    with setting():  # and again
        assert dial.value == 1
    assert dial.value == 8


def test_an_error_puts_it_back():
    dial = Dial()
    with pytest.raises(ZeroDivisionError), SharedSetting(dial.set_to_one)():
        raise ZeroDivisionError
    assert dial.value == 8
