"""What this machine tells about itself: processor, governor, temperature, throttling, cameras.

By psutil where it gives it, else from Linux's /sys and /proc: psutil knows no governors, no throttling, no cameras and
no peak memory of a process on Linux, and its temperatures are those of disks and network chips, too.
A value that the machine does not tell is None or an empty string, never a guess.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_CPU = Path("/sys/devices/system/cpu")
_CGROUP = Path("/sys/fs/cgroup")
_PI_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
_PI_NOW = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
"""Bits of the Raspberry Pi firmware's get_throttled word (raspberrypi.com documentation of vcgencmd)."""


@dataclass(frozen=True, kw_only=True)
class HostInfo:
    """The machine.

    Attributes:
        machine: Architecture, "x86_64" or "aarch64".
        cpu: The processor's or board's name.
        cores: Processors that this process may use.
        governor: CPU frequency governor; "" if there is none.
        max_mhz: Highest CPU frequency; None if unknown.
        memory_bytes: Physical memory; None if unknown.
        kernel: Kernel release.
        python: Python's version.
    """

    machine: str
    cpu: str
    cores: int
    governor: str
    max_mhz: float | None
    memory_bytes: int | None
    kernel: str
    python: str


@dataclass(frozen=True, kw_only=True)
class CpuTimes:
    """Seconds since boot, over all processors; all None where the machine does not tell.

    Attributes:
        busy: Spent by anybody's work, `steal` not counted.
        steal: Taken by other virtual machines.
        total: Busy, idle and stolen.
    """

    busy: float | None
    steal: float | None
    total: float | None


def host_info() -> HostInfo:
    """Describes the machine."""
    return HostInfo(
        machine=platform.machine(),
        cpu=_cpu_name(),
        cores=usable_cores(),
        governor=governor(),
        max_mhz=_max_mhz(),
        memory_bytes=psutil.virtual_memory().total,
        kernel=platform.release(),
        python=platform.python_version(),
    )


def usable_cores() -> int:
    """How many processors this process may run on."""
    return len(psutil.Process().cpu_affinity() or [0])


def governor() -> str:
    """The frequency governor of the first processor; "" if there is none."""
    return _text(_CPU / "cpu0/cpufreq/scaling_governor")


def temperature() -> float | None:
    """The hottest thermal zone, degrees Celsius."""
    zones = [_number(zone) for zone in Path("/sys/class/thermal").glob("thermal_zone*/temp")]
    known = [zone / 1000 for zone in zones if zone is not None and zone > 0]
    return max(known) if known else None


def throttle_events() -> int | None:
    """How often the processors slowed down for heat since boot; compare two readings."""
    counts = [_number(path) for path in _CPU.glob("cpu*/thermal_throttle/core_throttle_count")]
    known = [int(count) for count in counts if count is not None]
    return sum(known) if known else None


def throttling() -> str:
    """What slows the board down right now, as a Raspberry Pi's firmware tells: "throttled, under-voltage"; else ""."""
    try:
        word = int(_text(_PI_THROTTLED), 16)
    except ValueError:
        return ""
    return ", ".join(name for bit, name in _PI_NOW.items() if word >> bit & 1)


def cpu_times() -> CpuTimes:
    """Reads the processors' time account."""
    try:
        told = psutil.cpu_times()
    except (OSError, ValueError):  # a container without /proc/stat
        return CpuTimes(busy=None, steal=None, total=None)
    busy = told.user + told.nice + told.system + told.irq + told.softirq
    return CpuTimes(busy=busy, steal=told.steal, total=busy + told.idle + told.iowait + told.steal)


def load_average() -> float | None:
    """Processes that wanted to run, on average over the last minute."""
    try:
        return psutil.getloadavg()[0]
    except OSError:
        return None


def peak_rss_bytes() -> int | None:
    """The most memory that this process has held at once."""
    for line in _text(Path("/proc/self/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def free_memory_bytes() -> int:
    """Memory that programs may still take: what the machine has free, or what a container or batch job is left."""
    free = psutil.virtual_memory().available
    groups = [line[3:].strip("/") for line in _text(Path("/proc/self/cgroup")).splitlines() if line.startswith("0::")]
    for folder in {_CGROUP / group for group in ("", *groups)}:
        limit, used = (_number(folder / name) for name in ("memory.max", "memory.current"))
        if limit is not None and used is not None:
            cached = re.search(r"^inactive_file (\d+)", _text(folder / "memory.stat"), re.MULTILINE)
            free = min(free, max(0, int(limit - used) + (int(cached[1]) if cached else 0)))
    return free


def video_devices() -> tuple[tuple[Path, str], ...]:
    """The V4L2 devices and what their drivers call them; a camera often has several, of which the first streams."""
    devices = sorted(Path("/dev").glob("video[0-9]*"), key=lambda path: int(path.name[5:]))
    return tuple((path, _text(Path("/sys/class/video4linux") / path.name / "name")) for path in devices)


def _cpu_name() -> str:
    board = _text(Path("/proc/device-tree/model")).rstrip("\0")
    if board:
        return board
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.processor()


def _max_mhz() -> float | None:
    try:
        told = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    return told.max or None if told else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> float | None:
    try:
        return float(_text(path))
    except ValueError:
        return None


def tool_versions() -> tuple[tuple[str, str], ...]:
    """Returns (name, version) of edgeseg and of the packages that make a model, as far as they are installed."""
    found = []
    for name in ("edgeseg", "tensorflow", "keras", "tf_keras", "tensorflow-model-optimization"):
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(found)
