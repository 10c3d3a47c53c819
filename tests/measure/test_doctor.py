"""`edgeseg doctor`: what is found, what it says to do, and when it fails."""

import json

import pytest
from commands import ROOT
from scratch import CLI, CORE, Scratch

from edgeseg.measure import advice, doctor


def without(package):
    """What edgeseg depends on, but for one; without NumPy nothing stays that needs it."""
    return CLI if package == "numpy" else tuple(name for name in CORE if name != package)


# === Here, where all is well ===


def test_here_everything_required_is_there(cli):
    done = cli("doctor", "--json")
    assert done.exit_code == 0, done.stderr
    assert all(check.keys() == {"name", "ok", "found", "fix"} for check in done.json["checks"])
    by_name = {check["name"]: check for check in done.json["checks"]}
    assert by_name["Python"]["ok"]
    assert by_name["TFLite runtime"]["ok"]
    assert by_name["OpenCV"]["ok"]
    assert "cameras" in by_name


def test_what_is_amiss_has_a_fix():
    for check in doctor.examine():
        assert check.ok or check.fix, check
        assert check.found


def test_the_table_is_on_stdout_unless_json_is(cli, tmp_path):
    assert "TFLite runtime: " in cli("doctor").stdout
    assert "TFLite runtime: " in cli("doctor", "--json", tmp_path / "checks.json").stdout
    assert json.loads((tmp_path / "checks.json").read_text())["checks"]
    assert "TFLite runtime: " in cli("doctor", "--json").stderr


def test_nothing_heavy_is_imported(python):
    heavy = ("tensorflow", "cv2", "numpy", "ai_edge_litert")
    code = "import sys; from edgeseg.measure.doctor import examine; examine();"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    assert python("-c", code).stdout.strip() == "[]"


# === Environments in which something is missing or broken ===


@pytest.mark.parametrize(
    ("package", "check"),
    [
        ("numpy", "NumPy"),
        ("opencv-python-headless", "OpenCV"),
        ("ai-edge-litert", "TFLite runtime"),
        ("pillow", "Pillow"),
        ("psutil", "psutil"),
        ("jinja2", "Jinja2"),
    ],
)
def test_a_missing_package_is_found_and_the_rest_is_still_told(tmp_path, package, check):
    scratch = Scratch(tmp_path / "scratch", without(package))
    done = scratch.run("doctor", "--json")
    found = {entry["name"]: entry for entry in done.json["checks"]}
    assert done.exit_code == 1
    assert not found[check]["ok"]
    assert f"pip install {package}" in found[check]["fix"]
    assert found["Python"]["ok"]
    told = "this machine" if package in ("numpy", "psutil") else "cameras"  # without NumPy, all that needs it is gone
    assert found[told]["found"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("package", "told"),
    [
        ("numpy", " cannot be imported"),
        ("opencv-python-headless", "cv2 cannot be imported"),
        ("ai-edge-litert", "no TFLite runtime is installed"),
    ],
)
def test_another_command_says_who_to_ask(tmp_path, tiny_model, package, told):
    scratch = Scratch(tmp_path / "scratch", without(package))
    message = scratch.run("run", tiny_model, "--source", ROOT / "docs/aerial.jpg", "--headless").error
    assert told in message
    assert "`edgeseg doctor` says" in message


@pytest.mark.parametrize(
    "fault",
    [
        "raise ImportError('libGL.so.1: cannot open shared object file')",
        "raise SystemError('initialization failed')",
        "raise AttributeError('_ARRAY_API not found')",
        "import os; os.abort()",
    ],
)
@pytest.mark.parametrize(
    ("module", "check"), [("numpy", "NumPy"), ("cv2", "OpenCV"), ("ai_edge_litert", "TFLite runtime")]
)
def test_a_package_that_fails_on_import_is_no_end_of_doctor(tmp_path, module, check, fault):
    scratch = Scratch(tmp_path / "scratch", CLI)
    scratch.module(module, fault)
    found = scratch.doctor()
    assert not found[check]["ok"]
    assert found[check]["fix"]
    if module != "ai_edge_litert":
        assert any(told in found[check]["found"] for told in ("libGL", "initialization", "_ARRAY_API", "SIGABRT"))


def test_a_runtime_that_only_imports(tmp_path):
    """tflite-runtime under NumPy 2 refuses what is no model, as it should, and fails on every model."""
    scratch = Scratch(tmp_path / "scratch", without("ai-edge-litert"))
    scratch.distribution("tflite-runtime", "2.14.0")
    (scratch.site / "tflite_runtime").mkdir()
    (scratch.site / "tflite_runtime/__init__.py").touch()
    scratch.module(
        "tflite_runtime/interpreter",
        "class Interpreter:\n"
        "    def __init__(self, model_content):\n"
        "        if model_content[4:8] != b'TFL3': raise ValueError('Model provided has model identifier')\n"
        "        raise SystemError('returned a result with an exception set')\n",
    )
    found = scratch.doctor()
    assert not found["TFLite runtime"]["ok"]
    assert "cannot construct an interpreter" in found["TFLite runtime"]["found"]
    assert 'pip install "edgeseg[tflite-runtime]"' in found["NumPy"]["fix"] or "-e" in found["NumPy"]["fix"]


def test_two_wheels_of_opencv(tmp_path):
    scratch = Scratch(tmp_path / "scratch")
    scratch.distribution("opencv-python", "4.10")
    check = scratch.doctor()["OpenCV"]
    assert not check["ok"]
    assert "pip uninstall -y opencv-python-headless opencv-python && pip install opencv-python-headless" in check["fix"]


# === Advice that depends on the machine ===


@pytest.mark.parametrize(
    ("machine", "python", "line"),
    [
        ("x86_64", (3, 13), "pip install ai-edge-litert"),
        ("aarch64", (3, 11), "pip install ai-edge-litert"),
        ("armv7l", (3, 11), "[tflite-runtime]"),
        ("armv7l", (3, 12), "use Python 3.11"),
    ],
)
def test_the_runtime_that_has_a_wheel_is_advised(machine, python, line):
    assert line in advice.install_runtime(machine, python)


def test_cameras(tmp_path):
    assert not doctor._cameras([]).ok
    assert doctor._cameras([(str(tmp_path), "UVC Camera")]).found == f"{tmp_path} UVC Camera"
    assert "usermod -aG video" in doctor._cameras([("/nowhere/video0", "UVC Camera")]).fix


def test_governor_and_heat():
    assert "scaling_governor" in doctor._processor(4, "powersave").fix
    assert doctor._processor(4, "schedutil").ok
    assert doctor._heat(92.0, "throttled").found == "92 °C, throttled"
    assert not doctor._heat(92.0, "").ok
    assert not doctor._heat(None, "under-voltage").ok
    assert doctor._heat(79.9, "").ok
    assert doctor._heat(None, "").ok
