"""Outputs: what they write can be read back, and what cannot be written is said before anything runs."""

import json
import os
import socket

import cv2
import numpy as np
import pytest
from tiny_models import CLASSES, painted

from edgeseg.card import LabelSet
from edgeseg.errors import OutputError, UsageError
from edgeseg.image import palette, read_label_map, resize_label_map
from edgeseg.live.describe import describe_mask
from edgeseg.live.outputs import video
from edgeseg.live.outputs.events import EventLines
from edgeseg.live.outputs.labels import LabelFolder
from edgeseg.live.outputs.video import VideoRecording
from edgeseg.live.overlay import Overlay
from edgeseg.live.packet import Packet

LABELS = LabelSet.from_names(CLASSES)


def packet(index=0, label_map=None, image=None, ready=0.0, name="", valid=True):
    made = Packet(np.empty(0, np.uint8), np.empty((0, 0), np.uint8))
    made.index, made.name, made.valid, made.ready = index, name, valid, ready
    made.label_map = np.zeros((8, 12), np.uint8) if label_map is None else np.asarray(label_map, np.uint8)
    made.image = painted(np.zeros((16, 24), int)) if image is None else image
    made.overlay = made.image
    return made


def decode(path):
    """All frames of a video."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames, capture.get(cv2.CAP_PROP_FPS)


# === Label maps ===


def test_label_maps_have_the_sources_size_and_order(tmp_path):
    folder = LabelFolder(tmp_path / "masks")
    halves = np.repeat([[0, 3]], 8, 0).repeat(6, 1)
    folder.write(packet(0, halves, name="b"))
    folder.write(packet(1, np.ones((8, 12)), name="a"))
    assert [path.name for path in sorted((tmp_path / "masks").iterdir())] == ["000000_b.png", "000001_a.png"]
    np.testing.assert_array_equal(read_label_map(tmp_path / "masks/000000_b.png"), halves.repeat(2, 0).repeat(2, 1))


def test_an_invalid_mask_is_not_written(tmp_path):
    folder = LabelFolder(tmp_path)
    folder.write(packet(valid=False))
    assert list(tmp_path.iterdir()) == []


# === Video ===


@pytest.mark.parametrize("name", ["overlay.mp4", "overlay.avi", "overlay.mkv"])
def test_a_recording_of_a_file_has_every_frame_and_its_rate(tmp_path, name):
    recording = VideoRecording(tmp_path / name, fps=12.0, live=False)
    for index in range(9):
        recording.write(packet(index, image=painted(np.full((32, 48), index % 4))))
    recording.close()
    frames, fps = decode(tmp_path / name)
    assert (len(frames), fps) == (9, 12.0)
    assert frames[1][16, 24].argmax() == 2  # red
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_live_recording_keeps_real_time(tmp_path):
    """Images at 0, 0.5 and 1 s at 10 frames a second: 11 frames."""
    recording = VideoRecording(tmp_path / "live.avi", fps=10.0, live=True)
    for index in range(3):
        recording.write(packet(index, ready=100 + index / 2))
    recording.close()
    assert len(decode(tmp_path / "live.avi")[0]) == 11


def test_a_source_faster_than_the_recording_is_thinned(tmp_path):
    recording = VideoRecording(tmp_path / "live.avi", fps=10.0, live=True)
    for index in range(100):
        recording.write(packet(index, ready=100 + index / 100))
    recording.close()
    assert len(decode(tmp_path / "live.avi")[0]) == 10


def test_a_full_disk_ends_the_recording_and_leaves_it_playable(tmp_path, monkeypatch):
    recording = VideoRecording(tmp_path / "full.mp4", fps=10.0, live=False)
    for index in range(8):
        if index == 7:
            monkeypatch.setattr(video, "RESERVE_BYTES", 1 << 62)
            with pytest.raises(OutputError, match="disk full"):
                recording.write(packet(index))
        else:
            recording.write(packet(index))
    recording.close()
    assert len(decode(tmp_path / "full.mp4")[0]) == 7


def test_images_of_other_sizes_are_fitted_to_the_first(tmp_path):
    recording = VideoRecording(tmp_path / "mixed.avi", fps=None, live=False)
    recording.write(packet(0, image=painted(np.ones((32, 48), int))))
    recording.write(packet(1, image=painted(np.ones((64, 64), int))))
    recording.close()
    frames, _ = decode(tmp_path / "mixed.avi")
    assert [frame.shape for frame in frames] == [(32, 48, 3)] * 2


def test_a_recording_that_cannot_be_is_refused_before_the_run(tmp_path):
    with pytest.raises(OutputError, match=r"ends in \.mp4"):
        VideoRecording(tmp_path / "overlay.xyz", fps=None, live=False)
    with pytest.raises(OutputError, match="it is a folder"):
        (tmp_path / "folder.mp4").mkdir()
        VideoRecording(tmp_path / "folder.mp4", fps=None, live=False)
    with pytest.raises(OutputError, match="cannot write"):
        VideoRecording("/proc/nothing/overlay.mp4", fps=None, live=False)


# === Events ===


def test_events_are_json_lines(tmp_path):
    lines = EventLines(str(tmp_path / "events.jsonl"), lambda result: describe_mask(result, LABELS))
    lines.write(packet(4, np.repeat([[0, 3]], 8, 0).repeat(6, 1)))
    lines.event({"event": "lost", "valid": False})
    lines.write(packet(5, valid=False))
    lines.close()
    mask, lost, invalid = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    assert (mask["event"], mask["valid"], mask["frame"]) == ("mask", True, 4)
    assert mask["classes"] == {"grey": 0.5, "blue": 0.5}
    assert lost["event"] == "lost"
    assert (invalid["event"], invalid["valid"]) == ("mask", False)
    assert "classes" not in invalid


def test_events_over_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        lines = EventLines(f"udp://127.0.0.1:{receiver.getsockname()[1]}", lambda result: {"event": "mask"})
        lines.write(packet())
        assert json.loads(receiver.recv(65536)) == {"event": "mask"}
        lines.close()


def test_nobody_listening_on_udp_does_not_stop_the_run():
    lines = EventLines("udp://127.0.0.1:9", lambda result: {"event": "mask"})
    for _ in range(3):
        lines.write(packet())
    lines.close()


@pytest.mark.parametrize("where", ["udp://127.0.0.1", "udp://:9000"])
def test_an_incomplete_address(where):
    with pytest.raises(UsageError, match="udp://HOST:PORT"):
        EventLines(where, lambda result: {})


def test_events_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        EventLines("/proc/nothing/events.jsonl", lambda result: {})
    with pytest.raises(OutputError, match="cannot write events"):
        EventLines(str(tmp_path), lambda result: {})


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_ends_the_events():
    lines = EventLines("/dev/full", lambda result: {"event": "mask"})
    with pytest.raises(OutputError, match="No space left"):
        lines.write(packet())
    lines.close()


# === Overlay ===


def test_the_overlay_is_half_frame_half_colour():
    frame = np.full((40, 60, 3), 100, np.uint8)
    label_map = np.zeros((4, 6), np.uint8)
    label_map[:, 3:] = 1
    shown = Overlay(LABELS).render(frame, label_map)
    blue_green_red = LABELS.colors[1][::-1]
    np.testing.assert_array_equal(shown[20, 10], (50, 50, 50))  # class 0 is black
    np.testing.assert_array_equal(shown[20, 50], [50 + value // 2 for value in blue_green_red])
    np.testing.assert_array_equal(shown[:, 29], np.full((40, 3), 50))  # the outline is where the map has it
    assert (frame == 100).all()


@pytest.mark.parametrize("size", [(4, 6), (40, 60), (7, 11)])
def test_labels_of_any_size_cover_the_frame(size):
    shown = Overlay(LABELS).render(np.zeros((40, 60, 3), np.uint8), np.full(size, 2, np.uint8))
    assert (shown == shown[0, 0]).all()
    assert shown[0, 0].any()


@pytest.mark.parametrize("size", [(13, 17), (64, 96), (333, 129)])
def test_colours_lie_where_the_resized_label_map_has_them(size):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (250, 190, 3), np.uint8)
    label_map = rng.integers(0, LABELS.num_classes, size, np.uint8)
    expected = (frame >> 1) + (palette(LABELS) >> 1)[resize_label_map(label_map, 250, 190)]
    np.testing.assert_array_equal(Overlay(LABELS).render(frame, label_map), expected)


def test_the_line_and_the_legend_are_drawn():
    frame = np.full((240, 320, 3), 100, np.uint8)
    label_map = np.zeros((24, 32), np.uint8)
    plain = Overlay(LABELS).render(frame, label_map).copy()
    with_line = Overlay(LABELS).render(frame, label_map, "12.3 ms").copy()
    with_legend = Overlay(LABELS, legend=True).render(frame, label_map).copy()
    assert (plain[:40] != with_line[:40]).any()
    assert (plain[120:] == with_line[120:]).all()
    assert (plain[-40:] != with_legend[-40:]).any()


def test_nothing_to_show_when_lost_before_the_first_frame():
    assert Overlay(LABELS).lost("no image") is None
