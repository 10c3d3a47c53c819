"""What is read out of compiled files: packages built here by the public schema."""

from __future__ import annotations

import random

import pytest
from edgetpu_fakes import Program, compiled_model, package
from flatbuffers import flexbuffers
from tiny_tflite import TinyModel

from edgeseg.errors import ModelFileError
from edgeseg.tflite.edgetpu.package import packages
from edgeseg.tflite.edgetpu.predict import predict
from edgeseg.tflite.flexbuffer import parse
from edgeseg.tflite.graph import parse_graph


def with_options(options: bytes) -> bytes:
    tiny = TinyModel()
    image, out = tiny.tensor((1, 4)), tiny.tensor((1, 4))
    tiny.op("edgetpu-custom-op", [image], [out], custom_options=options)
    return tiny.content([image], [out])


def test_a_package_with_cached_parameters() -> None:
    (found,) = packages(parse_graph(compiled_model(runtime=13)))
    assert (found.operator, found.min_runtime_version) == (0, 13)
    run, cache = found.executables
    assert (run.type, run.narrow_bytes_per_tile, run.instruction_bytes, run.parameter_bytes) == (
        "EXECUTION_ONLY", 4096, 100, 0,
    )  # fmt: skip
    assert (cache.type, cache.parameter_bytes) == ("PARAMETER_CACHING", 640)
    assert (found.cached_bytes, found.streamed_bytes) == (640, 0)


def test_a_package_that_streams_its_parameters() -> None:
    program = Program(type=0, parameters=b"\0" * 300, scratch=1_393_920, cycles=12_345)
    (found,) = packages(parse_graph(with_options(package([program], runtime=10, compiler="2.0"))))
    assert found.compiler_version == "2.0"
    (only,) = found.executables
    assert (only.type, only.scratch_bytes, only.estimated_cycles) == ("STAND_ALONE", 1_393_920, 12_345)
    assert (found.cached_bytes, found.streamed_bytes) == (0, 300)


def test_a_compiled_file_shows_what_was_left_behind() -> None:
    prediction = predict(parse_graph(compiled_model(runtime=14)))
    assert prediction.is_compiled
    assert [v.mapped for v in prediction.verdicts] == [True, False]
    assert prediction.verdicts[1].reason == "left on the CPU when the file was compiled"
    assert [cut.tensor for cut in prediction.cuts] == ["features"]
    assert (prediction.runtime, prediction.segments, prediction.rejections) == (14, ((0,),), ())


@pytest.mark.parametrize("options", [b"\0" * 16, b"\x00\x04\x01", b"DWN1" * 8])
def test_options_that_are_no_package(options: bytes) -> None:
    with pytest.raises(ModelFileError, match="Edge TPU package"):
        packages(parse_graph(with_options(options)))


def test_flexbuffer_values() -> None:
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Int("number", -70_000)
        builder.String("text", "DWN1")
        with builder.Vector("list"):
            builder.Int(1)
            builder.Int(300)
    value = parse(memoryview(bytes(builder.Finish())))
    assert isinstance(value, dict)
    assert (value["number"], value["list"]) == (-70_000, [1, 300])
    assert bytes(value["text"]) == b"DWN1"


def test_damaged_packages_are_refused() -> None:
    whole, chance = package([Program(type=1, parameters=b"\1" * 50)], runtime=12), random.Random(3)
    for _ in range(1_500):
        damaged = bytearray(whole[: chance.randrange(3, len(whole) + 1)])
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        try:
            packages(parse_graph(with_options(bytes(damaged))))
        except ModelFileError:
            continue


@pytest.mark.parametrize("content", [b"", b"\1", bytes([0, 9 << 2, 1]), bytes([255, 255, 9 << 2, 1]), b"\x05\x29\x03"])
def test_damaged_flexbuffers_are_refused(content: bytes) -> None:
    with pytest.raises(ModelFileError, match="damaged Edge TPU package"):
        parse(memoryview(content))
