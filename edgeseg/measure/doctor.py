"""Checks that this machine can do what edgeseg needs, and says the fix for what it cannot.

What may be missing or broken is tried in a process of its own: a wheel that was built for another NumPy, libc or
processor raises what it likes, or takes its process down with it. So this module imports none of it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.measure.advice import (
    OPENCV_WHEELS,
    install_extra,
    install_package,
    install_runtime,
    needs_old_numpy,
    replace_opencv,
    version_of,
)
from edgeseg.runtime.delegates import find_edgetpu

PYTHON_TESTED = ((3, 10), (3, 13))
_HOT_CELSIUS = 80.0
_WANTED_GOVERNORS = ("", "performance", "schedutil")
_TRY_SECONDS = 60.0


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
    numpy, numpy_reason = _tried("import numpy; result = numpy.__version__")
    opencv, *opencv_parts = _opencv(bool(numpy))
    machine, reason = _tried(_HOST)
    return [
        _python(),
        _environment(),
        _runtime(bool(numpy)),
        _numpy(numpy, numpy_reason),
        opencv,
        *_others(),
        *opencv_parts,
        *(_machine(machine) if machine else [Check(name="this machine", ok=False, found=reason, fix=_MEND_FIRST)]),
        _edgetpu(),
        *_workshop(),
    ]


# === What must work: tried, not only looked up ===

_HOST = """
from edgeseg import host
result = {"cores": host.usable_cores(), "governor": host.governor(), "celsius": host.temperature(),
          "slowed": host.throttling(), "devices": [(str(path), name) for path, name in host.video_devices()]}
"""
_RUNTIME = """
from edgeseg.runtime.registry import DEFAULT, RUNTIMES
health = RUNTIMES[DEFAULT].health()
result = {"ok": health.ok, "found": health.found}
"""
_OPENCV = """
import cv2
lines = [line.partition(":") for line in cv2.getBuildInformation().splitlines()]
build = {key.strip(): value.split()[0] for key, _, value in lines if value.split()}
result = {"version": cv2.__version__, "build": build}
"""
_MEND_FIRST = "mend what is marked FAIL above first"


def _tried(code: str) -> tuple[Any, str]:
    """Runs Python code in a process of its own, with this one's paths.

    Returns:
        What it assigned to `result` (of the types that JSON has), and ""; or None and the reason why it failed.
    """
    whole = f"import json, sys\nsys.path[:] = {sys.path!r}\n{code}\nprint('\\n' + json.dumps(result))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", whole], capture_output=True, text=True, timeout=_TRY_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer in {_TRY_SECONDS:.0f} s"
    if done.returncode < 0:
        return None, f"importing it ends the process ({signal.Signals(-done.returncode).name})"
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or ["it ends without a reason"])[-1]
    return json.loads(done.stdout.splitlines()[-1]), ""


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    oldest, newest = PYTHON_TESTED
    span = f"{oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
    ok = oldest <= sys.version_info[:2] <= newest
    too_old = sys.version_info[:2] < oldest
    return Check(name="Python", ok=ok, found=found, fix="" if ok else f"tested with Python {span}", required=too_old)


def _environment() -> Check:
    """Tells whether pip may install here at all (PEP 668: Debian and Raspberry Pi OS keep it out of their Python)."""
    if sys.prefix != sys.base_prefix:
        return Check(name="environment", ok=True, found=sys.prefix)
    managed = (Path(os.__file__).parent / "EXTERNALLY-MANAGED").is_file()
    fix = "python3 -m venv --system-site-packages .venv && . .venv/bin/activate, then install edgeseg there"
    return Check(
        name="environment",
        ok=not managed,
        found=f"{sys.prefix}, the system's Python" + (", where pip may not install" if managed else ""),
        fix=fix if managed else "",
    )


def _numpy(version: str | None, reason: str) -> Check:
    if version is None:
        installed = version_of("numpy")
        fix = install_package("numpy", again=bool(installed))
        return Check(name="NumPy", ok=False, found=_broken(installed, reason), fix=fix, required=True)
    too_new = needs_old_numpy() and int(version.split(".")[0]) >= 2
    fix = f"tflite-runtime needs NumPy 1: {install_extra('tflite-runtime')}" if too_new else ""
    return Check(name="NumPy", ok=not too_new, found=version, fix=fix, required=True)


def _runtime(numpy_works: bool) -> Check:
    health, reason = _tried(_RUNTIME)
    if health and health["ok"]:
        return Check(name="TFLite runtime", ok=True, found=health["found"], required=True)
    if not numpy_works:
        return Check(name="TFLite runtime", ok=False, found=reason, fix="mend NumPy first", required=True)
    fix = install_runtime(again=bool(version_of("ai-edge-litert")))
    found = health["found"] if health else reason
    return Check(name="TFLite runtime", ok=False, found=found, fix=fix, required=True)


def _opencv(numpy_works: bool) -> Iterable[Check]:
    wheels = [name for name in OPENCV_WHEELS if version_of(name)]
    found, reason = _tried(_OPENCV)
    if found is None:
        fix = replace_opencv(wheels) if numpy_works else "mend NumPy first"
        yield Check(name="OpenCV", ok=False, found=_broken(", ".join(wheels), reason), fix=fix, required=True)
        return
    several = len(wheels) > 1
    yield Check(
        name="OpenCV",
        ok=not several,
        found=f"{found['version']}, {', '.join(wheels) or 'the system package'}",
        fix=f"they overwrite each other: {replace_opencv(wheels)}" if several else "",
        required=True,
    )
    system = "only where you need it: the system's python3-opencv (apt), in a venv --system-site-packages without pip's"
    window = f"only where you need it, --serve does without: {replace_opencv(wheels, 'opencv-python')}"
    parts = (
        ("FFMPEG", "FFMPEG", "videos and streams", replace_opencv(wheels)),
        ("V4L2", "v4l/v4l2", "cameras", replace_opencv(wheels)),
        ("GStreamer", "GStreamer", "Jetson CSI cameras and pipelines", system),
        ("windows", "GUI", "--window", window),
    )
    for name, key, use, fix in parts:
        has = found["build"].get(key, "NO") not in ("NO", "NONE")
        yield Check(name=f"OpenCV {name}", ok=has, found=f"{'yes' if has else 'no'} ({use})", fix="" if has else fix)


def _others() -> Iterable[Check]:
    parts = (("Pillow", "PIL.Image", "pillow"), ("psutil", "psutil", "psutil"), ("Jinja2", "jinja2", "jinja2"))
    for name, module, package in parts:
        _, reason = _tried(f"import {module}; result = 0")
        installed = version_of(package)
        fix = install_package(package, again=bool(installed)) if reason else ""
        found = _broken(installed, reason) if reason else installed
        yield Check(name=name, ok=not reason, found=found or "present", fix=fix, required=True)


def _broken(installed: str, reason: str) -> str:
    return f"{installed} is installed and broken: {reason}" if installed else f"not installed ({reason})"


# === This machine ===


def _machine(told: dict[str, Any]) -> Iterable[Check]:
    yield _cameras(told["devices"])
    yield _processor(told["cores"], told["governor"])
    yield _heat(told["celsius"], told["slowed"])


def _cameras(devices: Sequence[tuple[str, str]]) -> Check:
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


def _processor(cores: int, governor: str) -> Check:
    ok = governor in _WANTED_GOVERNORS
    fix = "" if ok else "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return Check(name="processor", ok=ok, found=f"{cores} cores, governor {governor or 'none'}", fix=fix)


def _heat(celsius: float | None, slowed: str) -> Check:
    told = ["" if celsius is None else f"{celsius:.0f} °C", slowed]
    ok = not slowed and (celsius is None or celsius < _HOT_CELSIUS)
    return Check(
        name="heat and power",
        ok=ok,
        found=", ".join(filter(None, told)) or "the board does not tell",
        fix="" if ok else "cool the board; a stronger power supply",
    )


def _edgetpu() -> Check:
    library = find_edgetpu()
    return Check(
        name="Edge TPU library",
        ok=library is not None,
        found=library or "none",
        fix="" if library else "only with a Coral accelerator: libedgetpu1-std, or a build of feranick/libedgetpu",
    )


def _workshop() -> Iterable[Check]:
    parts = (
        ("tensorflow", "tensorflow", "training and conversion", "train"),
        ("keras", "keras", "training", "train"),
        ("tf_keras", "tf_keras", "conversion", "train"),
        ("pymavlink", "pymavlink", "MAVLink messages", "mavlink"),
        ("rasterio", "rasterio", "surveys of GeoTIFFs", "geo"),
        ("ray", "ray", "surveys by several workers", "ray"),
    )
    for module, package, use, extra in parts:
        has = importlib.util.find_spec(module) is not None
        yield Check(
            name=package,
            ok=has,
            found=f"{version_of(package) or 'present' if has else 'not installed'} ({use})",
            fix="" if has else f"only where you need it: {install_extra(extra)}",
        )
