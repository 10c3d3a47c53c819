"""The commands that mend an environment, as `edgeseg doctor` gives them; tests follow each in a scratch environment.

Each function returns a shell line. A package is never taken away without its successor in the same line, and no line
brings in a NumPy that the TFLite runtime at hand cannot stand.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

OPENCV_WHEELS = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
"""All of them install the same folder, cv2: one environment holds one."""

_LITERT_MACHINES = ("x86_64", "aarch64", "arm64")
_TFLITE_RUNTIME_UNTIL = (3, 11)
"""The last Python that tflite-runtime 2.14, the last of its line, has wheels for."""


def version_of(package: str) -> str:
    """Returns a distribution's version; "" where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def needs_old_numpy() -> bool:
    """Whether the only TFLite runtime here is tflite-runtime, which was built for NumPy 1."""
    return bool(version_of("tflite-runtime")) and not version_of("ai-edge-litert")


def install_runtime(
    machine: str = platform.machine(), python: tuple[int, int] = sys.version_info[:2], *, again: bool = False
) -> str:
    """Returns how to get a TFLite runtime.

    Args:
        machine: The processor's architecture.
        python: Python's version.
        again: LiteRT is installed and broken.
    """
    if machine in _LITERT_MACHINES:
        return _reinstall("ai-edge-litert") if again else "pip install ai-edge-litert"
    if python > _TFLITE_RUNTIME_UNTIL:
        newest = ".".join(map(str, _TFLITE_RUNTIME_UNTIL))
        return f"no TFLite runtime has a wheel for Python {python[0]}.{python[1]} on {machine}: use Python {newest}"
    return install_extra("tflite-runtime")


def install_extra(extra: str) -> str:
    """Returns how to add one of edgeseg's extras: to the installed package, or to the checkout that runs."""
    if version_of("edgeseg"):
        return f'pip install "edgeseg[{extra}]"'
    return f'pip install -e "{Path(__file__).parents[2]}[{extra}]"'


def install_package(package: str, *, again: bool = False) -> str:
    """Returns how to install a package that edgeseg depends on.

    Args:
        package: Its distribution's name.
        again: It is installed and broken.
    """
    wanted = "'numpy<2'" if package == "numpy" and needs_old_numpy() else package
    return _reinstall(wanted) if again else f"pip install {wanted}"


def replace_opencv(installed: Iterable[str], wanted: str = "opencv-python-headless") -> str:
    """Returns how to have one wheel of OpenCV in the place of those that are there.

    Removing one of two takes the files of both, so all go and one comes.
    """
    gone = " ".join(installed)
    pin = " 'numpy<2'" if needs_old_numpy() else ""
    return (f"pip uninstall -y {gone} && " if gone else "") + f"pip install {wanted}{pin}"


def _reinstall(wanted: str) -> str:
    return f"pip install --force-reinstall --no-deps {wanted}"
