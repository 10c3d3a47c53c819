"""Reading any flatbuffer without its generated code, safely on damaged and on hostile bytes.

The layout (https://flatbuffers.dev/internals): the first four bytes are the offset of the root table. A table starts
with the signed distance back to its vtable, which holds its own size, the table's size, and one 16-bit offset a field
(0: absent, the default holds). Strings, vectors and sub-tables are stored as unsigned 32-bit offsets from where the
offset itself stands. All numbers are little-endian.

Every access is checked against the bounds, and what one file may cost is capped by a `Budget`: offsets can be made to
point anywhere, so a few bytes can describe a structure without end.
"""

from __future__ import annotations

import struct
from typing import NoReturn

from edgeseg.errors import ModelFileError, printable

MAX_TABLES = 50_000
MAX_NUMBERS = 1_000_000
MAX_TEXT = 8_000_000

_SIZES = {"b": 1, "B": 1, "?": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8, "d": 8}


class Budget:
    """What one file may still ask for: tables, decoded numbers, characters. Many times what real models need."""

    def __init__(self) -> None:
        self._left = {"tables": MAX_TABLES, "numbers": MAX_NUMBERS, "characters": MAX_TEXT}

    def spend(self, kind: str, amount: int) -> None:
        """Takes `amount` of `kind` out.

        Raises:
            ModelFileError: There is not so much left.
        """
        self._left[kind] -= amount
        if self._left[kind] < 0:
            raise ModelFileError(f"damaged model file: it describes more {kind} than any model has; get the file again")


class Table:
    """One table of a flatbuffer: its fields by number.

    Args:
        data: The whole flatbuffer.
        position: Where the table starts, bytes from the beginning.
        budget: Shared by all tables of one file.
    """

    def __init__(self, data: memoryview, position: int, budget: Budget) -> None:
        budget.spend("tables", 1)
        self._data = data
        self._position = position
        self._budget = budget
        self._vtable = position - self._unpack("i", position)
        self._vtable_size = self._unpack("H", self._vtable)
        if self._vtable_size < 4 or self._vtable_size % 2:
            self._damaged(self._vtable)

    def scalar(self, field: int, kind: str, default: int | float | bool = 0) -> int:
        """Returns an integer (or bool) field.

        Args:
            field: Its number in the schema, from 0.
            kind: Its `struct` format character.
            default: The schema's default, for a field that is absent.
        """
        position = self._field(field)
        return int(default if position is None else self._unpack(kind, position))

    def real(self, field: int, default: float = 0.0) -> float:
        """Returns a float32 field."""
        position = self._field(field)
        return default if position is None else float(self._unpack("f", position))

    def table(self, field: int) -> Table | None:
        """Returns a sub-table, or None where it is absent."""
        position = self._field(field)
        return None if position is None else Table(self._data, self._follow(position), self._budget)

    def tables(self, field: int) -> list[Table]:
        """Returns a vector of tables; empty where it is absent."""
        start, count = self._vector(field, 4)
        self._budget.spend("numbers", count)
        return [Table(self._data, self._follow(start + 4 * i), self._budget) for i in range(count)]

    def string(self, field: int) -> str:
        """Returns a string; empty where it is absent, bytes that are no text or steer a terminal replaced."""
        content = self.content(field)
        self._budget.spend("characters", len(content))
        return printable(bytes(content).decode("utf-8", "replace"), len(content))

    def content(self, field: int) -> memoryview:
        """Returns a vector of bytes as a view, not a copy; empty where it is absent."""
        start, count = self._vector(field, 1)
        return self._data[start : start + count]

    def contents(self, field: int) -> list[memoryview]:
        """Returns a vector of strings as views of their bytes; empty where it is absent."""
        start, count = self._vector(field, 4)
        self._budget.spend("numbers", count)
        return [self._bytes(self._follow(start + 4 * i)) for i in range(count)]

    def numbers(self, field: int, kind: str) -> tuple[int, ...]:
        """Returns a vector of integers; empty where it is absent."""
        return tuple(self._numbers(field, kind))

    def reals(self, field: int) -> tuple[float, ...]:
        """Returns a vector of float32; empty where it is absent."""
        return tuple(self._numbers(field, "f"))

    def has(self, field: int) -> bool:
        """Tells whether the field is there."""
        return self._field(field) is not None

    def _numbers(self, field: int, kind: str) -> tuple[int, ...]:
        start, count = self._vector(field, _SIZES[kind])
        self._budget.spend("numbers", count)
        return struct.unpack_from(f"<{count}{kind}", self._data, start)

    def _bytes(self, start: int) -> memoryview:
        size = int(self._unpack("I", start))
        if start + 4 + size > len(self._data):
            self._damaged(start)
        return self._data[start + 4 : start + 4 + size]

    def _field(self, field: int) -> int | None:
        entry = 4 + 2 * field
        if entry + 2 > self._vtable_size:
            return None
        offset = self._unpack("H", self._vtable + entry)
        return self._position + int(offset) if offset else None

    def _vector(self, field: int, item: int) -> tuple[int, int]:
        position = self._field(field)
        if position is None:
            return 0, 0
        start = self._follow(position)
        count = int(self._unpack("I", start))
        if start + 4 + count * item > len(self._data):
            self._damaged(start)
        return start + 4, count

    def _follow(self, position: int) -> int:
        return position + int(self._unpack("I", position))

    def _unpack(self, kind: str, position: int) -> int:
        if not 0 <= position <= len(self._data) - _SIZES[kind]:
            self._damaged(position)
        value: int = struct.unpack_from("<" + kind, self._data, position)[0]
        return value

    def _damaged(self, position: int) -> NoReturn:
        raise ModelFileError(
            f"damaged or cut-off model file: it refers to byte {position}, it has {len(self._data)}; get the file again"
        )


def root(data: memoryview) -> Table:
    """Returns the root table of a flatbuffer.

    Raises:
        ModelFileError: The bytes are too few or point outside themselves; so do all methods of the tables.
    """
    if len(data) < 8:
        raise ModelFileError(f"not a model file: {len(data)} bytes; expected a .tflite flatbuffer")
    return Table(data, struct.unpack_from("<I", data)[0], Budget())
