"""Free ground, by hand: shares, circles and distances that can be worked out on paper."""

import math
import socket

import numpy as np
import pytest
from tiny_models import CLASSES

from edgeseg.card import LabelSet
from edgeseg.errors import OutputError, UsageError
from edgeseg.live.describe import describe_mask
from edgeseg.live.free_space import COLUMNS, CameraGeometry, FreeSpaceFinder, free_space, safe_table
from edgeseg.live.packet import Packet

LABELS = LabelSet.from_names(CLASSES)
GREEN = safe_table(LABELS, ["green"])
DOWN = CameraGeometry(height=10, fov=90)


def scene(rows=100, columns=200):
    return np.zeros((rows, columns), np.uint8)


def find(label_map, geometry=None, frame_size=None):
    return free_space(label_map, frame_size or label_map.shape, GREEN, geometry)


def test_nothing_free():
    free = find(scene())
    assert (free.share, free.region_share, free.circle) == (0.0, 0.0, None)
    assert free.columns == (0.0,) * COLUMNS


def test_all_free():
    free = find(scene() + 2)
    assert (free.share, free.region_share) == (1.0, 1.0)
    assert free.region_box == (0.0, 0.0, 1.0, 1.0)
    assert free.columns == (1.0,) * COLUMNS
    assert free.circle.radius == pytest.approx(0.25, abs=0.01)  # half the height of a frame twice as wide
    assert free.circle.y == pytest.approx(0.5, abs=0.01)


def test_the_largest_of_two_regions():
    label_map = scene()
    label_map[10:20, 10:20] = 2
    label_map[40:80, 100:160] = 2
    free = find(label_map)
    assert free.region_share == pytest.approx(40 * 60 / 20_000)
    assert free.region_box == (0.5, 0.4, 0.8, 0.8)
    assert free.circle.radius == pytest.approx(20 / 200, abs=0.006)
    assert free.circle.y == pytest.approx(0.6, abs=0.01)
    assert 0.595 <= free.circle.x <= 0.705


def test_a_circle_is_a_circle_in_the_frame_whatever_the_networks_shape():
    """A square label map of a frame twice as wide as high: what is square in it is twice as wide in the frame."""
    label_map = scene(100, 100)
    label_map[40:60, 40:60] = 2
    free = find(label_map, frame_size=(1080, 2160))
    assert free.circle.radius == pytest.approx(0.05, abs=0.005)  # 20 % of the height, 10 % of the width


def test_metres_straight_down():
    """From 10 m with 90 degrees, the frame is 20 m wide: a circle of a tenth of the width has 2 m radius."""
    label_map = scene()
    label_map[40:80, 80:120] = 2
    circle = find(label_map, DOWN).circle
    assert circle.radius_m == pytest.approx(2.0, abs=0.12)
    assert circle.angle_x == pytest.approx(0, abs=1)
    assert circle.y == pytest.approx(0.6, abs=0.01)
    assert circle.angle_y == pytest.approx(math.degrees(math.atan(0.1)), abs=0.6)  # 1 m below the middle
    assert circle.distance_m == pytest.approx(math.hypot(10, 1), abs=0.1)
    assert find(label_map, DOWN).columns_m is None


def test_metres_ahead():
    """2 m above the ground, 45 degrees down, 90 degrees wide and high.

    The bottom edge is straight below, the middle 2 m ahead, the top at the horizon.
    """
    slanted = CameraGeometry(height=2, fov=90, pitch=45)
    blocked_at_half = scene(100, 100)
    blocked_at_half[50:] = 2
    middle = COLUMNS // 2
    assert find(blocked_at_half, slanted).columns_m[middle] == pytest.approx(2.0, abs=0.1)
    assert find(scene(100, 100), slanted).columns_m[middle] == pytest.approx(0.0, abs=0.1)
    assert find(scene(100, 100) + 2, slanted).columns_m[middle] > 100
    # To the side the same row is farther: 2.83 m down the axis, times the 45 degrees' tangent, next to 2 m ahead.
    assert find(blocked_at_half, slanted).columns_m[0] == pytest.approx(math.hypot(2, 2.83), abs=0.2)


def test_a_post_blocks_its_own_directions_only():
    label_map = scene(100, 144) + 2
    label_map[20:60, 70:74] = 0
    columns = find(label_map).columns
    assert columns[35] == columns[36] == pytest.approx(0.4, abs=0.02)
    assert columns[30] == columns[42] == 1.0


def test_unknown_class_and_impossible_cameras():
    with pytest.raises(UsageError, match="did you mean green"):
        safe_table(LABELS, ["gren"])
    nan, infinity = float("nan"), float("inf")
    for wrong in (
        {"height": 0, "fov": 60}, {"height": 1, "fov": 180}, {"height": 1, "fov": 60, "pitch": 91},
        {"height": nan, "fov": 60}, {"height": infinity, "fov": 60}, {"height": 1, "fov": nan},
        {"height": 1, "fov": 60, "pitch": nan},
    ):  # fmt: skip
        with pytest.raises(UsageError, match="expected"):
            CameraGeometry(**wrong)


@pytest.mark.parametrize(
    "arguments",
    [
        (scene().astype(np.float32), (100, 200), GREEN),
        (scene()[..., None], (100, 200), GREEN),
        (scene(), (0, 200), GREEN),
        (scene(), (100, 200), GREEN[:4]),
        (scene(), (100, 200), GREEN.astype(bool)),
    ],
    ids=["floats", "three axes", "no rows", "a short table", "a table of truth values"],
)
def test_what_is_no_label_map_size_or_table_is_refused(arguments):
    with pytest.raises(UsageError, match="expected"):
        free_space(*arguments)


def test_an_event_of_what_is_no_label_map_is_refused():
    with pytest.raises(UsageError, match="expected"):
        describe_mask(result(scene().astype(np.int64)), LABELS)


def result(label_map, index=0):
    packet = Packet(np.empty(0, np.uint8), np.empty((0, 0), np.uint8))
    packet.index, packet.captured, packet.ready = index, 1.0, 1.02
    packet.label_map, packet.image = label_map, np.zeros((*label_map.shape, 3), np.uint8)
    return packet


def test_events_tell_it():
    described = describe_mask(result(scene() + 2), LABELS, FreeSpaceFinder(LABELS, ["green"]))
    assert described["free"]["share"] == 1.0
    assert described["free"]["circle"]["radius"] == pytest.approx(0.25, abs=0.01)
    assert described["free"]["columns_m"] is None


def test_a_robot_command_line(cli, tmp_path):
    for words, message in (
        (("--mavlink", "udpout:127.0.0.1:1"), "need --safe"),
        (("--safe", "green", "--camera-height", "3"), "belong together"),
        (("--safe", "green", "--mavlink", "udpout:127.0.0.1:1"), "--mavlink needs --camera-height"),
        (("--safe", "gren", "--events", "-"), "unknown class 'gren'"),
    ):
        assert message in cli("run", robot_model(tmp_path), "--source", photo(tmp_path), "--headless", *words).error


def robot_model(folder):
    from tiny_models import colour_model

    from edgeseg.card import InputSpec, ModelCard, Recipe
    from edgeseg.card_file import attach

    card = ModelCard(
        name="colours", architecture="", backbone="", output_stride=0, input=InputSpec(height=32, width=48),
        labels=LABELS, recipe=Recipe(name="int8_ptq"),
    )  # fmt: skip
    (folder / "m.tflite").write_bytes(attach(colour_model(), card))
    return folder / "m.tflite"


def photo(folder):
    import cv2

    cv2.imwrite(str(folder / "p.png"), np.zeros((32, 48, 3), np.uint8))
    return folder / "p.png"


# === MAVLink, to a real pymavlink receiver ===


@pytest.fixture
def receiver(monkeypatch):
    pytest.importorskip("pymavlink", reason="needs pymavlink: the extra mavlink")
    monkeypatch.setenv("MAVLINK20", "1")
    from pymavlink import mavutil

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    link = mavutil.mavlink_connection(f"udpin:127.0.0.1:{port}", dialect="common")
    yield link, port
    link.close()


def test_an_autopilot_hears_of_landing_zone_and_obstacles(receiver):
    from edgeseg.live.outputs.mavlink import MavlinkOutput

    link, port = receiver
    geometry = CameraGeometry(height=10, fov=90, pitch=60)
    label_map = scene() + 2
    label_map[:, 150:] = 0
    output = MavlinkOutput(f"udpout:127.0.0.1:{port}", FreeSpaceFinder(LABELS, ["green"], geometry), geometry)
    output.write(result(label_map))
    free = find(label_map, geometry)
    assert link.recv_match(type="HEARTBEAT", blocking=True, timeout=5) is not None
    target = link.recv_match(type="LANDING_TARGET", blocking=True, timeout=5)
    assert math.degrees(target.angle_x) == pytest.approx(free.circle.angle_x, abs=0.01)
    assert math.degrees(target.angle_y) == pytest.approx(free.circle.angle_y, abs=0.01)
    assert target.distance == pytest.approx(free.circle.distance_m, rel=1e-4)
    obstacles = link.recv_match(type="OBSTACLE_DISTANCE", blocking=True, timeout=5)
    assert len(obstacles.distances) == COLUMNS
    assert obstacles.increment_f == pytest.approx(90 / 72)
    assert obstacles.angle_offset == pytest.approx(-45 + 90 / 144)
    assert obstacles.distances[10] == min(round(free.columns_m[10] * 100), 5001)
    assert obstacles.distances[70] < obstacles.distances[36]  # blocked right at the bottom
    output.close()


def test_an_invalid_mask_sends_no_target(receiver):
    from edgeseg.live.outputs.mavlink import MavlinkOutput

    link, port = receiver
    output = MavlinkOutput(f"udpout:127.0.0.1:{port}", FreeSpaceFinder(LABELS, ["green"], DOWN), DOWN)
    lost = result(scene())
    lost.valid, lost.label_map = False, None
    output.write(lost)
    assert link.recv_match(type="HEARTBEAT", blocking=True, timeout=5) is not None
    assert link.recv_match(type="LANDING_TARGET", blocking=True, timeout=0.3) is None
    output.close()


def test_an_address_that_cannot_be_opened():
    pytest.importorskip("pymavlink", reason="needs pymavlink: the extra mavlink")
    pytest.importorskip("serial", reason="needs pyserial: the extra mavlink")
    from edgeseg.live.outputs.mavlink import MavlinkOutput

    with pytest.raises(OutputError, match="cannot open MAVLink"):
        MavlinkOutput("/dev/absent,57600", FreeSpaceFinder(LABELS, ["green"], DOWN), DOWN)
