"""What this machine tells about itself: processor, governor, temperature, throttling, cameras. Linux, standard library.

A value that the machine does not tell is None or an empty string, never a guess.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_CPU = Path("/sys/devices/system/cpu")
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
    """Jiffies since boot, over all processors, from /proc/stat; all None where that is missing.

    Attributes:
        busy: Spent by anybody's work, `steal` not counted.
        steal: Taken by other virtual machines.
        total: Busy, idle and stolen.
    """

    busy: int | None
    steal: int | None
    total: int | None


def host_info() -> HostInfo:
    """Describes the machine."""
    khz = _number(_CPU / "cpu0/cpufreq/cpuinfo_max_freq")
    return HostInfo(
        machine=platform.machine(),
        cpu=_cpu_name(),
        cores=usable_cores(),
        governor=governor(),
        max_mhz=None if khz is None else khz / 1000,
        memory_bytes=_memory(),
        kernel=platform.release(),
        python=platform.python_version(),
    )


def usable_cores() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    fields = _text(Path("/proc/stat")).partition("\n")[0].split()[1:]
    if len(fields) < 8 or not all(field.isdecimal() for field in fields):
        return CpuTimes(busy=None, steal=None, total=None)
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, fields[:8])
    busy = user + nice + system + irq + softirq
    return CpuTimes(busy=busy, steal=steal, total=busy + idle + iowait + steal)


def load_average() -> float | None:
    """Processes that wanted to run, on average over the last minute."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def peak_rss_bytes() -> int | None:
    """The most memory that this process has held at once."""
    for line in _text(Path("/proc/self/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


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


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


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
