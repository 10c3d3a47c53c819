"""`edgeseg doctor`: what is found, what it says to do, and when it fails."""

from pathlib import Path

import pytest

from edgeseg.measure import doctor


@pytest.fixture
def checks():
    """`checks()["cameras"]` is that check, made anew."""
    return lambda: {check.name: check for check in doctor.examine()}


def test_here_everything_required_is_there(cli):
    done = cli("doctor", "--json")
    assert done.exit_code == 0, done.stderr
    assert all(check.keys() == {"name", "ok", "found", "fix"} for check in done.json["checks"])
    by_name = {check["name"]: check for check in done.json["checks"]}
    assert by_name["Python"]["ok"]
    assert by_name["TFLite runtime"]["ok"]
    assert by_name["OpenCV"]["ok"]
    assert "cameras" in by_name


def test_what_is_amiss_has_a_fix(checks):
    for check in checks().values():
        assert check.ok or check.fix, check
        assert check.found


def test_without_a_runtime_it_fails_and_says_what_to_install(cli, monkeypatch):
    monkeypatch.setattr(doctor, "probe_runtimes", lambda: (None, []))
    done = cli("doctor")
    assert done.exit_code == 1
    assert "pip install ai-edge-litert" in done.stderr


def test_a_runtime_that_only_imports(checks, monkeypatch):
    broken = "tflite-runtime 2.14.0 imports and cannot construct an interpreter (SystemError)"
    monkeypatch.setattr(doctor, "probe_runtimes", lambda: (None, [broken]))
    check = checks()["TFLite runtime"]
    assert not check.ok
    assert "numpy<2" in check.fix


def test_cameras(checks, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "video_devices", lambda: ())
    assert not checks()["cameras"].ok
    monkeypatch.setattr(doctor, "video_devices", lambda: ((tmp_path, "UVC Camera"),))
    assert checks()["cameras"].ok
    assert "UVC Camera" in checks()["cameras"].found
    monkeypatch.setattr(doctor, "video_devices", lambda: ((Path("/nowhere/video0"), "UVC Camera"),))
    assert "usermod -aG video" in checks()["cameras"].fix


def test_two_opencv_wheels_in_one_environment(checks, monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: "4.10" if name.startswith("opencv-python") else "")
    assert "pip uninstall opencv-python" in checks()["OpenCV"].fix


def test_governor_and_heat(checks, monkeypatch):
    monkeypatch.setattr(doctor, "governor", lambda: "powersave")
    monkeypatch.setattr(doctor, "temperature", lambda: 92.0)
    monkeypatch.setattr(doctor, "throttling", lambda: "throttled")
    assert "scaling_governor" in checks()["processor"].fix
    assert not checks()["heat and power"].ok
    assert checks()["heat and power"].found == "92 °C, throttled"


def test_nothing_heavy_is_imported(python):
    done = python(
        "-c", "import sys; from edgeseg.measure.doctor import examine; examine(); print('tensorflow' in sys.modules)"
    )
    assert done.stdout.strip() == "False"
