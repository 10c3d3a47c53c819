"""The mark inside a `.tflite` file's graph that says: a card follows. Without it a lost card would go unnoticed.

The mark is the flatbuffer's own description (field 3 of `Model` in TFLite's schema). Offsets in a flatbuffer point
forwards, so a new string can stand at its end: the file grows by some 60 bytes, no byte but the four of one offset
changes, and `unmarked` gives back exactly what was there.
"""

from __future__ import annotations

import struct

MARK = b"edgeseg: a card follows this graph"
_DESCRIPTION_ENTRY = 4 + 2 * 3  # of field 3 in the root table's vtable
_ALIGNMENT = 16  # flatbuffers may hold 16-byte aligned data, and so may what is appended


def marked(graph: bytes) -> bytes:
    """Returns a graph with the mark as its description; as it is where it has the mark, or no description to replace.

    Args:
        graph: A `.tflite` flatbuffer without a card behind it.
    """
    place = _description(graph)
    if place is None or is_marked(graph):
        return graph
    (offset,) = struct.unpack_from("<I", graph, place)
    body = graph + bytes(-len(graph) % 4)
    body += struct.pack("<2I", offset, len(graph))  # what `unmarked` needs
    start = len(body)
    body += struct.pack("<I", len(MARK)) + MARK + b"\0"
    body += bytes(-len(body) % _ALIGNMENT)
    return body[:place] + struct.pack("<I", start - place) + body[place + 4 :]


def unmarked(graph: bytes) -> bytes:
    """Returns a graph as it was before `marked`; as it is where it has no mark."""
    place = _description(graph)
    if place is None:
        return graph
    (offset,) = struct.unpack_from("<I", graph, place)
    start = place + offset
    if graph[start + 4 : start + 4 + len(MARK)] != MARK or start < 8:
        return graph
    before, length = struct.unpack_from("<2I", graph, start - 8)
    return graph[:place] + struct.pack("<I", before) + graph[place + 4 : length]


def is_marked(model: bytes | memoryview) -> bool:
    """Whether the mark is anywhere in a file's bytes, be they damaged."""
    return MARK in bytes(model)


def _description(graph: bytes) -> int | None:
    """Returns where the root table keeps the offset of its description; None where there is none, or no flatbuffer."""
    try:
        (root,) = struct.unpack_from("<I", graph)
        vtable = root - struct.unpack_from("<i", graph, root)[0]
        if vtable < 0 or graph[4:8] != b"TFL3" or struct.unpack_from("<H", graph, vtable)[0] < _DESCRIPTION_ENTRY + 2:
            return None
        (inside,) = struct.unpack_from("<H", graph, vtable + _DESCRIPTION_ENTRY)
    except struct.error:
        return None
    place: int = root + inside
    return place if inside and place + 4 <= len(graph) else None
