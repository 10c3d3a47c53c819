"""The event of a mask: what a robot or a log wants to know of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeseg.card import LabelSet
from edgeseg.live.free_space import CameraGeometry, FreeSpace, free_space, safe_table
from edgeseg.live.outputs.base import Event
from edgeseg.live.packet import Packet


class FreeSpaceFinder:
    """Finds what is free in results; computes it once for each, however many ask.

    Args:
        labels: The classes.
        safe: Names of the classes that are free ground.
        geometry: How the camera looks at the ground, if known.

    Raises:
        UsageError: A name is no class.
    """

    def __init__(self, labels: LabelSet, safe: Sequence[str], geometry: CameraGeometry | None = None) -> None:
        self._table, self._geometry = safe_table(labels, safe), geometry
        self._last: tuple[int, FreeSpace] | None = None

    def __call__(self, packet: Packet) -> FreeSpace:
        """Returns what is free in a valid result."""
        if packet.label_map is None or packet.image is None:
            raise ValueError("a result without a mask has no free space")
        if self._last is None or self._last[0] != packet.index:
            size = packet.image.shape[:2]
            found = free_space(packet.label_map, (size[0], size[1]), self._table, self._geometry)
            self._last = (packet.index, found)
        return self._last[1]


def describe_mask(packet: Packet, labels: LabelSet, find: FreeSpaceFinder | None = None) -> Event:
    """Describes a result.

    Args:
        packet: The result.
        labels: The classes.
        find: Adds `free`, what is free ground.

    Returns:
        {event: "mask", frame, valid, captured, ready, age_ms, classes {name: share of the area}, free}; without a valid
        mask {event: "mask", valid: false, reason}. Times are on the clock of `time.monotonic`, in seconds.
    """
    if not packet.valid or packet.label_map is None:
        return {"event": "mask", "valid": False, "reason": packet.reason, "ready": packet.ready}
    counts = np.bincount(packet.label_map.ravel(), minlength=256)
    total = packet.label_map.size
    described: dict[str, Any] = {
        "event": "mask",
        "valid": True,
        "frame": packet.index,
        "captured": packet.captured,
        "ready": packet.ready,
        "age_ms": (packet.ready - packet.captured) * 1000,
        "classes": {
            name: round(int(count) / total, 5)
            for name, count in zip(labels.names, counts[: labels.num_classes], strict=True)
            if count
        },
    }
    if find is not None:
        described["free"] = _finite(dataclasses.asdict(find(packet)))
    return described


def _finite(value: Any) -> Any:
    """JSON has no infinity: what is farther than can be told becomes null. Lengths and shares keep five digits."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value
