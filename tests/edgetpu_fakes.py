"""What the Edge TPU compiler makes, made here: packages by the public schema, and a compiler that plays a recording."""

from __future__ import annotations

import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers
from tiny_tflite import TinyModel


@dataclass(frozen=True)
class Program:
    """One Executable of `executable.fbs`."""

    type: int
    parameters: bytes = b""
    scratch: int = 0
    narrow: int = 0
    instructions: bytes = b""
    cycles: int = 0


def executable(program: Program) -> bytes:
    builder = flatbuffers.Builder(256)
    parameters = builder.CreateByteVector(program.parameters)
    code = builder.CreateByteVector(program.instructions)
    builder.StartObject(2)  # InstructionBitstream
    builder.PrependUOffsetTRelativeSlot(0, code, 0)
    stream = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(stream)
    streams = builder.EndVector()
    builder.StartObject(17)  # Executable
    builder.PrependInt32Slot(4, program.scratch, 0)
    builder.PrependUOffsetTRelativeSlot(5, streams, 0)
    builder.PrependUOffsetTRelativeSlot(6, parameters, 0)
    builder.PrependInt32Slot(12, program.narrow, 0)
    builder.PrependInt16Slot(13, program.type, 0)
    builder.PrependInt64Slot(16, program.cycles, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def package(programs: list[Program], *, runtime: int, compiler: str = "") -> bytes:
    """The options of an `edgetpu-custom-op`: FlexBuffer map, Package, MultiExecutable, Executables."""
    builder = flatbuffers.Builder(1024)
    offsets = [builder.CreateString(executable(program)) for program in programs]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    executables = builder.EndVector()
    builder.StartObject(1)  # MultiExecutable
    builder.PrependUOffsetTRelativeSlot(0, executables, 0)
    builder.Finish(builder.EndObject())
    multi = bytes(builder.Output())

    builder = flatbuffers.Builder(1024)
    content, version = builder.CreateByteVector(multi), builder.CreateString(compiler)
    builder.StartObject(8)  # Package
    builder.PrependInt32Slot(0, runtime, 0)
    builder.PrependUOffsetTRelativeSlot(1, content, 0)
    builder.PrependUOffsetTRelativeSlot(4, version, 0)
    builder.Finish(builder.EndObject(), b"DWN1")

    options = flexbuffers.Builder()
    with options.Map():
        options.Int("1", 1)
        options.Key("4")
        options.Blob(bytes(builder.Output()))  # the compiler makes it a string, laid out alike
        options.Int("5", 0)
        with options.Vector("6"):
            options.Int(0)
        with options.Vector("7"):
            pass
    return bytes(options.Finish())


def compiled_model(*, runtime: int = 13, tail: bool = True) -> bytes:
    """What the compiler leaves of conv -> argmax: the custom operator, and the argmax on the CPU."""
    programs = [
        Program(type=2, narrow=4096, instructions=b"\x01" * 100),
        Program(type=1, parameters=b"\x02" * 640, instructions=b"\x03" * 20),
    ]
    tiny = TinyModel()
    image, features = tiny.tensor((1, 8, 8, 3), name="image"), tiny.tensor((1, 8, 8, 4), name="features")
    labels = tiny.tensor((1, 8, 8), "int32", scales=None, name="labels")
    tiny.op("edgetpu-custom-op", [image], [features], custom_options=package(programs, runtime=runtime))
    if tail:
        tiny.op("ARG_MAX", [features, tiny.constant(3)], [labels])
    return tiny.content([image], [labels if tail else features])


def source_model() -> bytes:
    """What `compiled_model` was before: an int8 convolution and an argmax."""
    tiny = TinyModel()
    image, features = tiny.tensor((1, 8, 8, 3), name="image"), tiny.tensor((1, 8, 8, 4), name="features")
    labels = tiny.tensor((1, 8, 8), "int32", scales=None, name="labels")
    weights, bias = tiny.constant(np.ones((4, 3, 3, 3)), "int8"), tiny.constant(np.zeros(4))
    tiny.op("CONV_2D", [image, weights, bias], [features], version=3, options="Conv2DOptions", strideW=1, strideH=1)
    tiny.op("ARG_MAX", [features, tiny.constant(3)], [labels])
    return tiny.content([image], [labels])


SUCCESS = """\
Edge TPU Compiler version 16.0.384591198
Searching for valid delegate with step 10
Try to compile segment with 2 ops
Started a compilation timeout timer of 180 seconds.
ERROR: Restored original execution plan after delegate application failure.
Compilation failed: Compilation failed due to large activation tensors in model.
Compilation child process completed within timeout period.
Compilation failed! 
Try to compile segment with 1 ops
Intermediate tensors: features
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 12 ms.

Input model: NAME.tflite
Input size: 1.10KiB
Output model: NAME_edgetpu.tflite
Output size: 2.20KiB
On-chip memory used for caching model parameters: 1.50KiB
On-chip memory remaining for caching model parameters: 7.82MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 2
Operation log: NAME_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model will \
instead run on the CPU, which is slower. If possible, consider updating your model to use only operations supported \
by the Edge TPU. For details, visit g.co/coral/model-reqs.
Number of operations that will run on Edge TPU: 1
Number of operations that will run on CPU: 1

Operator                       Count      Status

ARG_MAX                        1          Operation is otherwise supported, but not mapped due to some unspecified limitation
CONV_2D                        1          Mapped to Edge TPU
Compilation child process completed within timeout period.
Compilation succeeded! 
"""  # noqa: E501, W291 - verbatim, trailing blanks included

REFUSAL = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.
ERROR: Restored original execution plan after delegate application failure.
Compilation failed: Compilation failed due to large activation tensors in model.
Compilation child process completed within timeout period.
Compilation failed! 
"""  # noqa: W291 - verbatim


def fake_compiler(
    folder: Path,
    *,
    says: str = SUCCESS,
    makes: bytes | None = None,
    code: int = 0,
    sleep_s: float = 0,
    version: str = "16.0.384591198",
) -> Path:
    """Writes a program that behaves as edgetpu_compiler did on a recorded occasion, and notes its arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "says.txt").write_text(says)
    if makes is not None:
        (folder / "makes.tflite").write_bytes(makes)
    program = folder / "edgetpu_compiler"
    program.write_text(
        f"""#!{sys.executable}
import pathlib, sys, time
here = pathlib.Path(__file__).parent
words = sys.argv[1:]
if words == ["--version"]:
    print("Edge TPU Compiler version {version}")
    sys.exit()
(here / "arguments.txt").write_text("\\n".join(words))
source = pathlib.Path(words[-1])
out = pathlib.Path(words[words.index("-o") + 1])
(here / "input.tflite").write_bytes(source.read_bytes())
print((here / "says.txt").read_text().replace("NAME", source.stem), end="", flush=True)
time.sleep({sleep_s})
made = here / "makes.tflite"
if made.exists():
    (out / (source.stem + "_edgetpu.tflite")).write_bytes(made.read_bytes())
    log = "Edge TPU Compiler version {version}\\nInput: " + source.name + "\\n"
    (out / (source.stem + "_edgetpu.log")).write_text(log)
sys.exit({code})
"""
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program
