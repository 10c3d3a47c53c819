"""The mark inside a `.tflite` file's graph that says: a card follows. Without it a lost card would go unnoticed.

It stands behind the flatbuffer's eight bytes of head, where no damage to the card and the end of the graph reaches. All
offsets in a flatbuffer are relative but the first, that of the root table: so the mark moves everything behind it by 64
bytes, which keeps every alignment, changes four bytes, and `unmarked` gives back exactly what was there.
"""

from __future__ import annotations

import struct

MARK = b"edgeseg: a card follows this graph"
_BLOCK = MARK.ljust(64, b"\0")
_HEAD = 8  # offset of the root table, identifier


def marked(graph: bytes) -> bytes:
    """Returns a graph with the mark; as it is where it has the mark, or is no `.tflite` flatbuffer.

    Args:
        graph: A `.tflite` flatbuffer without a card behind it.
    """
    if graph[4:_HEAD] != b"TFL3" or is_marked(graph):
        return graph
    (root,) = struct.unpack_from("<I", graph)
    if not _HEAD <= root < len(graph) <= 0x7FFFFFFF - len(_BLOCK):  # larger files hold absolute offsets
        return graph
    return struct.pack("<I", root + len(_BLOCK)) + graph[4:_HEAD] + _BLOCK + graph[_HEAD:]


def unmarked(graph: bytes) -> bytes:
    """Returns a graph as it was before `marked`; as it is where it has no mark."""
    if not graph.startswith(_BLOCK, _HEAD):
        return graph
    (root,) = struct.unpack_from("<I", graph)
    return struct.pack("<I", root - len(_BLOCK)) + graph[4:_HEAD] + graph[_HEAD + len(_BLOCK) :]


def is_marked(model: bytes) -> bool:
    """Whether a file's beginning has the mark, be it damaged elsewhere or moved a little."""
    return MARK in model[:4096]
