"""Reading a FlexBuffer, the schemaless sister of the flatbuffer, safely on damaged bytes.

The layout (https://flatbuffers.dev/internals/#flexbuffers): the last byte is the width of the root value in bytes, the
one before its packed type (type << 2 | log2 of the width of what it points to). Offsets point backwards. A vector is
its size, its elements, and a byte of packed type each; a map has before that the offset of its vector of sorted keys
and their width. Only what the Edge TPU compiler writes is read: maps, vectors, integers, strings and blobs.
"""

from __future__ import annotations

from typing import NoReturn

from edgeseg.errors import ModelFileError

_INT, _UINT, _STRING, _MAP, _VECTOR, _VECTOR_INT, _VECTOR_UINT, _BLOB = 1, 2, 5, 9, 10, 11, 12, 25
_MAX_ITEMS = 10_000

Value = int | memoryview | list["Value"] | dict[str, "Value"] | None


def parse(data: memoryview) -> Value:
    """Returns the value in a FlexBuffer; strings and blobs are views of `data`, types that are not read are None.

    Raises:
        ModelFileError: The bytes are damaged.
    """
    if len(data) < 3:
        _damaged(len(data))
    width = data[-1]
    if width not in (1, 2, 4, 8):
        _damaged(len(data) - 1)
    return _Reader(data).value(len(data) - 2 - width, width, data[-2], 0)


class _Reader:
    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._items = 0

    def value(self, position: int, width: int, packed: int, depth: int) -> Value:
        kind, child = packed >> 2, 1 << (packed & 3)
        if kind in (_INT, _UINT):
            return self._number(position, width, signed=kind == _INT)
        if kind not in (_STRING, _BLOB, _MAP, _VECTOR, _VECTOR_INT, _VECTOR_UINT):
            return None
        start = position - self._number(position, width)
        size = self._number(start - child, child)
        if kind in (_STRING, _BLOB):
            if not 0 <= start <= start + size <= len(self._data):
                _damaged(start)
            return self._data[start : start + size]
        self._items += size
        if self._items > _MAX_ITEMS or depth > 4:
            _damaged(start)
        if kind in (_VECTOR_INT, _VECTOR_UINT):
            return [self._number(start + i * child, child, signed=kind == _VECTOR_INT) for i in range(size)]
        values = [
            self.value(start + i * child, child, self._number(start + size * child + i, 1), depth + 1)
            for i in range(size)
        ]
        return dict(zip(self._keys(start, child, size), values, strict=True)) if kind == _MAP else values

    def _keys(self, start: int, width: int, size: int) -> list[str]:
        keys = start - 3 * width - self._number(start - 3 * width, width)
        step = self._number(start - 2 * width, width)
        if step not in (1, 2, 4, 8):
            _damaged(start)
        return [self._key(keys + i * step, step) for i in range(size)]

    def _key(self, position: int, width: int) -> str:
        start = position - self._number(position, width)
        if not 0 <= start < len(self._data):
            _damaged(start)
        return bytes(self._data[start : start + 64]).split(b"\0")[0].decode("utf-8", "replace")

    def _number(self, position: int, width: int, *, signed: bool = False) -> int:
        if not 0 <= position <= len(self._data) - width:
            _damaged(position)
        return int.from_bytes(self._data[position : position + width], "little", signed=signed)


def _damaged(position: int) -> NoReturn:
    raise ModelFileError(f"damaged Edge TPU package: it refers to its byte {position}; compile the model again")
