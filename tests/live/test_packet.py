"""Handing packets from thread to thread."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from edgeseg.live import packet as packet_module
from edgeseg.live.packet import Handoff, Packet


def packets(count):
    made = [Packet(np.empty(0, np.uint8), np.empty((0, 0), np.uint8)) for _ in range(count)]
    for index, packet in enumerate(made):
        packet.index = index
    return made


def test_latest_only():
    handoff = Handoff(1, drop=True)
    first, second = packets(2)
    assert handoff.put(first) is None
    assert handoff.put(second) is first
    assert handoff.get(0) is second
    assert handoff.get(0) is None


def test_a_full_queue_makes_the_giver_wait():
    handoff = Handoff(1, drop=False)
    first, second = packets(2)
    handoff.put(first)
    giver = threading.Thread(target=handoff.put, args=(second,))
    giver.start()
    giver.join(0.05)
    assert giver.is_alive()
    assert handoff.get(1) is first
    giver.join(1)
    assert handoff.get(1) is second


def test_offer_never_waits():
    handoff = Handoff(1, drop=False)
    first, second = packets(2)
    assert handoff.offer(first)
    assert not handoff.offer(second)
    handoff.close()
    assert not handoff.offer(second)


def test_closing_gives_back_what_cannot_be_delivered_and_keeps_what_waits():
    handoff = Handoff(1, drop=False)
    first, second = packets(2)
    handoff.put(first)
    handoff.close()
    assert handoff.put(second) is second
    assert not handoff.finished
    assert handoff.get(0) is first
    assert handoff.finished


def test_a_fresh_packet_is_valid_and_holds_nothing_but_its_buffers():
    tensor, labels = np.empty(3, np.uint8), np.empty((2, 2), np.uint8)
    packet = Packet(tensor, labels)
    assert packet.tensor is tensor
    assert packet.labels is labels
    assert (packet.image, packet.label_map, packet.overlay, packet.lane, packet.staged_for) == (None,) * 5
    assert (packet.index, packet.name) == (-1, "")
    assert (packet.captured, packet.ready) == (0, 0)
    assert (packet.capture_s, packet.preprocess_s, packet.invoke_s) == (0, 0, 0)
    assert packet.valid is True
    assert packet.reason == ""


def test_as_many_wait_as_there_is_room_for_and_come_out_in_order():
    for drop in (True, False):
        handoff = Handoff(2, drop=drop)
        first, second, third = packets(3)
        assert handoff.drops is drop
        assert handoff.put(first) is None
        assert handoff.offer(second)
        assert handoff.offer(third) is False
        assert (handoff.get(0), handoff.get(0), handoff.get(0)) == (first, second, None)


class Taker:
    """Somebody who waits for a packet on a thread of their own."""

    def __init__(self, handoff, timeout=60):
        self.got = []
        self.thread = threading.Thread(target=lambda: self.got.append(handoff.get(timeout)), daemon=True)
        self.thread.start()
        end = time.monotonic() + 10
        while not handoff.awaited:
            assert time.monotonic() < end, "nobody seems to wait"
            time.sleep(0.001)

    def result(self):
        self.thread.join(10)
        assert not self.thread.is_alive(), "nobody woke the taker"
        return self.got[0]


@pytest.mark.parametrize("way", ["put", "offer"])
def test_who_waits_is_seen_and_woken_by_a_packet(way):
    handoff = Handoff(1, drop=True)
    for packet in packets(2):
        assert not handoff.awaited
        taker = Taker(handoff)
        getattr(handoff, way)(packet)
        assert taker.result() is packet
    assert not handoff.awaited
    assert not handoff.finished


def test_a_short_wait_is_a_wait(monkeypatch):
    monkeypatch.setattr(packet_module, "time", SimpleNamespace(monotonic=lambda: 100.0))
    handoff = Handoff(1, drop=True)
    (packet,) = packets(1)
    taker = Taker(handoff, timeout=0.5)
    handoff.put(packet)
    assert taker.result() is packet


def test_closing_wakes_who_waits_to_take():
    handoff = Handoff(1, drop=True)
    taker = Taker(handoff)
    handoff.close()
    assert taker.result() is None
    assert not handoff.awaited


def test_closing_wakes_who_waits_to_give():
    handoff = Handoff(1, drop=False)
    first, second = packets(2)
    handoff.put(first)
    back = []
    giver = threading.Thread(target=lambda: back.append(handoff.put(second)), daemon=True)
    giver.start()
    giver.join(0.05)
    handoff.close()
    giver.join(10)
    assert back == [second]


def test_a_get_comes_back_without_a_packet_when_its_time_is_over():
    handoff = Handoff(1, drop=True)
    got = []
    taker = threading.Thread(target=lambda: got.append(handoff.get(0.02)), daemon=True)
    taker.start()
    taker.join(10)
    assert got == [None]
    assert not handoff.awaited
    assert not handoff.finished
