"""LiteRT, the runtime of `.tflite` files. Nothing else in edgeseg imports it.

Packages are tried in this order: `ai_edge_litert`, then `tflite_runtime` (its last wheels serve older boards). One
counts as present when it can construct an interpreter: tflite_runtime imports under NumPy 2 and then fails.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.errors import DelegateError, EdgesegError, ModelFileError, UsageError
from edgeseg.runtime.delegates import DelegateSpec, parse_delegate, probe
from edgeseg.runtime.origin import origin_of
from edgeseg.runtime.protocol import Health, OpenOptions, Origin, TensorInfo
from edgeseg.runtime.quiet import captured_stderr, telling
from edgeseg.runtime.trial import try_out

PACKAGES = (("ai_edge_litert.interpreter", "ai-edge-litert"), ("tflite_runtime.interpreter", "tflite-runtime"))
MAGIC = b"TFL3"
"""Bytes 4 to 8 of every `.tflite` file."""
_EMPTY_MODEL = bytes.fromhex(
    "1800000054464c3300000e00140010000c000800000004000e00000040000000100000000800000003000000000000000100000010000000"
    "0c00140010000c00080004000c000000100000000c00000008000000040000000000000001000000080000000400040004000000"
)
"""A model of one subgraph without operators. tflite-runtime under NumPy 2 refuses what is no model as it should, and
fails only where it would hand an interpreter out."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package of LiteRT that works here.

    Attributes:
        name: Its distribution's name.
        version: Its version.
        module: The module that has `Interpreter` and `load_delegate`.
    """

    name: str
    version: str
    module: Any


class LiteRT:
    """The runtime of `.tflite` files; see `runtime.protocol.Runtime`."""

    suffixes: tuple[str, ...] = (".tflite", ".lite")

    def recognises(self, content: bytes) -> bool:
        """Whether a file says that it is a `.tflite` model."""
        return content[4:8] == MAGIC

    def open(self, content: bytes, options: OpenOptions) -> Interpreter:
        """Opens a model on the delegate that was asked for; without one, on XNNPACK where that works.

        Raises:
            ModelFileError: Not a model, or one that cannot run.
            DelegateError: The delegate cannot be loaded.
            UsageError: The delegate is none, or the network takes images of any size and none is given.
        """
        spec = parse_delegate(options.delegate)
        if spec.name == "reference" and (options.threads or 1) > 1:
            raise UsageError(f"{options.threads} threads: the reference kernels run on one, leave --threads out")
        if spec.is_external:
            probe(spec, options.path, options.size)
            return Interpreter(content, options, spec, handle=load_delegate(spec.library, dict(spec.options)))
        if not options.proven:
            package = find_package()
            runtime = f"{package.name} {package.version}"
            try_out(content, options.name, runtime=runtime, delegate=spec.name, size=options.size)
        if spec.name != "auto":
            return Interpreter(content, options, spec)
        try:
            return Interpreter(content, options, DelegateSpec(name="xnnpack"))
        except ModelFileError as error:
            try:
                opened = Interpreter(content, options, DelegateSpec(name="none"))
            except ModelFileError:
                raise error from None
            opened.notices = (f"XNNPACK refused this file, plain kernels run it, several times slower ({error})",)
            return opened

    def health(self) -> Health:
        """Tries whether a package of LiteRT works here, and keeps it."""
        found, broken = probe_packages()
        if found is not None:
            return Health(ok=True, found=f"{found.name} {found.version}, makes an interpreter")
        return Health(ok=False, found="; ".join(broken) or "neither ai-edge-litert nor tflite-runtime")


@functools.cache
def find_package() -> Package:
    """Finds the first package that works.

    Raises:
        DelegateError: None is installed, or one that cannot construct an interpreter.
    """
    found, broken = probe_packages()
    if found is not None:
        return found
    if broken:
        raise DelegateError(f"{broken[0]}: `edgeseg doctor` says the fix for this machine")
    raise DelegateError("no TFLite runtime is installed: `edgeseg doctor` says which one this machine can have")


def probe_packages() -> tuple[Package | None, list[str]]:
    """Tries the packages in turn.

    Returns:
        The first that works, if any, and a line about each installed one that was tried before it and does not.
    """
    broken = []
    for name, package in PACKAGES:
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
            return Package(name=package, version=version, module=module), broken
    return None, broken


_RESOLVERS = {"none": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}
"""Which kernels run without a delegate."""


class Interpreter:
    """One network, loaded and allocated; see `runtime.protocol.Network`.

    Args:
        content: The content of a `.tflite` file.
        options: How to open it.
        spec: The delegate: "xnnpack", "none", "reference", or an external one.
        handle: The external one, from `load_delegate`.

    Raises:
        ModelFileError: Not a model, or one that LiteRT cannot run.
        UsageError: The network takes images of any size, and none is given.
    """

    def __init__(self, content: bytes, options: OpenOptions, spec: DelegateSpec, handle: Any = None) -> None:
        self._content, self._options, self._spec = content, options, spec
        self.device, self.accelerator = str(spec), spec.is_external
        self.notices: tuple[str, ...] = ()
        module = find_package().module
        extra: dict[str, Any] = {}
        if spec.name in _RESOLVERS:
            extra["experimental_op_resolver_type"] = getattr(module.OpResolverType, _RESOLVERS[spec.name])
        if handle is not None:
            extra["experimental_delegates"] = [handle]
        with captured_stderr() as log:
            try:
                self._handle = module.Interpreter(model_content=content, num_threads=options.threads or 1, **extra)
                for index, shape in _sized_inputs(self._handle.get_input_details(), options):
                    self._handle.resize_tensor_input(index, shape)
                self._handle.allocate_tensors()
                self.inputs = tuple(_info(d) for d in self._handle.get_input_details())
                self.outputs = tuple(_info(d) for d in self._handle.get_output_details())
            except EdgesegError:
                raise
            except Exception as error:  # a damaged file makes the runtime raise what it likes
                raise ModelFileError(_why_not_loaded(options.name, len(content), error, log())) from error

    def view(self, tensor: TensorInfo) -> npt.NDArray[Any]:
        """Returns a tensor's memory, not a copy. Let go of it before `invoke`, which refuses to run otherwise."""
        memory: npt.NDArray[Any] = self._handle.tensor(tensor.index)()
        return memory

    def origin(self, output: TensorInfo) -> Origin:
        """Returns what an output's values are, as far as the file tells."""
        return origin_of(self._content, output.index)

    def invoke(self) -> None:
        """Runs the network once; other threads of this process run meanwhile.

        Raises:
            DelegateError: An operator or the accelerator failed.
        """
        try:
            self._handle.invoke()
        except Exception as error:  # as above
            raise DelegateError(f"inference failed: {_first_line(error)}") from error

    def twin(self) -> Interpreter | None:
        """Returns another interpreter of the same file; None where an accelerator runs it, which is one device."""
        return None if self.accelerator else Interpreter(self._content, self._options, self._spec)


def load_delegate(library: str, options: dict[str, str]) -> Any:
    """Loads an external delegate into this process. Try it in another process first (`runtime.probe`).

    Raises:
        DelegateError: The library is missing or refuses.
    """
    with captured_stderr() as log:
        try:
            return find_package().module.load_delegate(library, options)
        except (ValueError, OSError, RuntimeError) as error:
            said = str(error).strip().splitlines()  # what the library reported follows the runtime's own line
            detail = telling(log()) or (said[-1] if said else type(error).__name__)
            raise DelegateError(f"cannot load delegate {library}: {detail}") from error


def _sized_inputs(inputs: list[dict[str, Any]], options: OpenOptions) -> list[tuple[int, list[int]]]:
    """Returns (index, shape) of each input whose rows or columns the file leaves open."""
    sized = []
    for details in inputs:
        signature = [int(n) for n in details.get("shape_signature", details["shape"])]
        if len(signature) != 4 or min(signature[1:3]) > 0:
            continue
        if options.size is None:
            raise UsageError(
                f"{options.name} takes images of any size: say which, height x width (size=, --size, for run "
                "--input-size)"
            )
        asked = zip(signature[1:3], options.size, strict=True)
        sides = [side if fixed < 1 else fixed for fixed, side in asked]
        sized.append((int(details["index"]), [1, *sides, max(1, signature[3])]))
    return sized


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
