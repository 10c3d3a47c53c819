"""Damaged files by the thousand: with a card no change goes unseen; without one the process outlives them.

`make slow` runs 3,000 of each. The damages are seeded: a number that fails names its mutant.
"""

from __future__ import annotations

import os
import random
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT
from tiny_models import binary_model, colour_model

from edgeseg.card_file import graph_of, read_model
from edgeseg.card_mark import unmarked
from edgeseg.errors import EdgesegError
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.tflite.summary import summarize_bytes

FEW, FEW_TRIALS, MANY = 60, 18, 3000
TINY = ROOT / "tests/tiny"


def mutant(content: bytes, number: int) -> bytes:
    """Damages a file in one of nine ways, chosen and placed by `number`; never leaves it as it was."""
    chance = random.Random(number)
    data = bytearray(content)
    # Half of the damages fall on the last 3000 bytes: where the card is
    start = max(0, len(data) - 3000) if chance.random() < 0.5 else 0
    place = chance.randrange(start, len(data))
    kind = number % 9
    if kind == 0:
        for _ in range(chance.choice((1, 2, 8))):
            data[chance.randrange(start, len(data))] ^= 1 << chance.randrange(8)
    elif kind == 1:  # a sector of zeros, or of noise
        size = chance.choice((4, 64, 512, 4096))
        data[place : place + size] = chance.choice((bytes, chance.randbytes))(min(size, len(data) - place))
    elif kind == 2:
        del data[place:]
    elif kind == 3:
        size = chance.choice((1, 4, 100, 1000))
        data[place:place] = data[place : place + size]
    elif kind == 4:
        data[place:place] = chance.randbytes(chance.choice((1, 4, 100)))
    elif kind == 5:  # a length or an offset of a flatbuffer or of a zip archive
        words = (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(data), chance.randrange(1 << 16))
        at = min(place // 4 * 4, len(data) - 4)
        data[at : at + 4] = struct.pack("<I", chance.choice(words))
    elif kind == 6:  # a zip header, or an end cut off and filled up
        found = [i for i in range(len(data) - 4) if data[i : i + 2] == b"PK"] or [place]
        at = chance.choice(found)
        data[at : at + chance.choice((2, 30, 60))] = bytes(2)
    elif kind == 7:  # a word of the card
        words = [
            w for w in (b"height", b"128.0", b"rgb", b"edgeseg_card", b"graph_digest", b"names", b"1") if w in data
        ]
        for word in chance.sample(words, min(len(words), 2)):
            data = data.replace(word, chance.randbytes(len(word)))
    else:
        del data[place : place + chance.choice((1, 4, 100, 2000))]
    return bytes(data) if bytes(data) != content else bytes(data[:-1])


def check_line(error: EdgesegError, name: str) -> str:
    """Returns an error's message after making certain that it is one short line."""
    message = str(error)
    assert message.isprintable(), name
    assert len(message) < 500, name
    return message


def carded() -> dict[str, bytes]:
    files = (*sorted(TINY.glob("*.tflite")), TINY / "colours.keras")
    return {file.name: file.read_bytes() for file in files}


def mutants_of_carded(count: int) -> Iterator[tuple[str, bytes]]:
    names = list(files := carded())
    for number in range(count):
        name = names[number // 9 % len(names)]
        yield f"{name} {number}", mutant(files[name], number)


def check_carded(count: int, folder: Path) -> Counter[str]:
    """Opens mutants of files with a card; whatever is not refused in one line is a failure."""
    outcomes: Counter[str] = Counter()
    for name, content in mutants_of_carded(count):
        file = folder / name.split()[0]
        file.write_bytes(content)
        try:
            card = read_model(file)[1]
        except EdgesegError as error:
            check_line(error, name)
            outcomes["refused"] += 1
            continue
        # A file that is hardly a beginning of one is not refused here, but is nothing that loads either.
        assert card is None, f"{name}: changed, and the card says nothing"
        if content[:4] == b"PK\x03\x04":
            pytest.importorskip("keras")
            from edgeseg.errors import ModelFileError
            from edgeseg.keras_model import load_model

            with pytest.raises(ModelFileError):
                load_model(file)
        elif file.suffix == ".tflite":
            with pytest.raises(EdgesegError):
                Segmenter(content)
        outcomes["no model any more"] += 1
    return outcomes


def bare() -> dict[str, bytes]:
    """Files without a card, of several types of input and output."""
    tiny = {file.name: unmarked(bytes(graph_of(file.read_bytes()))) for file in sorted(TINY.glob("*.tflite"))}
    return tiny | {
        "uint8": colour_model(),
        "labels": colour_model(output="labels"),
        "float": colour_model(input_type=np.float32),
        "binary": binary_model(),
    }


def check_bare(count: int) -> Counter[str]:
    """Opens and runs mutants of files without a card in this process, which has to live on."""
    outcomes: Counter[str] = Counter()
    files = bare()
    names = list(files)
    for number in range(count):
        name = names[number // 9 % len(names)]
        content = mutant(files[name], number)
        try:
            summarize_bytes(content)
        except EdgesegError as error:
            check_line(error, name)
        try:
            segmenter = Segmenter(content)
            spec = segmenter.input
            segmenter.segment(np.full((spec.height, spec.width, spec.channels), 77, np.uint8))
        except EdgesegError as error:
            message = check_line(error, f"{name} {number}")
            said = "killed" if "kills the process" in message else "hung" if "within" in message else "refused"
            outcomes["no runtime exception" if "cannot be run (" in message else said] += 1
        else:
            outcomes["runs"] += 1
    return outcomes


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_no_damage_to_a_file_with_a_card_goes_unseen(count: int, tmp_path: Path) -> None:
    outcomes = check_carded(count, tmp_path)
    print(dict(outcomes))
    assert sum(outcomes.values()) == count
    assert outcomes["refused"] > 0.8 * count


@pytest.mark.parametrize("count", [FEW_TRIALS, pytest.param(MANY, marks=pytest.mark.slow)])
def test_the_process_outlives_damaged_files_without_a_card(count: int, tmp_path: Path, monkeypatch) -> None:
    if count == MANY:
        monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path))
    outcomes = check_bare(count)
    print(dict(outcomes))
    assert sum(outcomes.values()) == count
