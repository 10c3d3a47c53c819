"""What the machine tells about itself, on made-up machines."""

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


def test_cpu_times(files):
    files({"/proc/stat": "cpu  10 20 30 400 5 6 7 8 0 0\ncpu0 1 2 3"})
    assert host.cpu_times() == host.CpuTimes(busy=73, steal=8, total=486)


@pytest.mark.parametrize("content", ["", "cpu 1 2", "cpu a b c d e f g h"])
def test_unknown_cpu_times(files, content):
    files({"/proc/stat": content})
    assert host.cpu_times() == host.CpuTimes(busy=None, steal=None, total=None)


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
