"""Putting the card into a model's file, and reading it back with the file proved whole.

The card is a zip member, `edgeseg_card.json`. A `.keras` file is a zip archive already; to a `.tflite` file the
archive is appended, which TFLite runtimes skip (the TFLite metadata format stores label files the same way), so
`unzip -p model.tflite edgeseg_card.json` shows it anywhere. The card holds a digest of everything else in the file:
a single flipped bit is noticed before anything runs.
"""

from __future__ import annotations

import dataclasses
import io
import os
import zipfile
from pathlib import Path

from edgeseg.card import ModelCard, from_json, to_json
from edgeseg.errors import ModelFileError
from edgeseg.files import digest, write_bytes

MEMBER = "edgeseg_card.json"
_LOCAL_HEADER = b"PK\x03\x04"
_NAME_OFFSET = 30  # of the file name in a zip member's local header


def attach(model: bytes, card: ModelCard) -> bytes:
    """Returns the model's bytes with `card` inside; one that is already there is replaced.

    Args:
        model: The content of a `.tflite` or `.keras` file.
        card: What to store; its `graph_digest` is filled in here.
    """
    if _is_archive(model):
        members = _members(model)
        card = dataclasses.replace(card, graph_digest=_members_digest(members))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, content in members.items():
                archive.writestr(_member_info(name), content)
            archive.writestr(_member_info(MEMBER), to_json(card))
        return packed.getvalue()
    graph = graph_of(model)
    card = dataclasses.replace(card, graph_digest=digest(graph))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(_member_info(MEMBER), to_json(card))
    return bytes(graph) + packed.getvalue()


def detach(model: bytes) -> ModelCard | None:
    """Returns the card in a model's bytes, or None where there is none.

    Raises:
        ModelFileError: There is a card, and the file does not match it: it was damaged or edited.
    """
    if _is_archive(model):
        members = _members(model, with_card=True)
        text = members.pop(MEMBER, None)
        found = None if text is None else _members_digest(members)
    else:
        start = _card_start(model)
        text = None if start is None else _members(model[start:], with_card=True).get(MEMBER)
        found = None if start is None else digest(memoryview(model)[:start])
    if text is None:
        return None
    card = from_json(ModelCard, text)
    if found != card.graph_digest:
        raise ModelFileError(
            f"the file is damaged: its digest is {str(found)[:12]}…, its card says {card.graph_digest[:12]}…; "
            "copy or convert it again"
        )
    return card


def graph_of(model: bytes) -> memoryview:
    """Returns the part of a `.tflite` file's bytes before its card: the flatbuffer alone."""
    start = _card_start(model)
    return memoryview(model) if start is None else memoryview(model)[:start]


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


def _member_info(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name)  # dated 1980: the same content gives the same bytes


def _card_start(model: bytes) -> int | None:
    """Finds the card's local header by its signature and name, so that a cut-off card is noticed, not overlooked."""
    name = model.rfind(MEMBER.encode())
    while name >= 0:
        start = name - _NAME_OFFSET
        if start >= 0 and model[start : start + 4] == _LOCAL_HEADER:
            return start
        name = model.rfind(MEMBER.encode(), 0, name)
    return None


def _members(archive: bytes, with_card: bool = False) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            names = [n for n in opened.namelist() if with_card or n != MEMBER]
            return {name: opened.read(name) for name in names}
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, OSError) as error:
        raise ModelFileError(f"the file is damaged or cut off ({error}): copy or convert it again") from error


def _members_digest(members: dict[str, bytes]) -> str:
    return digest("".join(f"{name} {digest(members[name])}\n" for name in sorted(members)).encode())
