"""What a runtime is: the seam between the Segmenter and whatever runs a model file.

A runtime opens files of one kind and gives a network: tensors in and out with their quantization, and `invoke`. LiteRT
is one (`runtime.litert`); another package adds its own by an entry point (see `runtime.registry`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Activation = Literal["", "softmax", "sigmoid"]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A normalisation, (pixel - mean) / std, and what in the network shows that it is wanted."""

    mean: float
    std: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """An input or output of a network.

    Attributes:
        index: The tensor's number in the network.
        name: Its name.
        shape: Its dimensions, the batch of 1 first.
        dtype: Its type.
        scale: Real value of one step; 0 if it is not quantized.
        zero_point: Stored value of real zero.
        wants: Of an input, the normalisation that the network itself shows that it wants; None if it shows nothing.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0
    wants: Wanted | None = None


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What an output's values are.

    Attributes:
        activation: What made them: "softmax" or "sigmoid" for probabilities, "" for logits.
        num_classes: Of class ids, how many classes they choose from; 0 if that is unknown.
    """

    activation: Activation = ""
    num_classes: int = 0


@dataclass(frozen=True, kw_only=True)
class OpenOptions:
    """How to open a file.

    Attributes:
        name: What messages call the model.
        path: Where the file is; None where there is only its content.
        threads: CPU threads for inference, >= 1; None leaves the choice to the runtime.
        delegate: As `--delegate` takes it; None leaves the choice to the runtime.
        size: (rows, columns) for a network that takes images of any size; one of a fixed size does not look at it.
        proven: Whether the content is known to be whole: by a card's digest, or because it was just made. What is not,
            a runtime that a damaged file could harm tries out in a process of its own first (`runtime.trial`).
    """

    name: str = "the model"
    path: str | None = None
    threads: int | None = None
    delegate: str | None = None
    size: tuple[int, int] | None = None
    proven: bool = False


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether a runtime works on this machine.

    Attributes:
        ok: Whether it does.
        found: What was found: packages and versions, or what is wrong with them.
    """

    ok: bool
    found: str


class Network(Protocol):
    """A network that is loaded and ready to run.

    Attributes:
        inputs: Its inputs.
        outputs: Its outputs.
        device: What runs it: "xnnpack", "none" (plain CPU kernels), the delegate as asked for, or a name of its own.
        accelerator: Whether that is one device beside the CPU, which can fail or be unplugged.
        notices: Lines to show to the user, such as what fell back.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    device: str
    accelerator: bool
    notices: tuple[str, ...]

    def view(self, tensor: TensorInfo) -> npt.NDArray[Any]:
        """Returns a tensor's memory, not a copy: an input to fill, or an output to read after `invoke`."""

    def origin(self, output: TensorInfo) -> Origin:
        """Returns what an output's values are, as far as the file tells."""

    def invoke(self) -> None:
        """Runs the network once; other threads of this process run meanwhile.

        Raises:
            DelegateError: It failed.
        """

    def twin(self) -> Network | None:
        """Returns the same network with tensors of its own, to be filled and read while this one runs.

        Returns:
            None where that would gain nothing, as on an accelerator, which is one device.
        """


@runtime_checkable
class Runtime(Protocol):
    """Opens model files of one kind.

    Attributes:
        suffixes: How the files' names end, such as (".tflite",).
    """

    suffixes: tuple[str, ...]

    def recognises(self, content: bytes) -> bool:
        """Whether a file's first bytes are of this kind."""

    def open(self, content: bytes, options: OpenOptions) -> Network:
        """Opens a model.

        Args:
            content: The file's bytes, without a card.
            options: How.

        Raises:
            ModelFileError: Not a model, or one that this runtime cannot run.
            DelegateError: The delegate cannot be loaded.
            UsageError: An option that this runtime does not know, such as a delegate; or a size is wanting.
        """

    def health(self) -> Health:
        """Tries whether this runtime works here, and keeps what it loaded for that."""


def shapes(tensors: Sequence[Any]) -> str:
    """Returns the shapes and types of some tensors, for messages."""
    return ", ".join(f"{'x'.join(map(str, t.shape))} {t.dtype}" for t in tensors) or "nothing"
