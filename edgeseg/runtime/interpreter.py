"""Loading LiteRT and opening models in it. Nothing else in edgeseg imports a TFLite runtime.

Runtimes are tried in this order: `ai_edge_litert`, then `tflite_runtime` (its last wheels serve older boards). A
runtime counts as present when it can construct an interpreter: tflite_runtime imports under NumPy 2 and then fails.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.errors import DelegateError, ModelFileError
from edgeseg.runtime.quiet import captured_stderr, telling

RUNTIMES = (("ai_edge_litert.interpreter", "ai-edge-litert"), ("tflite_runtime.interpreter", "tflite-runtime"))
_EMPTY_MODEL = bytes.fromhex(
    "1800000054464c3300000e00140010000c000800000004000e00000040000000100000000800000003000000000000000100000010000000"
    "0c00140010000c00080004000c000000100000000c00000008000000040000000000000001000000080000000400040004000000"
)
"""A model of one subgraph without operators. tflite-runtime under NumPy 2 refuses what is no model as it should, and
fails only where it would hand an interpreter out."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A TFLite runtime that works here.

    Attributes:
        package: Its distribution's name.
        version: Its version.
        module: The module that has `Interpreter` and `load_delegate`.
    """

    package: str
    version: str
    module: Any


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """An input or output of a network.

    Attributes:
        index: The tensor's number in the file.
        name: Its name in the file.
        shape: Its dimensions.
        dtype: Its type.
        scale: Real value of one step; 0 if it is not quantized.
        zero_point: Stored value of real zero.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int


@functools.cache
def find_runtime() -> Runtime:
    """Finds the first TFLite runtime that works.

    Raises:
        DelegateError: None is installed, or one that cannot construct an interpreter.
    """
    found, broken = probe_runtimes()
    if found is not None:
        return found
    if broken:
        raise DelegateError(f"{broken[0]}: `edgeseg doctor` says the fix for this machine")
    raise DelegateError("no TFLite runtime is installed: `edgeseg doctor` says which one this machine can have")


def probe_runtimes() -> tuple[Runtime | None, list[str]]:
    """Tries the runtimes in turn.

    Returns:
        The first that works, if any, and a line about each installed one that was tried before it and does not.
    """
    broken = []
    for name, package in RUNTIMES:
        try:
            with captured_stderr():
                module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        except Exception as error:  # a C extension built for another NumPy or libc raises what it likes
            broken.append(f"{package} is installed and cannot be imported ({_first_line(error)})")
            continue
        version = importlib.metadata.version(package)
        try:
            with captured_stderr():
                module.Interpreter(model_content=_EMPTY_MODEL)
        except Exception as error:  # SystemError under NumPy 2
            broken.append(f"{package} {version} imports and cannot construct an interpreter ({_first_line(error)})")
        else:
            return Runtime(package=package, version=version, module=module), broken
    return None, broken


class Interpreter:
    """One network, loaded and allocated.

    Args:
        model: The content of a `.tflite` file.
        threads: Threads of the CPU kernels.
        xnnpack: Whether the runtime's own accelerator, XNNPACK, takes what it can.
        delegate: An external delegate from `load_delegate`.
        name: What error messages call the model.

    Raises:
        ModelFileError: Not a model, or one that this runtime cannot run.
    """

    def __init__(
        self, model: bytes, *, threads: int = 1, xnnpack: bool = True, delegate: Any = None, name: str = "the model"
    ) -> None:
        module = find_runtime().module
        options: dict[str, Any] = {}
        if not xnnpack:
            options["experimental_op_resolver_type"] = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        if delegate is not None:
            options["experimental_delegates"] = [delegate]
        with captured_stderr() as log:
            try:
                self._handle = module.Interpreter(model_content=model, num_threads=threads, **options)
                self._handle.allocate_tensors()
            except (ValueError, RuntimeError) as error:
                raise ModelFileError(_why_not_loaded(name, len(model), error, log())) from error
        self.inputs = tuple(_info(d) for d in self._handle.get_input_details())
        self.outputs = tuple(_info(d) for d in self._handle.get_output_details())

    def view(self, tensor: TensorInfo) -> npt.NDArray[Any]:
        """Returns a tensor's memory, not a copy. Let go of it before `invoke`, which refuses to run otherwise."""
        memory: npt.NDArray[Any] = self._handle.tensor(tensor.index)()
        return memory

    def invoke(self) -> None:
        """Runs the network once; other threads of this process run meanwhile.

        Raises:
            DelegateError: An operator or the accelerator failed.
        """
        try:
            self._handle.invoke()
        except (ValueError, RuntimeError) as error:
            raise DelegateError(f"inference failed: {_first_line(error)}") from error


def load_delegate(library: str, options: dict[str, str]) -> Any:
    """Loads an external delegate into this process. Try it in another process first (`runtime.probe`).

    Raises:
        DelegateError: The library is missing or refuses.
    """
    with captured_stderr() as log:
        try:
            return find_runtime().module.load_delegate(library, options)
        except (ValueError, OSError, RuntimeError) as error:
            said = str(error).strip().splitlines()  # what the library reported follows the runtime's own line
            detail = telling(log()) or (said[-1] if said else type(error).__name__)
            raise DelegateError(f"cannot load delegate {library}: {detail}") from error


def _info(details: dict[str, Any]) -> TensorInfo:
    scale, zero_point = details["quantization"]
    return TensorInfo(
        index=int(details["index"]),
        name=str(details["name"]),
        shape=tuple(int(n) for n in details["shape"]),
        dtype=np.dtype(details["dtype"]),
        scale=float(scale),
        zero_point=int(zero_point),
    )


def _why_not_loaded(name: str, size: int, error: Exception, log: str) -> str:
    text = f"{error} {log}"
    if "edgetpu-custom-op" in text:
        return f"{name} is compiled for the Edge TPU: run it with --delegate edgetpu, or take the file for the CPU"
    if "Flatbuffer" in text or "Could not open" in text or "model_content" in text:
        return f"{name} is not a .tflite model, or is cut off or damaged ({size} bytes): copy or convert it again"
    if "unresolved custom op" in text.lower() or "Flex" in text:
        return f"{name} needs operators that this runtime lacks ({_first_line(error)}): convert it with builtins only"
    return f"{name} cannot be loaded: {telling(log) or _first_line(error)}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
