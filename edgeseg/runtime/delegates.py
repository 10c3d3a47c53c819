"""What `--delegate` means, and loading it so that a bad library costs a message and not the process.

    none                       plain CPU kernels, XNNPACK off
    reference                  the reference kernels: slow, and what others are compared with
    xnnpack                    XNNPACK or an error; without --delegate it is used where it works
    edgetpu[:usb|:pci|:N]      a Coral Edge TPU: the first, the first on USB or PCIe, or number N
    /path/lib.so[,key=value]   any external TFLite delegate with its options

An external delegate is first loaded in a child process (`edgeseg.runtime.probe`): one that was built for another
runtime takes its process down with it (google-coral/edgetpu #812).
"""

from __future__ import annotations

import ctypes.util
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edgeseg.errors import DelegateError, UsageError

EDGETPU_LIBRARY = "libedgetpu.so.1"
EDGETPU_BUSES = ("usb", "pci")
_PROBE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class DelegateSpec:
    """A parsed `--delegate`.

    Attributes:
        name: "auto", "none", "reference", "xnnpack", "edgetpu" or "external".
        library: The shared object of an external delegate.
        options: Its options, as (key, value).
    """

    name: str
    library: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @property
    def is_external(self) -> bool:
        """Whether a shared object is loaded."""
        return bool(self.library)

    def __str__(self) -> str:
        """Returns it in the form that the command line takes."""
        if self.name == "external":
            return ",".join([self.library, *(f"{key}={value}" for key, value in self.options)])
        return self.name + "".join(f":{value.lstrip(':')}" for _, value in self.options)


def parse_delegate(text: str | None) -> DelegateSpec:
    """Reads the value of `--delegate`; None is "auto".

    Raises:
        UsageError: It is none of the forms above.
    """
    if text is None:
        return DelegateSpec(name="auto")
    if text in ("none", "reference", "xnnpack"):
        return DelegateSpec(name=text)
    kind, _, device = text.partition(":")
    if kind == "edgetpu":
        if device and device not in EDGETPU_BUSES and not device.isdecimal():
            raise UsageError(f"delegate '{text}': expected edgetpu, edgetpu:usb, edgetpu:pci or edgetpu:N")
        value = f":{device}" if device.isdecimal() else device
        return DelegateSpec(name="edgetpu", library=EDGETPU_LIBRARY, options=(("device", value),) if device else ())
    library, *pairs = text.split(",")
    if "/" not in library and not library.endswith(".so"):
        raise UsageError(
            f"unknown delegate '{text}': expected edgetpu[:usb|:pci|:N], xnnpack, none, reference or /path/lib.so"
        )
    options = [pair.partition("=") for pair in pairs]
    for key, equals, _ in options:
        if not key or not equals:
            raise UsageError(f"delegate '{text}': expected options as key=value, separated by commas")
    return DelegateSpec(name="external", library=library, options=tuple((key, value) for key, _, value in options))


def probe(spec: DelegateSpec, model: str | None = None, size: tuple[int, int] | None = None) -> None:
    """Loads an external delegate in a child process, and runs a model on it once if one is given.

    Args:
        spec: Which delegate.
        model: Path of a `.tflite` file to run.
        size: (rows, columns) of its input, for one that takes any.

    Raises:
        DelegateError: It is missing, refuses, crashes or hangs; the message says what to do.
    """
    if spec.name == "external" and "/" in spec.library and not Path(spec.library).is_file():
        raise DelegateError(f"delegate {spec.library}: no such file; give the path of a TFLite delegate's .so")
    request = json.dumps({"library": spec.library, "options": dict(spec.options), "model": model, "size": size})
    command = [sys.executable, "-m", "edgeseg.runtime.probe", request]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise DelegateError(
            f"delegate {spec} hangs: no answer in {_PROBE_SECONDS:.0f} s; unplug the accelerator and plug it in again"
        ) from error
    if done.returncode == 0:
        return
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise DelegateError(f"delegate {spec} crashes when loaded ({name}): {_crash_remedy(spec)}")
    lines = done.stdout.strip().splitlines()
    reason = lines[-1] if lines else (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    raise DelegateError(f"{reason}; {_refusal_remedy(spec, reason)}")


def find_edgetpu() -> str | None:
    """Returns the file name of the Edge TPU runtime library, or None where it is not installed."""
    return ctypes.util.find_library("edgetpu")


def _crash_remedy(spec: DelegateSpec) -> str:
    if spec.name == "edgetpu":
        return "stock libedgetpu needs a runtime up to TensorFlow 2.11; install one of feranick/libedgetpu's builds"
    return "it was built for another TFLite version; build it against the one that is installed (edgeseg doctor)"


def _refusal_remedy(spec: DelegateSpec, reason: str) -> str:
    if spec.name != "edgetpu":
        return "check the library's path, its dependencies (ldd) and its options"
    if "cannot open shared object" in reason or find_edgetpu() is None:
        return "install libedgetpu1-std (Debian) or a build from feranick/libedgetpu"
    return "is the accelerator plugged in, and may you open it? add udev's rule (group plugdev) and plug it in again"
