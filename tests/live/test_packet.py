"""Handing packets from thread to thread."""

import threading

import numpy as np

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
