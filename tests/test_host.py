"""What the machine tells about itself, on made-up machines."""

import os

import psutil
import pytest

from edgeseg import host


@pytest.fixture
def files(monkeypatch):
    """`files({"/proc/stat": "..."})` makes those files say that, and all others be absent."""

    def pretend(contents):
        monkeypatch.setattr(host, "_text", lambda path: contents.get(str(path), ""))

    return pretend


def test_this_machine():
    info = host.host_info()
    assert info.cores >= 1
    assert info.machine
    assert host.peak_rss_bytes() > 1e6


@pytest.fixture
def proc(monkeypatch, tmp_path):
    """`proc("cpu 1 2 ...")` makes that /proc/stat."""

    def pretend(stat):
        (tmp_path / "stat").write_text(stat)
        monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))

    return pretend


def test_cpu_times(proc):
    proc("cpu  1000 2000 3000 40000 500 600 700 800 0 0\ncpu0 1 2 3\n")
    ticks = os.sysconf("SC_CLK_TCK")
    assert host.cpu_times() == host.CpuTimes(busy=7300 / ticks, steal=800 / ticks, total=48600 / ticks)


def test_unknown_cpu_times(monkeypatch, tmp_path):
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "absent"))
    assert host.cpu_times() == host.CpuTimes(busy=None, steal=None, total=None)


def test_frequency_and_memory_are_those_of_the_machine():
    info = host.host_info()
    assert info.memory_bytes == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert info.max_mhz is None or 100 < info.max_mhz < 10_000
    assert info.cores == len(os.sched_getaffinity(0))


def test_a_raspberry_pi_in_trouble(files):
    files({"/sys/devices/platform/soc/soc:firmware/get_throttled": "50005"})
    assert host.throttling() == "under-voltage, throttled"


def test_a_board_that_does_not_tell(files):
    files({})
    assert host.throttling() == ""
    assert host.governor() == ""
    assert host.peak_rss_bytes() is None


def test_the_boards_name(files):
    files({"/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0", "/proc/cpuinfo": "model name : other"})
    assert host.host_info().cpu == "Raspberry Pi 4 Model B Rev 1.4"
    files({"/proc/cpuinfo": "processor : 0\nmodel name\t: AMD EPYC\n"})
    assert host.host_info().cpu == "AMD EPYC"


def test_free_memory_is_what_the_machine_has_or_what_a_container_is_left(files):
    files({})
    assert host.free_memory_bytes() == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    files(
        {
            "/proc/self/cgroup": "1:cpu:/\n0::/job7",
            "/sys/fs/cgroup/memory.max": "max",
            "/sys/fs/cgroup/memory.current": "9000000",
            "/sys/fs/cgroup/job7/memory.max": "5000000",
            "/sys/fs/cgroup/job7/memory.current": "4000000",
            "/sys/fs/cgroup/job7/memory.stat": "anon 1\ninactive_file 500000\nactive_file 7",
        }
    )
    assert host.free_memory_bytes() == 1_500_000  # what is only cached can be dropped
