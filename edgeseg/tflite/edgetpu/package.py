"""What is inside the custom operator of a compiled `*_edgetpu.tflite`: runtime version, programs, parameters.

The operator's options are a FlexBuffer map (`tflite/custom_op_data.cc` in google-coral/libedgetpu); its key "4" holds a
flatbuffer Package, and that a MultiExecutable with one or more Executables (`executable/executable.fbs` there). The
programs themselves are closed.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.errors import ModelFileError
from edgeseg.tflite import flatbuffer, flexbuffer
from edgeseg.tflite.edgetpu.operators import COMPILED_OPERATOR
from edgeseg.tflite.flatbuffer import Table
from edgeseg.tflite.graph import Graph, Operator

IDENTIFIER = b"DWN1"
EXECUTABLE_TYPES = ("STAND_ALONE", "PARAMETER_CACHING", "EXECUTION_ONLY")


@dataclass(frozen=True, kw_only=True)
class Executable:
    """One program for the Edge TPU.

    Attributes:
        type: STAND_ALONE brings its parameters with every frame; PARAMETER_CACHING loads them once onto the chip;
            EXECUTION_ONLY then runs, with its own `parameter_bytes` streamed every frame.
        parameter_bytes: Weights and biases in it.
        scratch_bytes: Host memory it needs beside inputs and outputs.
        narrow_bytes_per_tile: Activation memory used of the 196,608 bytes a tile has.
        instruction_bytes: The program.
        estimated_cycles: The compiler's estimate; 0 from compilers later than 2.x.
    """

    type: str
    parameter_bytes: int
    scratch_bytes: int
    narrow_bytes_per_tile: int
    instruction_bytes: int
    estimated_cycles: int


@dataclass(frozen=True, kw_only=True)
class Package:
    """What one `edgetpu-custom-op` holds.

    Attributes:
        operator: Its index.
        min_runtime_version: Oldest Edge TPU runtime that runs it; libedgetpu has 10 to 14.
        compiler_version: As the compiler wrote it; may be empty.
        executables: Its programs.
    """

    operator: int
    min_runtime_version: int
    compiler_version: str
    executables: tuple[Executable, ...]

    @property
    def cached_bytes(self) -> int:
        """Parameters that stay on the chip between frames."""
        return sum(e.parameter_bytes for e in self.executables if e.type == "PARAMETER_CACHING")

    @property
    def streamed_bytes(self) -> int:
        """Parameters that are sent with every frame."""
        return sum(e.parameter_bytes for e in self.executables if e.type != "PARAMETER_CACHING")


def packages(graph: Graph) -> tuple[Package, ...]:
    """Reads all packages of a compiled file; none where the file is not compiled.

    Raises:
        ModelFileError: A package is damaged.
    """
    return tuple(read_package(op) for op in graph.main.operators if op.op == COMPILED_OPERATOR)


def read_package(operator: Operator) -> Package:
    """Reads the package in one `edgetpu-custom-op`.

    Raises:
        ModelFileError: It is damaged.
    """
    options = flexbuffer.parse(operator.custom_options)
    content = options.get("4") if isinstance(options, dict) else None
    if not isinstance(content, memoryview) or bytes(content[4:8]) != IDENTIFIER:
        raise ModelFileError(
            f"operator {operator.index} ({operator.op}) holds no Edge TPU package; compile the model again"
        )
    package = flatbuffer.root(content)
    programs = package.content(1)
    executables = flatbuffer.root(programs).contents(0) if len(programs) else []
    return Package(
        operator=operator.index,
        min_runtime_version=package.scalar(0, "i"),
        compiler_version=package.string(4),
        executables=tuple(_executable(flatbuffer.root(e)) for e in executables),
    )


def _executable(table: Table) -> Executable:
    kind = table.scalar(13, "h")
    return Executable(
        type=EXECUTABLE_TYPES[kind] if 0 <= kind < len(EXECUTABLE_TYPES) else f"UNKNOWN_{kind}",
        parameter_bytes=len(table.content(6)),
        scratch_bytes=table.scalar(4, "i"),
        narrow_bytes_per_tile=table.scalar(12, "i"),
        instruction_bytes=sum(len(part.content(0)) for part in table.tables(5)),
        estimated_cycles=table.scalar(16, "q") or table.scalar(11, "i"),
    )
