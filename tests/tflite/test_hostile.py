"""Damaged and hostile files: one ModelFileError each, in bounded time and memory; never another exception."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from tiny_tflite import TinyModel, conv, conv_model

from edgeseg.errors import ModelFileError
from edgeseg.tflite.summary import summarize_bytes

MAX_SECONDS = 5.0
MAX_BYTES = 150_000_000


def survives(content: bytes) -> bool:
    """Inspects a file; returns whether it was accepted. Anything but acceptance and ModelFileError fails the test."""
    try:
        summarize_bytes(content)
    except ModelFileError:
        return False
    return True


def network() -> bytes:
    """Six operators of different kinds, so that most of the reader is exercised."""
    tiny = TinyModel()
    image = tiny.tensor((1, 16, 16, 3), name="image")
    a, b, c, d, e = (tiny.tensor((1, 16, 16, 4)) for _ in range(5))
    conv(tiny, image, tiny.constant(np.ones((4, 3, 3, 3)), "int8"), tiny.constant(np.zeros(4)), a)
    tiny.op("ADD", [a, a], [b], options="AddOptions")
    tiny.op("PAD", [b, tiny.constant([[0, 0]] * 4)], [c], options="PadOptions")
    tiny.op("RESIZE_BILINEAR", [c, tiny.constant([16, 16])], [d], options="ResizeBilinearOptions")
    tiny.op("STRIDED_SLICE", [d, *(tiny.constant(v) for v in ([0] * 4, [1, 16, 16, 4], [1] * 4))], [e])
    out = tiny.tensor((1, 1, 1, 4))
    tiny.op("MEAN", [e, tiny.constant([1, 2])], [out], options="ReducerOptions", keepDims=True)
    return tiny.content([image], [out], min_runtime_version="2.3.0")


def test_every_truncation_is_refused_or_read() -> None:
    whole = network()
    assert survives(whole)
    accepted = [size for size in range(len(whole)) if survives(whole[:size])]
    assert all(size > len(whole) - 8 for size in accepted)  # only trailing padding may be missing


def test_bit_flips() -> None:
    whole, chance = network(), random.Random(5)
    for _ in range(2_000):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 2, 8))):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        survives(bytes(damaged))


def test_extreme_words_at_every_offset() -> None:
    whole = conv_model()
    for offset in range(0, len(whole) - 4, 4):
        for word in (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0, 4, len(whole) - 4):
            survives(whole[:offset] + struct.pack("<I", word) + whole[offset + 4 :])


def test_public_files_cut_and_flipped(test_data: Path) -> None:
    chance = random.Random(11)
    for file in sorted(test_data.glob("edgetpu/*.tflite")):
        whole = file.read_bytes()
        for _ in range(6):
            survives(whole[: chance.randrange(len(whole))])
            damaged = bytearray(whole)
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
            survives(bytes(damaged))


def table(fields: dict[int, bytes], start: int) -> bytes:
    """Lays out a vtable and a table of 4-byte fields at file offset `start`."""
    count = max(fields) + 1
    vtable = struct.pack("<HH", 4 + 2 * count, 4 + 4 * len(fields))
    offsets, body = b"", b""
    for field in range(count):
        if field in fields:
            offsets += struct.pack("<H", 4 + len(body))
            body += fields[field]
        else:
            offsets += struct.pack("<H", 0)
    vtable += offsets
    vtable += b"\0" * (-len(vtable) % 4)
    return vtable + struct.pack("<i", len(vtable)) + body


def hostile(kind: str) -> bytes:
    """Builds a root table whose field is as `kind` says; the rest of the file is filler."""
    size = 4_000_000 if kind == "amplify" else 200_000
    start = 8
    words = table({0: struct.pack("<I", 3), 2: struct.pack("<I", 0)}, start)
    root = start + len(words) - 12
    body = bytearray(struct.pack("<I", root) + b"TFL3" + words)
    field = len(body) - 4
    target = {"huge": 0xFFFFFFF0, "self": 0, "amplify": 4}[kind]
    if kind == "huge":  # a vector that claims 4 billion elements
        struct.pack_into("<I", body, field, 4)
        body += struct.pack("<I", target) + b"\0" * 64
    elif kind == "self":  # an offset to itself
        struct.pack_into("<I", body, field, 0)
    else:  # a vector of a million offsets to one and the same table
        struct.pack_into("<I", body, field, 4)
        count = size // 4
        vector = len(body)
        shared = vector + 4 + 4 * count + 8
        offsets = (shared - np.arange(vector + 4, vector + 4 + 4 * count, 4)).astype("<u4")
        body += struct.pack("<I", count) + offsets.tobytes()
        body += struct.pack("<HHHH", 4, 4, 0, 0) + struct.pack("<i", 8)
    return bytes(body)


@pytest.mark.parametrize("kind", ["huge", "self", "amplify"])
def test_structures_without_end_are_refused_quickly_and_cheaply(kind: str) -> None:
    content = hostile(kind)
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(ModelFileError):
            summarize_bytes(content)
        spent = time.process_time() - started
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert spent < MAX_SECONDS
    assert peak < MAX_BYTES


def test_a_huge_file_is_not_loaded(python, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "huge.tflite"
    path.write_bytes(network())
    with path.open("r+b") as file:
        file.truncate(2_000_000_000)  # sparse: it takes no room on the disk
    code = (
        "import sys\n"
        "from edgeseg.tflite.summary import summarize\n"
        "assert len(summarize(sys.argv[1])['ops']) == 6\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    finished = python("-c", code, path)
    assert finished.exit_code == 0, finished.stderr
    assert int(finished.stdout) < 150_000  # kB


def test_shared_vectors_do_not_multiply() -> None:
    """Many tensors that share one long list of scales describe more numbers than the budget allows."""
    tiny = TinyModel()
    tiny.tensor((4,))
    quantization = tiny.graph.tensors[0].quantization
    quantization.scale, quantization.zeroPoint = np.full(200_000, 0.5, np.float32), None
    assert survives(tiny.content([], []))
    tiny.graph.tensors += tiny.graph.tensors * 5
    with pytest.raises(ModelFileError, match="more numbers than any model has"):
        summarize_bytes(tiny.content([], []))


def test_a_shape_of_huge_sizes_is_only_a_number() -> None:
    tiny = TinyModel()
    image, out = tiny.tensor((2**31 - 1,) * 8), tiny.tensor((1, 8, 8, 4))
    tiny.op("RELU", [image], [out])
    assert survives(tiny.content([image], [out]))


def test_a_cycle_of_operators_ends() -> None:
    tiny = TinyModel()
    a, b = tiny.tensor((1, 4)), tiny.tensor((1, 4))
    tiny.op("RELU", [a], [b])
    tiny.op("RELU", [b], [a])
    assert survives(tiny.content([], [a]))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_cut_file_is_one_line_and_exit_1(cli, tmp_path: Path, part: float) -> None:  # type: ignore[no-untyped-def]
    whole = network()
    path = tmp_path / "cut.tflite"
    path.write_bytes(whole[: int(len(whole) * part)])
    assert "cut.tflite" in cli("inspect", path).error
