"""Reads a `.tflite` file into a typed, read-only view: subgraphs, tensors, operators.

It needs neither TensorFlow nor a TFLite runtime, costs milliseconds, and never copies a weight: constants are views of
the file. Damaged files raise one ModelFileError (see `flatbuffer`).
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from edgeseg.card_file import graph_of
from edgeseg.errors import ModelFileError
from edgeseg.tflite import flatbuffer, schema
from edgeseg.tflite.flatbuffer import Table
from edgeseg.tflite.records import Graph, Operator, OptionValue, Quantization, Subgraph, Tensor

__all__ = ["Graph", "Operator", "OptionValue", "Quantization", "Subgraph", "Tensor", "parse_graph", "read_graph"]

MAX_RANK = 32
MAX_CARD = 4 << 20


def read_graph(path: str | os.PathLike[str]) -> Graph:
    """Reads a `.tflite` file, with or without a card behind it.

    The file is mapped, not loaded: a model of 500 MB costs no more than one of 5.

    Raises:
        ModelFileError: The file is missing, damaged, or not a `.tflite`.
    """
    try:
        with Path(path).open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise ModelFileError(f"{path}: not a .tflite file: it is empty; get the file again")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelFileError(f"cannot read model {path}: {reason}") from error
    try:
        return parse_graph(mapped)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error


def parse_graph(model: bytes | mmap.mmap) -> Graph:
    """Reads a `.tflite` file's content, with or without a card behind it.

    Raises:
        ModelFileError: The content is damaged, or not a `.tflite`.
    """
    if bytes(model[4:8]) != schema.IDENTIFIER:
        raise ModelFileError(
            f"not a .tflite file: bytes 4-8 are {bytes(model[4:8])!r}, expected {schema.IDENTIFIER!r}; "
            "give a file that a TFLite converter wrote"
        )
    # A card is small and at the end: to search all of a mapped file would load it.
    tail = bytes(model[-MAX_CARD:])
    size = len(graph_of(tail))
    if size == len(tail) < len(model):
        graph_of(bytes(model[:MAX_CARD]))  # refuses a marked graph without its card
    data = memoryview(model)[: len(model) - len(tail) + size]
    table = flatbuffer.root(data)
    version = table.scalar(0, "I")
    if version != schema.SCHEMA_VERSION:
        raise ModelFileError(f"the .tflite schema has version {version}, expected {schema.SCHEMA_VERSION}")
    buffers = [_buffer(buffer, data) for buffer in table.tables(4)]
    codes = [_operator_code(code) for code in table.tables(1)]
    subgraphs = tuple(_subgraph(sub, codes, buffers, data) for sub in table.tables(2))
    if not subgraphs:
        raise ModelFileError("damaged model file: it holds no graph; get the file again")
    metadata = [(item.string(0), item.scalar(1, "I")) for item in table.tables(6)]
    return Graph(
        version=version,
        description=table.string(3),
        metadata=tuple((name, buffers[_checked(i, len(buffers), "buffer")][0]) for name, i in metadata),
        subgraphs=subgraphs,
        size=len(data),
    )


def _buffer(table: Table, data: memoryview) -> tuple[memoryview, bool]:
    """Returns a buffer's bytes, and whether they lie outside the flatbuffer."""
    content = table.content(0)
    offset, size = table.scalar(1, "Q"), table.scalar(2, "Q")
    if len(content) or offset <= 1 or not size:  # 1 stands for "not set yet" in the schema
        return content, False
    if offset + size > len(data):
        raise ModelFileError(
            f"damaged or cut-off model file: a buffer ends at byte {offset + size}, it has {len(data)}; "
            "get the file again"
        )
    return data[offset : offset + size], True


def _operator_code(table: Table) -> tuple[str, bool, int]:
    """Returns name, whether custom, version."""
    number = max(table.scalar(0, "b"), table.scalar(3, "i"))  # field 0 ends at 127; newer operators use field 3
    if not 0 <= number < len(schema.OPERATORS):
        return f"BUILTIN_{number}", False, table.scalar(2, "i", 1)
    name = schema.OPERATORS[number]
    custom = name == "CUSTOM"
    return (table.string(1) or name) if custom else name, custom, table.scalar(2, "i", 1)


def _subgraph(
    table: Table, codes: list[tuple[str, bool, int]], buffers: list[tuple[memoryview, bool]], data: memoryview
) -> Subgraph:
    tensors = tuple(_tensor(i, tensor, buffers) for i, tensor in enumerate(table.tables(0)))
    operators = tuple(_operator(i, op, codes, len(tensors), data) for i, op in enumerate(table.tables(3)))
    inputs, outputs = table.numbers(1, "i"), table.numbers(2, "i")
    for i in (*inputs, *outputs):
        _checked(i, len(tensors), "tensor")
    return Subgraph(name=table.string(4), tensors=tensors, operators=operators, inputs=inputs, outputs=outputs)


def _tensor(index: int, table: Table, buffers: list[tuple[memoryview, bool]]) -> Tensor:
    shape, signature = table.numbers(0, "i"), table.numbers(7, "i")
    if max(len(shape), len(signature)) > MAX_RANK:
        raise ModelFileError(f"damaged model file: tensor {index} has rank {len(shape)}; get the file again")
    content, outside = buffers[_checked(table.scalar(2, "I"), len(buffers), "buffer")]
    return Tensor(
        index=index,
        name=table.string(3),
        shape=shape,
        shape_signature=signature,
        dtype=schema.DTYPES[_checked(table.scalar(1, "b"), len(schema.DTYPES), "tensor type")],
        quantization=_quantization(table.table(4)),
        is_variable=bool(table.scalar(5, "?")),
        is_outside=outside or table.scalar(10, "I") != 0,
        data=content,
    )


def _quantization(table: Table | None) -> Quantization | None:
    scales = () if table is None else table.reals(2)
    if table is None or not scales:
        return None
    zero_points = table.numbers(3, "q") or (0,) * len(scales)
    if len(zero_points) == 1:
        zero_points *= len(scales)
    if len(zero_points) != len(scales):
        raise ModelFileError(
            f"damaged model file: {len(scales)} scales and {len(zero_points)} zero points; get the file again"
        )
    return Quantization(scales=scales, zero_points=zero_points, axis=table.scalar(6, "i"))


def _operator(index: int, table: Table, codes: list[tuple[str, bool, int]], tensors: int, data: memoryview) -> Operator:
    name, custom, version = codes[_checked(table.scalar(0, "I"), len(codes), "operator code")]
    inputs, outputs = table.numbers(1, "i"), table.numbers(2, "i")
    for i in (*inputs, *outputs):
        if i != -1:
            _checked(i, tensors, "tensor")
    content = table.content(5)
    offset, size = table.scalar(9, "Q"), table.scalar(10, "Q")
    if offset > 1 and offset + size <= len(data):
        content = data[offset : offset + size]
    return Operator(
        index=index,
        op=name,
        is_custom=custom,
        version=version,
        inputs=inputs,
        outputs=outputs,
        options=_options(table),
        custom_options=content,
    )


def _options(table: Table) -> dict[str, OptionValue]:
    fields, options = schema.OPTIONS.get(table.scalar(3, "B"), {}), table.table(4)
    return {} if options is None else {name: _option(options, entry) for name, entry in fields.items()}


def _option(table: Table, entry: schema.Field) -> OptionValue:
    if entry.kind.startswith("*"):
        return table.numbers(entry.number, entry.kind[1:])
    if entry.kind == "f":
        return table.real(entry.number, entry.default)
    value = table.scalar(entry.number, entry.kind, entry.default)
    if entry.names:
        return entry.names[value] if 0 <= value < len(entry.names) else f"UNKNOWN_{value}"
    return bool(value) if entry.kind == "?" else value


def _checked(index: int, count: int, what: str) -> int:
    if not 0 <= index < count:
        raise ModelFileError(f"damaged model file: {what} {index} of {count} is referred to; get the file again")
    return index
