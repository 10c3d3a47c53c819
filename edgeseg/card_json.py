"""The records of `edgeseg.card` as JSON: written plainly, read back with every field checked."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any, Literal, TypeVar

from edgeseg.card import CARD_FORMAT
from edgeseg.errors import ModelFileError, UsageError, quoted

T = TypeVar("T")


def to_json(record: Any) -> str:
    """Turns any record of `edgeseg.card` into a JSON object."""
    return json.dumps(dataclasses.asdict(record), indent=1)


def from_json(kind: type[T], text: str | bytes) -> T:
    """Reads a record back.

    Args:
        kind: The record's class.
        text: What `to_json` wrote.

    Raises:
        ModelFileError: The text is not such a record, or a newer edgeseg wrote it.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"the card is not JSON ({error}): get the file again") from error
    written = value.get("format", CARD_FORMAT) if isinstance(value, dict) else CARD_FORMAT
    if isinstance(written, int) and written > CARD_FORMAT:
        raise ModelFileError(
            f"the card has format {quoted(written)}, this edgeseg reads up to {CARD_FORMAT}: upgrade edgeseg"
        )
    return typing.cast(T, _decode(kind, value, kind.__name__))


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        fitting = [a for a in arguments if isinstance(value, list) == (typing.get_origin(a) is tuple)]
        return _decode((fitting or arguments)[0], value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ModelFileError(f"the card's {where} is {type(value).__name__}, expected a list")
        item = arguments[:1] * len(value) if Ellipsis in arguments else arguments
        if len(item) != len(value):
            raise ModelFileError(f"the card's {where} has {len(value)} items, expected {len(item)}")
        return tuple(_decode(k, v, where) for k, v in zip(item, value, strict=True))
    if origin is Literal:
        if value not in arguments:
            raise ModelFileError(
                f"the card's {where} is {quoted(value)}, expected one of {', '.join(map(repr, arguments))}"
            )
        return value
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ModelFileError(f"the card's {where} is {type(value).__name__}, expected an object")
        hints = typing.get_type_hints(kind)
        fields = {f.name: f for f in dataclasses.fields(kind)}
        missing = [n for n, f in fields.items() if n not in value and f.default is dataclasses.MISSING]
        if missing:
            raise ModelFileError(f"the card's {where} lacks {', '.join(missing)}")
        known = {n: _decode(hints[n], v, f"{where}.{n}") for n, v in value.items() if n in fields}
        try:
            return typing.cast(Any, kind)(**known)
        except UsageError as error:
            raise ModelFileError(f"the card's {where}: {error}") from error
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise ModelFileError(f"the card's {where} is {quoted(value)}, too large a number") from error
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ModelFileError(f"the card's {where} is {type(value).__name__}, expected {kind.__name__}")
    return value
