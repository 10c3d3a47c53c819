"""Checks that this machine can do what edgeseg needs, and says the fix for what it cannot."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from edgeseg.host import governor, temperature, throttling, usable_cores, video_devices
from edgeseg.runtime.delegates import find_edgetpu
from edgeseg.runtime.interpreter import probe_runtimes

PYTHON_TESTED = ((3, 10), (3, 14))
_HOT_CELSIUS = 80.0
_WANTED_GOVERNORS = ("", "performance", "schedutil")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One finding.

    Attributes:
        name: What was looked at.
        ok: Whether it is as it should be.
        found: What was found.
        fix: What to do about it; "" where there is nothing to do.
        required: Whether edgeseg cannot run a model without it.
    """

    name: str
    ok: bool
    found: str
    fix: str = ""
    required: bool = False


def examine() -> list[Check]:
    """Looks at everything. Nothing is imported that edgeseg's device half does not need.

    Returns:
        The findings, the required ones first.
    """
    return [
        _python(),
        *_runtime(),
        _numpy(),
        *_opencv(),
        _cameras(),
        *_delegates(),
        _processor(),
        _heat(),
        *_workshop(),
    ]


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    oldest, newest = PYTHON_TESTED
    span = f"{oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
    ok = oldest <= sys.version_info[:2] <= newest
    return Check(name="Python", ok=ok, found=found, fix="" if ok else f"use Python {span}", required=True)


def _runtime() -> Iterable[Check]:
    runtime, broken = probe_runtimes()
    if runtime is not None:
        found = f"{runtime.package} {runtime.version}, constructs an interpreter"
        yield Check(name="TFLite runtime", ok=True, found=found, required=True)
    else:
        fix = 'pip install ai-edge-litert; on 32-bit ARM: pip install "edgeseg[tflite-runtime]"'
        if any("tflite-runtime" in line for line in broken):
            fix = f"pip install 'numpy<2' for tflite-runtime, or {fix}"
        found = "; ".join(broken) or "neither ai-edge-litert nor tflite-runtime"
        yield Check(name="TFLite runtime", ok=False, found=found, fix=fix, required=True)


def _numpy() -> Check:
    found = np.__version__
    old_runtime = _version("tflite-runtime") and not _version("ai-edge-litert")
    ok = not (old_runtime and int(found.split(".")[0]) >= 2)
    return Check(
        name="NumPy",
        ok=ok,
        found=found,
        fix="" if ok else "tflite-runtime needs it: pip install 'numpy<2'",
        required=True,
    )


def _opencv() -> Iterable[Check]:
    wheels = [name for name in _OPENCV_WHEELS if _version(name)]
    yield Check(
        name="OpenCV",
        ok=len(wheels) <= 1,
        found=f"{cv2.__version__}, {', '.join(wheels) or 'the system package'}",
        fix="" if len(wheels) <= 1 else f"they overwrite each other: pip uninstall {' '.join(wheels[1:])}",
        required=True,
    )
    build = {
        key.strip(): value.split()[0]
        for key, _, value in (line.partition(":") for line in cv2.getBuildInformation().splitlines())
        if value.split()
    }
    parts = (
        ("FFMPEG", "FFMPEG", "videos and streams", "pip install opencv-python-headless"),
        ("V4L2", "v4l/v4l2", "cameras", "pip install opencv-python-headless"),
        (
            "GStreamer",
            "GStreamer",
            "Jetson CSI cameras and pipelines",
            "only where you need it: the system's python3-opencv",
        ),
        ("windows", "GUI", "--window", "only where you need it: pip install opencv-python, or use --serve"),
    )
    for name, key, use, fix in parts:
        has = build.get(key, "NO") not in ("NO", "NONE")
        yield Check(name=f"OpenCV {name}", ok=has, found=f"{'yes' if has else 'no'} ({use})", fix="" if has else fix)


def _cameras() -> Check:
    devices = video_devices()
    if not devices:
        return Check(
            name="cameras",
            ok=False,
            found="no /dev/video*",
            fix="plug one in; Raspberry Pi CSI: sudo apt install python3-picamera2, then --camera csi",
        )
    closed = [path for path, _ in devices if not os.access(path, os.R_OK | os.W_OK)]
    found = ", ".join(f"{path} {name}".strip() for path, name in devices)
    fix = f"no permission for {closed[0]}: sudo usermod -aG video $USER, then log in again" if closed else ""
    return Check(name="cameras", ok=not closed, found=found, fix=fix)


def _delegates() -> Iterable[Check]:
    library = find_edgetpu()
    yield Check(
        name="Edge TPU library",
        ok=library is not None,
        found=library or "none",
        fix="" if library else "only with a Coral accelerator: libedgetpu1-std, or a build of feranick/libedgetpu",
    )


def _processor() -> Check:
    found, now = governor(), usable_cores()
    ok = found in _WANTED_GOVERNORS
    fix = "" if ok else "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return Check(name="processor", ok=ok, found=f"{now} cores, governor {found or 'none'}", fix=fix)


def _heat() -> Check:
    celsius, slowed = temperature(), throttling()
    found = (
        ", ".join(filter(None, ["" if celsius is None else f"{celsius:.0f} °C", slowed])) or "the board does not tell"
    )
    ok = not slowed and (celsius is None or celsius < _HOT_CELSIUS)
    return Check(name="heat and power", ok=ok, found=found, fix="" if ok else "cool the board; a stronger power supply")


def _workshop() -> Iterable[Check]:
    parts = (
        ("tensorflow", "tensorflow", "training and conversion", "train"),
        ("keras", "keras", "training", "train"),
        ("tensorflow_model_optimization", "tensorflow-model-optimization", "quantization-aware training", "qat"),
        ("pymavlink", "pymavlink", "MAVLink messages", "mavlink"),
    )
    for module, package, use, extra in parts:
        has = importlib.util.find_spec(module) is not None
        yield Check(
            name=package,
            ok=has,
            found=f"{_version(package) or 'present' if has else 'not installed'} ({use})",
            fix="" if has else f'only where you need it: pip install "edgeseg[{extra}]"',
        )


_OPENCV_WHEELS = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
