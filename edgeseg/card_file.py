"""Putting the card into a model's file, and reading it back with the file proved whole.

The card is a zip member, `edgeseg_card.json`. A `.keras` file is a zip archive already; to a `.tflite` file the
archive is appended, which TFLite runtimes skip (the TFLite metadata format stores label files the same way), so
`unzip -p model.tflite edgeseg_card.json` shows it anywhere. The card holds a digest of everything else in the file,
and the archive is written in one fixed form and compared with that form when read: a single flipped bit anywhere is
noticed before anything runs.

A file whose card is gone is told from one that never had one: by the mark inside the graph (`edgeseg.card_mark`), and
by whatever remains of the archive. `write_model(path, *read_model(path))` marks a file of before the mark.
"""

from __future__ import annotations

import dataclasses
import io
import lzma
import os
import struct
import zipfile
import zlib
from pathlib import Path

from edgeseg.card import ModelCard
from edgeseg.card_json import from_json, to_json
from edgeseg.card_mark import is_marked, marked
from edgeseg.errors import ModelFileError, quoted
from edgeseg.files import digest, write_bytes

MEMBER = "edgeseg_card.json"
_LOCAL_HEADER = b"PK\x03\x04"
_NAME_OFFSET = 30  # of the file name in a zip member's local header
_MOST_CARD = 4 << 20
_REMAINS = (MEMBER, *(f'"{key}": ' for key in ("graph_digest", "best_miou", "output_stride", "pixel_accuracy")))
"""What a damaged card of a `.tflite` file leaves somewhere in its last `_MOST_CARD` bytes."""
_REMAINS_IN_ARCHIVE = _REMAINS[:2]
"""Likewise of a `.keras` file, whose network's own configuration may have the other words."""


def attach(model: bytes, card: ModelCard) -> bytes:
    """Returns the model's bytes with `card` inside; one that is already there is replaced.

    Args:
        model: The content of a `.tflite` or `.keras` file. A graph without the mark gets it.
        card: What to store; its `graph_digest` is filled in here.
    """
    if _is_archive(model):
        members = _unpack(model)
        members.pop(MEMBER, None)
        card = dataclasses.replace(card, graph_digest=_members_digest(members))
        return _pack({**members, MEMBER: to_json(card).encode()})
    start = _card_start(model)
    graph = marked(model if start is None else model[:start])
    card = dataclasses.replace(card, graph_digest=digest(graph))
    return graph + _pack({MEMBER: to_json(card).encode()})


def detach(model: bytes) -> ModelCard | None:
    """Returns the card in a model's bytes, or None where there is none.

    Raises:
        ModelFileError: There is a card, and the file does not match it: it was damaged or edited.
    """
    start = 0 if _is_archive(model) else _card_start(model)
    if start is None or MEMBER.encode() not in model:
        _refuse_remains(model, _REMAINS if start is None else _REMAINS_IN_ARCHIVE)
        return None
    archive = model[start:]
    members = _unpack(archive)
    if _pack(members) != archive or MEMBER not in members:
        raise ModelFileError("the file is damaged: its card is not as edgeseg wrote it; copy or convert it again")
    card = from_json(ModelCard, members.pop(MEMBER))
    found = _members_digest(members) if _is_archive(model) else digest(memoryview(model)[:start])
    if found != card.graph_digest:
        raise ModelFileError(
            f"the file is damaged: its digest is {found[:12]}…, its card says {card.graph_digest[:12]}…; "
            "copy or convert it again"
        )
    return card


def graph_of(model: bytes) -> memoryview:
    """Returns the part of a `.tflite` file's bytes before its card: the flatbuffer alone.

    Raises:
        ModelFileError: There is a damaged card, or there was one.
    """
    start = _card_start(model)
    if start is None:
        _refuse_remains(model, _REMAINS)
        return memoryview(model)
    return memoryview(model)[:start]


def read_model(path: str | os.PathLike[str]) -> tuple[bytes, ModelCard | None]:
    """Reads a model's file and its card, and proves the file whole if it has one.

    Raises:
        ModelFileError: The file is missing or damaged.
    """
    try:
        model = Path(path).read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read model {path}: {error.strerror}") from error
    try:
        return model, detach(model)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error


def write_model(path: str | os.PathLike[str], model: bytes, card: ModelCard) -> None:
    """Writes a model with its card, atomically."""
    write_bytes(path, attach(model, card))


def _is_archive(model: bytes) -> bool:
    return model[:4] == _LOCAL_HEADER


def _card_start(model: bytes) -> int | None:
    """Finds the local header of the card in a `.tflite` file, None where there is no card.

    Raises:
        ModelFileError: There are the remains of one.
    """
    name = model.rfind(MEMBER.encode())
    if name < 0:
        torn = model.rfind(_LOCAL_HEADER, max(0, len(model) - _NAME_OFFSET - len(MEMBER)))
        if torn >= 0:
            raise ModelFileError("the file is cut off in its card: copy or convert it again")
        return None
    while name >= _NAME_OFFSET:
        start = name - _NAME_OFFSET
        if model.startswith(_LOCAL_HEADER, start):
            return start
        name = model.rfind(MEMBER.encode(), None, name)
    raise ModelFileError("the file is damaged where its card begins: copy or convert it again")


def _refuse_remains(model: bytes, remains: tuple[str, ...]) -> None:
    """Raises ModelFileError if a file without a card had one."""
    tail = model[-_MOST_CARD:]
    if is_marked(model) or any(part.encode() in tail for part in remains):
        raise ModelFileError("the file is damaged or cut off: it had a card, which is gone; copy or convert it again")


def _unpack(archive: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return {name: opened.read(name) for name in opened.namelist()}
    except (
        zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
        EOFError, KeyError, OSError, OverflowError, RuntimeError, ValueError,
    ) as error:  # fmt: skip
        raise ModelFileError(
            f"the file is damaged or cut off ({quoted(str(error))}): copy or convert it again"
        ) from error


def _pack(members: dict[str, bytes]) -> bytes:
    """Makes a zip archive of uncompressed members, dated 1980: the same content gives the same bytes everywhere.

    PKWARE's APPNOTE.TXT, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.16 (its end).
    """
    body, directory = bytearray(), bytearray()
    for name, content in members.items():
        stored = name.encode()
        flags = 0 if name.isascii() else 0x800  # UTF-8
        # flags, method, time, date, CRC, both sizes, lengths of name and extra
        shared = struct.pack(
            "<4H3L2H", flags, 0, 0, 0x21, zlib.crc32(content), len(content), len(content), len(stored), 0
        )
        directory += b"PK\x01\x02" + struct.pack("<2BH", 20, 3, 20) + shared
        directory += struct.pack("<3H2L", 0, 0, 0, 0o600 << 16, len(body)) + stored
        body += _LOCAL_HEADER + struct.pack("<H", 20) + shared + stored + content
    end = struct.pack("<4H2LH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return bytes(body + directory) + b"PK\x05\x06" + end


def _members_digest(members: dict[str, bytes]) -> str:
    return digest("".join(f"{name} {digest(members[name])}\n" for name in sorted(members)).encode())
