"""The records of a typed, read-only view of a `.tflite` file; `graph` makes them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.errors import ModelFileError
from edgeseg.tflite import schema

OptionValue = int | float | str | bool | tuple[int, ...]

_NUMPY_DTYPES = frozenset(schema.DTYPES[:13]) - {"string"} | {"uint32", "uint16"}


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """real = scale * (stored - zero_point).

    Attributes:
        scales: One for the tensor, or one for each index along `axis`.
        zero_points: As many as scales.
        axis: The quantized dimension where there are several scales.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0

    @property
    def per_channel(self) -> bool:
        """Whether there are several scales."""
        return len(self.scales) > 1


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One tensor of a subgraph.

    Attributes:
        index: Its place in the subgraph.
        name: As the converter named it.
        shape: Sizes by dimension; () for a scalar, and for a tensor of unknown rank.
        shape_signature: As `shape`, with -1 for a dimension that is set at run time; () where the file gives none.
        dtype: "int8", "float32", ...
        quantization: None for a tensor without scales.
        is_variable: Whether it keeps its content between runs.
        is_outside: Whether the content lies outside the flatbuffer (behind it, or in another file).
        data: A constant's bytes, not copied; empty for an activation.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    dtype: str
    quantization: Quantization | None
    is_variable: bool
    is_outside: bool
    data: memoryview = field(repr=False, compare=False)

    @property
    def is_constant(self) -> bool:
        """Whether the content is in the file."""
        return len(self.data) > 0 or self.is_outside

    @property
    def is_array(self) -> bool:
        """Whether it is a constant in the flatbuffer whose bytes fill its shape: whether `array` will succeed."""
        if self.is_outside or not self.data or self.dtype not in _NUMPY_DTYPES:
            return False
        return self.elements * np.dtype(self.dtype).itemsize == len(self.data)

    @property
    def is_dynamic(self) -> bool:
        """Whether a dimension is set only at run time."""
        return any(size < 0 for size in (*self.shape_signature, *self.shape))

    @property
    def is_float(self) -> bool:
        """Whether the values are floating-point numbers."""
        return self.dtype in schema.FLOAT_DTYPES

    @property
    def elements(self) -> int:
        """How many values it holds, a size that is set at run time counted as 1."""
        return math.prod(abs(size) for size in self.shape)

    @property
    def bytes(self) -> int:
        """How many bytes the values take."""
        return (self.elements * schema.BITS.get(self.dtype, 0) + 7) // 8

    def array(self) -> npt.NDArray[Any]:
        """Returns a constant's values as a read-only array of its shape.

        Raises:
            ModelFileError: The tensor is no constant, its type has no NumPy form, or its bytes do not fill its shape.
        """
        if not self.is_array:
            raise ModelFileError(
                f"tensor {self.index} ({self.name}): {len(self.data)} bytes are no {self.dtype}{list(self.shape)}; "
                "expected a constant that fills its shape"
            )
        return np.frombuffer(self.data, self.dtype).reshape([abs(size) for size in self.shape])

    def real(self) -> npt.NDArray[Any]:
        """Returns a constant's real values, float32: scale * (stored - zero point), per tensor or per channel.

        Integers that are not quantized (shapes, axes) stay what they are.

        Raises:
            ModelFileError: See `array`; or the scales are not one, nor one for each index along the axis.
        """
        stored = self.array()
        quantization = self.quantization
        if self.is_float:
            return stored.astype(np.float32)
        if quantization is None:
            return stored
        shape = [1] * stored.ndim
        if quantization.per_channel:
            if not (
                0 <= quantization.axis < stored.ndim and stored.shape[quantization.axis] == len(quantization.scales)
            ):
                raise ModelFileError(
                    f"tensor {self.index} ({self.name}): {len(quantization.scales)} scales along axis "
                    f"{quantization.axis} of {list(self.shape)}; expected one for each index"
                )
            shape[quantization.axis] = -1
        scales = np.array(quantization.scales, np.float32).reshape(shape if stored.ndim else ())
        zero_points = np.array(quantization.zero_points, np.float32).reshape(shape if stored.ndim else ())
        result: npt.NDArray[Any] = scales * (stored.astype(np.float32) - zero_points)
        return result


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator of a subgraph.

    Attributes:
        index: Its place in the subgraph, in execution order.
        op: Name of the builtin operator; a custom one's own name.
        is_custom: Whether it is a custom operator.
        version: The operator's version, from 1.
        inputs: Tensor indices; -1 for an optional input that is absent.
        outputs: Tensor indices.
        options: Its attributes by name (`schema.OPTIONS`), those with the default value included.
        custom_options: A custom operator's own bytes, not copied.
    """

    index: int
    op: str
    is_custom: bool
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, OptionValue] = field(default_factory=dict)
    custom_options: memoryview = field(repr=False, compare=False, default=memoryview(b""))


@dataclass(frozen=True, kw_only=True)
class Subgraph:
    """One function of the model; the first is the model itself, others belong to control flow."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def inputs_of(self, operator: Operator) -> list[Tensor]:
        """Returns an operator's input tensors, absent ones left out."""
        return [self.tensors[i] for i in operator.inputs if i >= 0]

    def outputs_of(self, operator: Operator) -> list[Tensor]:
        """Returns an operator's output tensors."""
        return [self.tensors[i] for i in operator.outputs if i >= 0]

    def tensor_at(self, operator: Operator, position: int) -> Tensor | None:
        """Returns an operator's input at `position`, or None where it has none there."""
        present = position < len(operator.inputs) and operator.inputs[position] >= 0
        return self.tensors[operator.inputs[position]] if present else None


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A whole `.tflite` file.

    Attributes:
        version: Of the schema; 3.
        description: What the converter wrote.
        metadata: Names of the metadata buffers, and their bytes, not copied.
        subgraphs: The first is the model.
        size: Bytes of the file without its card.
    """

    version: int
    description: str
    metadata: tuple[tuple[str, memoryview], ...] = field(repr=False, compare=False)
    subgraphs: tuple[Subgraph, ...]
    size: int

    @property
    def main(self) -> Subgraph:
        """The subgraph that is run."""
        return self.subgraphs[0]

    @property
    def min_runtime_version(self) -> tuple[int, ...] | None:
        """The oldest TFLite that knows all operators, as the converter noted it: (2, 3, 0); None where it did not."""
        for name, content in self.metadata:
            if name == "min_runtime_version":
                parts = bytes(content[:32]).split(b"\0")[0].decode("ascii", "replace").strip().split(".")
                return tuple(int(p) for p in parts) if all(p.isdecimal() and p.isascii() for p in parts) else None
        return None
