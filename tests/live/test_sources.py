"""Sources: what a name means, what is read, and one clear line for what cannot be."""

import io
import sys
import time

import cv2
import numpy as np
import pytest
from tiny_models import painted

from edgeseg.errors import DataError, SourceError, UsageError
from edgeseg.live.sources import SourceOptions, describe_source, open_source
from edgeseg.live.sources.csi import jetson_pipeline


@pytest.fixture
def video(tmp_path):
    """Twelve frames at 20 a second; frame i is class i % 4."""
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (48, 32))
    for index in range(12):
        writer.write(painted(np.full((32, 48), index % 4)))
    writer.release()
    return path


def read_all(source):
    frames = []
    while (read := source.read(None)) is not None:
        frames.append(read[0])
    source.close()
    return frames


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("0", "camera"),
        ("/dev/video2", "camera"),
        ("csi", "csi"),
        ("csi:1", "csi"),
        ("rtsp://host/a", "stream"),
        ("http://host/a.mjpg", "stream"),
        ("-", "raw"),
        ("videotestsrc ! appsink", "gstreamer"),
        ("photos/*.jpg", "images"),
        ("photo.png", "images"),
    ],
)
def test_what_a_name_means(name, kind):
    assert describe_source(name) == kind


def test_a_video_gives_every_frame(video):
    source = open_source(str(video))
    assert (source.live, source.fps) == (False, 20.0)
    frames = read_all(source)
    assert [int(frame[16, 24].argmax()) for frame in frames[1:4]] == [2, 1, 0]  # red, green, blue
    assert len(frames) == 12


def test_a_video_reads_into_the_array_it_is_given(video):
    source = open_source(str(video))
    first, _ = source.read(None)
    again, _ = source.read(first)
    assert again is first


def test_a_video_in_real_time(video):
    source = open_source(str(video), SourceOptions(realtime=True))
    assert source.live
    stamps = []
    while (read := source.read(None)) is not None:
        assert read[1] <= time.monotonic()
        stamps.append(read[1])
    due = stamps[0] + np.arange(12) / 20
    assert (np.array(stamps) >= due - 1e-6).all()  # a busy machine makes it late, never early


def test_a_folder_gives_its_images_in_order(tmp_path):
    for name in ("b.png", "a.jpg", "c.txt"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("not an image")
        else:
            cv2.imwrite(str(tmp_path / name), painted(np.zeros((8, 8), int)))
    source = open_source(str(tmp_path))
    names = []
    while source.read(None) is not None:
        names.append(source.frame_name())
    assert names == ["a", "b"]
    assert len(read_all(open_source(str(tmp_path / "*.png")))) == 1
    assert len(read_all(open_source(str(tmp_path / "b.png")))) == 1


def test_raw_frames_on_stdin(monkeypatch):
    frames = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(frames.tobytes())))
    read = read_all(open_source("-", SourceOptions(size=(4, 6))))
    np.testing.assert_array_equal(read, frames)


def test_raw_frames_that_end_in_the_middle(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bytes(100))))
    source = open_source("-", SourceOptions(size=(4, 6)))
    source.read(None)
    with pytest.raises(SourceError, match="inside a frame"):
        source.read(None)


def test_raw_frames_need_a_size():
    with pytest.raises(UsageError, match="--size"):
        open_source("-")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("97", SourceError, "no camera /dev/video97"),
        ("/dev/video98", SourceError, "no camera /dev/video98"),
        ("absent.mp4", SourceError, "no such file"),
        ("absent.png", SourceError, "no such file"),
        ("absent/*.png", DataError, "holds no images"),
        ("rtsp://127.0.0.1:9/x", SourceError, "cannot open stream"),
    ],
)
def test_what_is_not_there(name, error, message, capfd):
    with pytest.raises(error, match=message) as caught:
        open_source(name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_file_that_is_no_video(tmp_path, capfd):
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(SourceError, match="cannot be read as a video"):
        open_source(str(tmp_path / "text.mp4"))
    assert capfd.readouterr().err == ""


def test_a_folder_without_images(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        open_source(str(tmp_path))


def test_a_stream_keeps_its_password_to_itself():
    with pytest.raises(SourceError) as caught:
        open_source("rtsp://user:secret@127.0.0.1:9/x")
    assert "secret" not in str(caught.value)


@pytest.mark.skipif("GStreamer:                   YES" in cv2.getBuildInformation(), reason="this OpenCV has GStreamer")
def test_without_gstreamer_the_message_says_what_to_do():
    with pytest.raises(SourceError, match="python3-opencv"):
        open_source("videotestsrc ! appsink")


def test_the_jetson_pipeline_keeps_the_newest_frame():
    pipeline = jetson_pipeline(1, (1080, 1920), 60)
    assert "sensor-id=1" in pipeline
    assert "width=1920, height=1080, framerate=60/1" in pipeline
    assert pipeline.endswith("appsink drop=true max-buffers=1 sync=false")
