"""Landing zone and obstacle distances for an autopilot, as MAVLink: LANDING_TARGET and OBSTACLE_DISTANCE."""

from __future__ import annotations

import importlib
import math
import os
import time
from collections.abc import Callable
from typing import Any

from edgeseg.errors import MissingExtraError, OutputError, UsageError
from edgeseg.live.free_space import COLUMNS, CameraGeometry, FreeSpace
from edgeseg.live.outputs.base import Output, OutputContext, OutputKind
from edgeseg.live.packet import Packet

_SYSTEM = 1
_COMPONENT = 196  # MAV_COMP_ID_OBSTACLE_AVOIDANCE
_FRAME_BODY_FRD = 12
_LASER = 0
_UNKNOWN_CM = 65535
_NOTHING_IN_RANGE = 1  # cm beyond the greatest distance, as the message's definition says
_HEARTBEAT_SECONDS = 1.0


class MavlinkOutput(Output):
    """Sends MAVLink messages for every valid mask, and a heartbeat each second; see `Output`.

    While the source is lost nothing but the heartbeat is sent: the autopilot's own time-outs then apply.

    Args:
        address: As pymavlink takes it: udpout:HOST:PORT, tcp:HOST:PORT, /dev/ttyAMA0,921600.
        find: Gives what is free in a result.
        geometry: How the camera looks; an autopilot wants angles and metres.
        farthest: Metres beyond which nothing is told.

    Raises:
        MissingExtraError: pymavlink is not installed.
        OutputError: The address cannot be opened.
    """

    name = "MAVLink"

    def __init__(
        self, address: str, find: Callable[[Packet], FreeSpace], geometry: CameraGeometry, farthest: float = 50.0
    ) -> None:
        os.environ.setdefault("MAVLINK20", "1")
        try:
            mavutil = importlib.import_module("pymavlink.mavutil")
        except ModuleNotFoundError as error:
            raise MissingExtraError("pymavlink", "mavlink", "--mavlink") from error
        device, _, rate = address.partition(",")
        try:
            self._link: Any = mavutil.mavlink_connection(
                device, baud=int(rate or 115200), source_system=_SYSTEM, source_component=_COMPONENT, dialect="common"
            )
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "mavlink", "MAVLink over a serial line") from error
        except (OSError, ValueError, RuntimeError) as error:
            raise OutputError(
                f"cannot open MAVLink {address} ({error}): expected udpout:HOST:PORT, tcp:HOST:PORT or /dev/tty...,BAUD"
            ) from error
        self._constants = mavutil.mavlink
        self._find, self._geometry, self._farthest = find, geometry, farthest
        self._next_heartbeat = 0.0

    def write(self, packet: Packet) -> None:
        """Sends the messages of a result; see `Output`."""
        now = time.monotonic()
        try:
            if now >= self._next_heartbeat:
                self._next_heartbeat = now + _HEARTBEAT_SECONDS
                kind, autopilot = self._constants.MAV_TYPE_ONBOARD_CONTROLLER, self._constants.MAV_AUTOPILOT_INVALID
                self._link.mav.heartbeat_send(kind, autopilot, 0, 0, self._constants.MAV_STATE_ACTIVE)
            if packet.valid:
                self._send(self._find(packet), round(packet.captured * 1e6))
        except OSError as error:
            raise OutputError(f"MAVLink: {error.strerror or error}") from error

    def close(self) -> None:
        """Closes the link."""
        self._link.close()

    def _send(self, free: FreeSpace, stamp: int) -> None:
        circle = free.circle
        if circle is not None and circle.distance_m is not None:
            size = 2 * math.atan((circle.radius_m or 0.0) / circle.distance_m)
            angles = (math.radians(circle.angle_x or 0.0), math.radians(circle.angle_y or 0.0))
            self._link.mav.landing_target_send(stamp, 0, _FRAME_BODY_FRD, *angles, circle.distance_m, size, size)
        if free.columns_m is not None:
            limit = round(self._farthest * 100)
            distances = [min(round(metres * 100), limit + _NOTHING_IN_RANGE) if math.isfinite(metres)
                         else limit + _NOTHING_IN_RANGE for metres in free.columns_m]  # fmt: skip
            step = self._geometry.fov / COLUMNS
            self._link.mav.obstacle_distance_send(
                stamp, _LASER, distances, 0, 0, limit, step, -self._geometry.fov / 2 + step / 2, _FRAME_BODY_FRD
            )


def _open(address: str, context: OutputContext) -> Output:
    if context.find is None or context.geometry is None:
        raise UsageError("MAVLink tells metres to free ground: name its classes, the camera's height and field of view")
    return MavlinkOutput(address, context.find, context.geometry)


KIND = OutputKind(open=_open, argument="udpout:HOST:PORT|/dev/tty,BAUD")
