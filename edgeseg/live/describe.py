"""The event of a mask: what a robot or a log wants to know of it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from edgeseg.arrays import check_label_map
from edgeseg.card import LabelSet
from edgeseg.live.free_space import FreeSpaceFinder
from edgeseg.live.outputs.base import Event
from edgeseg.live.packet import Packet


def describe_mask(packet: Packet, labels: LabelSet, find: FreeSpaceFinder | None = None) -> Event:
    """Describes a result.

    Args:
        packet: The result.
        labels: The classes.
        find: Adds `free`, what is free ground.

    Returns:
        {event: "mask", frame, valid, captured, ready, age_ms, classes {name: share of the area}, free}; without a valid
        mask {event: "mask", valid: false, reason}. Times are on the clock of `time.monotonic`, in seconds.

    Raises:
        UsageError: What should be a label map is none.
    """
    if not packet.valid or packet.label_map is None:
        return {"event": "mask", "valid": False, "reason": packet.reason, "ready": packet.ready}
    check_label_map(packet.label_map)
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
