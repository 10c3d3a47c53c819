"""The mark inside a `.tflite` file's graph that says: a card follows. Without it a lost card would go unnoticed.

It stands behind the flatbuffer's eight bytes of head, where no damage to the card and the end of the graph reaches. All
offsets in a flatbuffer are relative but the first, that of the root table: so the mark moves everything behind it by 64
bytes, which keeps every alignment, changes four bytes, and `unmarked` gives back exactly what was there. Some writers
put weights behind the flatbuffer, where `Buffer.offset` counts from the file's beginning: such a graph stays unmarked.
"""

from __future__ import annotations

import struct

MARK = b"edgeseg: a card follows this graph"
_BLOCK = MARK.ljust(64, b"\0")
_HEAD = 8  # offset of the root table, identifier


def marked(graph: bytes) -> bytes:
    """Returns a graph with the mark; as it is where it has the mark, is no `.tflite` flatbuffer, or must not be moved.

    Args:
        graph: A `.tflite` flatbuffer without a card behind it.
    """
    if graph[4:_HEAD] != b"TFL3" or is_marked(graph):
        return graph
    (root,) = struct.unpack_from("<I", graph)
    if not _HEAD <= root < len(graph) <= 0x7FFFFFFF - len(_BLOCK) or _has_weights_behind(graph, root):
        return graph
    return struct.pack("<I", root + len(_BLOCK)) + graph[4:_HEAD] + _BLOCK + graph[_HEAD:]


def _has_weights_behind(graph: bytes, root: int) -> bool:
    """Whether a buffer's data lies outside the flatbuffer (`Buffer.offset` in TFLite's schema)."""
    try:
        buffers = _field(graph, root, 4)
        if buffers is None:
            return False
        vector = buffers + _number(graph, "<I", buffers)
        for place in range(vector + 4, vector + 4 + 4 * _number(graph, "<I", vector), 4):
            offset = _field(graph, place + _number(graph, "<I", place), 1)
            if offset is not None and _number(graph, "<Q", offset) > 1:  # 1 is what writers put for "to be filled in"
                return True
    except struct.error:  # damaged: whatever is done to it, it is refused later
        return False
    return False


def _field(graph: bytes, table: int, number: int) -> int | None:
    """Returns where a table's field is; None if it is left out."""
    layout = table - _number(graph, "<i", table)
    entry = 4 + 2 * number
    if entry + 2 > _number(graph, "<H", layout):
        return None
    return table + place if (place := _number(graph, "<H", layout + entry)) else None


def _number(graph: bytes, kind: str, place: int) -> int:
    if place < 0:  # `struct` would count from the end
        raise struct.error("before the beginning")
    value: int = struct.unpack_from(kind, graph, place)[0]
    return value


def unmarked(graph: bytes) -> bytes:
    """Returns a graph as it was before `marked`; as it is where it has no mark."""
    if not graph.startswith(_BLOCK, _HEAD):
        return graph
    (root,) = struct.unpack_from("<I", graph)
    return struct.pack("<I", root - len(_BLOCK)) + graph[4:_HEAD] + graph[_HEAD + len(_BLOCK) :]


def is_marked(model: bytes) -> bool:
    """Whether a file's beginning has the mark, be it damaged elsewhere or moved a little."""
    return MARK in model[:4096]
