"""Reading what Google's `edgetpu_compiler` prints and writes, versions 1.0 to 16.

A success looks alike in all versions: a head of sizes and counts for each model, and a table with a row for each
operator and status. Version 16, when it searches (`-d`), prints failed attempts before it: only the last block counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAPPED = "Mapped to Edge TPU"

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_ROW = re.compile(r"^([A-Za-z0-9_]+)\s+(\d+)\s+(\S.*?)\s*$")
_VERSION = re.compile(r"Edge TPU Compiler version ([\d.]+)")
_SUCCESS = re.compile(r"Models? compiled successfully in (\d+) ms")
_FAILURES = (
    re.compile(r"^Compilation failed: ?(?:Compilation failed due to )?(.*\S)", re.MULTILINE),
    re.compile(r"^(Internal compiler error)\. Aborting!", re.MULTILINE),
    re.compile(r"^(The number of lists given to intermediate_tensors.*)", re.MULTILINE),
)
_INVALID = re.compile(r"^Invalid model: .*\n(.*)", re.MULTILINE)
_ERROR = re.compile(r"^ERROR: (.*\S)", re.MULTILINE)
_NOISE = ("Restored original execution plan", "Registration failed")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table of operators: how many of a kind have a status."""

    op: str
    count: int
    status: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the compiler says of one model; None and empty where it does not say.

    Attributes:
        compiler_version: "16.0.384591198".
        input: The model's path as the compiler was given it.
        output: The compiled model's path.
        milliseconds: How long it took.
        on_chip_bytes: Memory on the chip used for parameters.
        on_chip_remaining_bytes: Memory on the chip left for parameters.
        off_chip_bytes: Parameters streamed for every frame.
        subgraphs: Parts on the Edge TPU.
        total: Operators in all.
        mapped: Operators on the Edge TPU.
        cpu: Operators on the CPU.
        rows: The table of operators.
    """

    compiler_version: str
    input: str
    output: str
    milliseconds: int | None
    on_chip_bytes: int | None
    on_chip_remaining_bytes: int | None
    off_chip_bytes: int | None
    subgraphs: int | None
    total: int | None
    mapped: int | None
    cpu: int | None
    rows: tuple[Row, ...]


def parse_log(text: str) -> tuple[Report, ...]:
    """Reads a `.log` file: a block for each model, or for each segment."""
    version = version_of(text)
    blocks = re.split(r"(?m)^(?=Input: )", text)[1:]
    return tuple(_report(block, version, None) for block in blocks)


def parse_output(text: str) -> tuple[Report, ...]:
    """Reads what the compiler printed: a report for each model; none where it failed (see `failure`)."""
    successes = list(_SUCCESS.finditer(text))
    if not successes or text.rfind("Compilation failed") > successes[-1].start():
        return ()
    last = text[successes[-1].start() :]
    blocks = re.split(r"(?m)^(?=Input model: )", last)[1:]
    return tuple(_report(block, version_of(text), int(successes[-1].group(1))) for block in blocks)


def failure(text: str) -> str:
    """Returns in one line why a compilation failed, from what the compiler printed."""
    reasons = [m.group(1) for pattern in _FAILURES for m in pattern.finditer(text)][-1:]
    reasons += [m.group(1).strip() for m in _INVALID.finditer(text)][-1:]
    reasons += [m.group(1) for m in _ERROR.finditer(text) if not m.group(1).startswith(_NOISE)][-2:]
    if reasons:
        return "; ".join(reason.rstrip(". ") for reason in dict.fromkeys(reasons))
    return "it gave no reason"


def _report(block: str, version: str, milliseconds: int | None) -> Report:
    rows = tuple(
        Row(op=match.group(1), count=int(match.group(2)), status=match.group(3))
        for line in block.splitlines()
        if (match := _ROW.match(line)) is not None
    )
    total = _count(block, "Total number of operations")
    mapped = _count(block, "Number of operations that will run on Edge TPU")
    cpu = _count(block, "Number of operations that will run on CPU")
    if rows and mapped is None:
        mapped = sum(row.count for row in rows if row.status == MAPPED)
        cpu = sum(row.count for row in rows if row.status != MAPPED)
    elif mapped is None and total is not None:  # it says nothing of the CPU where all is mapped
        mapped, cpu = total, 0
    return Report(
        compiler_version=version,
        input=_text(block, "Input model") or _text(block, "Input"),
        output=_text(block, "Output model") or _text(block, "Output"),
        milliseconds=milliseconds,
        on_chip_bytes=_bytes(block, "On-chip memory used for caching model parameters"),
        on_chip_remaining_bytes=_bytes(block, "On-chip memory (?:remaining|available) for caching model parameters"),
        off_chip_bytes=_bytes(block, "Off-chip memory used for streaming uncached model parameters"),
        subgraphs=_count(block, "Number of Edge TPU subgraphs"),
        total=total if total is not None or not rows else sum(row.count for row in rows),
        mapped=mapped,
        cpu=cpu,
        rows=rows,
    )


def version_of(text: str) -> str:
    """Returns the compiler's version in what it printed; empty where it is not there."""
    match = _VERSION.search(text)
    return "" if match is None else match.group(1)


def _text(block: str, label: str) -> str:
    match = re.search(rf"(?m)^{label}: (.*?)\s*$", block)
    return "" if match is None else match.group(1)


def _count(block: str, label: str) -> int | None:
    value = _text(block, label)
    return int(value) if value.isdecimal() else None


def _bytes(block: str, label: str) -> int | None:
    match = re.fullmatch(r"([\d.]+)([KMG]?i?B)", _text(block, label))
    return (
        None if match is None or match.group(2) not in _UNITS else round(float(match.group(1)) * _UNITS[match.group(2)])
    )
