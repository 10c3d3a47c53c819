"""What a `.tflite` file's input and output tell about it, for files without a card and against their cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeseg.card import ChannelOrder, InputSpec, OutputKind
from edgeseg.errors import ModelFileError
from edgeseg.image import Uint8
from edgeseg.runtime.interpreter import TensorInfo
from edgeseg.tflite.graph import Operator, parse_graph

FLOAT_SPAN = 127.5
"""MobileNet's habit, (pixel - 127.5) / 127.5: what is assumed of a float input without a card."""

ORDERS: dict[int, ChannelOrder] = {1: "grey", 3: "rgb"}
"""The order that is assumed of an input of so many channels without a card; "as_is" of any other number."""

_HALF_STEP = 1e-3
_CARRIERS = ("CAST", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE")
"""Operators that pass a label map or a probability on as it is."""


def picture_input(inputs: Sequence[TensorInfo], name: str) -> TensorInfo:
    """Returns the one input, after checking that it takes a picture.

    Raises:
        ModelFileError: It does not.
    """
    shape = inputs[0].shape if inputs else ()
    if len(inputs) != 1 or len(shape) != 4 or shape[0] != 1 or min(shape) < 1:
        raise ModelFileError(f"{name} takes {_shapes(inputs)}: expected one picture, 1 x height x width x channels")
    if inputs[0].dtype not in (np.uint8, np.int8, np.float32):
        raise ModelFileError(f"{name} takes {inputs[0].dtype}: expected uint8, int8 or float32")
    return inputs[0]


def map_output(outputs: Sequence[TensorInfo], name: str) -> TensorInfo:
    """Returns the first output that is a map.

    Raises:
        ModelFileError: There is none.
    """
    for output in outputs:
        if len(output.shape) in (3, 4) and output.shape[0] == 1 and min(output.shape) >= 1:
            return output
    raise ModelFileError(
        f"{name} gives {_shapes(outputs)}: expected 1 x height x width x classes or 1 x height x width; "
        "a classifier or detector cannot segment"
    )


def output_kind(tensor: TensorInfo) -> OutputKind:
    """Tells logits from labels: labels have no class axis and no scale."""
    channels = tensor.shape[3] if len(tensor.shape) == 4 else 1
    labels = len(tensor.shape) == 3 or (channels == 1 and tensor.dtype.kind in "iu" and not tensor.scale)
    return "labels" if labels else "logits"


def inferred_input(tensor: TensorInfo) -> InputSpec:
    """Infers the preprocessing of a file without a card: pixels as they are, or `FLOAT_SPAN` for a float input."""
    mean = std = FLOAT_SPAN
    if tensor.dtype != np.float32:
        mean = float(tensor.zero_point + (128 if tensor.dtype == np.int8 else 0))
        std = 1.0 / (tensor.scale or 1.0)
    height, width, channels = tensor.shape[1:]
    order = ORDERS.get(channels, "as_is")
    return InputSpec(height=height, width=width, mean=mean, std=std, order=order, channels=channels)


def input_table(spec: InputSpec, tensor: TensorInfo) -> Uint8 | None:
    """Tabulates what a quantized input stores for each pixel value.

    Returns:
        (256,) uint8, or (1, 256, channels) where the channels differ, for `cv2.LUT`; None for a float input, and where
        pixels go in as they are.
    """
    if tensor.dtype == np.float32:
        return None
    scale = tensor.scale or 1.0 / max(spec.stds)
    limits = np.iinfo(tensor.dtype)
    real = (np.arange(256)[:, None] - np.array(spec.means)) / np.array(spec.stds)
    # Halves all go one way, whatever the last bit of the scale: pixels half a step off keep all of their levels.
    stored = np.clip(np.floor(real / scale + (0.5 + _HALF_STEP)) + tensor.zero_point, limits.min, limits.max)
    table: Uint8 = stored.astype(tensor.dtype).view(np.uint8)
    same = bool((table == table[:, :1]).all())
    if same and tensor.dtype == np.uint8 and np.array_equal(table[:, 0], np.arange(256)):
        return None
    return np.ascontiguousarray(table[:, 0]) if same else table[None]


def argmax_classes(content: bytes, output: TensorInfo) -> int:
    """Returns how many classes the ARG_MAX before an output of labels chooses from; 0 if the file does not tell."""
    operator, shape = _origin(content, output)
    return shape[-1] if operator is not None and operator.op == "ARG_MAX" and shape else 0


def binary_threshold(content: bytes, output: TensorInfo) -> float:
    """Returns the real value above which a one-channel output means class 1: 0.5 behind a sigmoid, else 0."""
    operator, _ = _origin(content, output)
    return 0.5 if operator is not None and operator.op == "LOGISTIC" else 0.0


def _origin(content: bytes, output: TensorInfo) -> tuple[Operator | None, tuple[int, ...]]:
    """Finds the operator that makes an output, and the shape of its first input."""
    try:
        graph = parse_graph(content).subgraphs[0]
    except ModelFileError:  # the runtime could load it; that edgeseg's own reader is stricter costs only the guess
        return None, ()
    wanted: int = output.index
    for operator in reversed(graph.operators):
        if wanted in operator.outputs:
            if operator.op not in _CARRIERS:
                first = graph.tensor_at(operator, 0)
                return operator, () if first is None else first.shape
            wanted = operator.inputs[0]
    return None, ()


def _shapes(tensors: Sequence[Any]) -> str:
    return ", ".join(f"{'x'.join(map(str, t.shape))} {t.dtype}" for t in tensors) or "nothing"
