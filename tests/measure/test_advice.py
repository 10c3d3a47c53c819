"""Every advice of `edgeseg doctor` that pip can follow, followed to the letter in an environment of its own.

pip fetches packages for these; they run with the slow tests.
"""

import sys

import pytest
from commands import ROOT
from scratch import CLI, Scratch

pytestmark = pytest.mark.slow

OLD_RUNTIME = "pip uninstall -y ai-edge-litert && pip install tflite-runtime"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """edgeseg's wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    builder = Scratch(tmp_path_factory.mktemp("builder") / "scratch", ())
    builder.shell(f'pip wheel --no-deps -w "{folder}" "{ROOT}"')
    return next(folder.glob("edgeseg-*.whl"))


@pytest.fixture
def scratch(tmp_path, wheel):
    """An environment with edgeseg installed, and what it depends on; no TensorFlow."""
    made = Scratch(tmp_path / "scratch")
    made.shell(f'pip install --no-deps "{wheel}"')
    return made


def required(found):
    return [found[name] for name in ("TFLite runtime", "NumPy", "OpenCV", "Pillow", "psutil", "Jinja2")]


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("pip uninstall -y opencv-python-headless", "OpenCV"),
        ("pip install opencv-python", "OpenCV"),  # a second wheel in the same place
        ("pip install opencv-python && pip uninstall -y opencv-python", "OpenCV"),  # takes the files of both
        ("pip uninstall -y numpy", "NumPy"),
        ("pip uninstall -y ai-edge-litert", "TFLite runtime"),
        ("pip uninstall -y pillow", "Pillow"),
        ("pip uninstall -y psutil", "psutil"),
        ("pip uninstall -y jinja2", "Jinja2"),
    ],
)
def test_a_fault_is_found_and_its_fix_mends_it(scratch, fault, check):
    assert scratch.run("doctor").exit_code == 0
    scratch.shell(fault)
    found = scratch.doctor()
    assert not found[check]["ok"]
    scratch.follow(found[check])
    assert all(entry["ok"] for entry in required(scratch.doctor()))
    assert scratch.run("doctor").exit_code == 0


@pytest.mark.parametrize(
    ("files", "check"),
    [
        ("numpy/_core/_multiarray_umath*.so", "NumPy"),
        ("cv2/cv2*.so", "OpenCV"),
        ("ai_edge_litert/_pywrap*.so", "TFLite runtime"),
    ],
)
def test_a_damaged_package_is_found_and_its_fix_mends_it(scratch, files, check):
    scratch.damage(files)
    found = scratch.doctor()
    assert not found[check]["ok"]
    scratch.follow(found[check])
    assert all(entry["ok"] for entry in required(scratch.doctor()))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no wheel for this Python")
@pytest.mark.parametrize("check", ["TFLite runtime", "NumPy"])
def test_an_old_runtime_under_a_new_numpy(scratch, tiny_model, check):
    scratch.shell(OLD_RUNTIME)
    found = scratch.doctor()
    assert not found["TFLite runtime"]["ok"]
    scratch.follow(found[check])
    assert all(entry["ok"] for entry in required(scratch.doctor()))
    assert scratch.run("bench", tiny_model, "--runs", 1, "--seconds", 0, "--warmup", 0).exit_code == 0


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no wheel for this Python")
def test_opencv_comes_back_without_a_numpy_that_the_old_runtime_cannot_stand(scratch):
    scratch.shell(f"{OLD_RUNTIME} 'numpy<2' 'opencv-python<4.12'")  # two wheels of OpenCV
    found = scratch.doctor()
    assert found["NumPy"]["ok"]
    assert not found["OpenCV"]["ok"]
    scratch.follow(found["OpenCV"])
    assert all(entry["ok"] for entry in required(scratch.doctor()))


def test_from_nothing_the_advice_leads_to_a_machine_that_runs(tmp_path, wheel, tiny_model):
    scratch = Scratch(tmp_path / "scratch", CLI)
    scratch.shell(f'pip install --no-deps "{wheel}"')
    for _ in range(len(required(scratch.doctor()))):
        failed = [entry for entry in required(scratch.doctor()) if not entry["ok"] and "pip " in entry["fix"]]
        if not failed:
            break
        scratch.follow(failed[0])
    assert scratch.run("doctor").exit_code == 0
    assert scratch.run("bench", tiny_model, "--runs", 1, "--seconds", 0, "--warmup", 0).exit_code == 0


def test_a_window_costs_no_working_opencv(scratch):
    found = scratch.doctor()
    assert not found["OpenCV windows"]["ok"]
    scratch.follow(found["OpenCV windows"])
    found = scratch.doctor()
    if not found["OpenCV"]["ok"]:  # a machine without the libraries of a desktop
        scratch.follow(found["OpenCV"])
        found = scratch.doctor()
    else:
        assert found["OpenCV windows"]["ok"]
    assert all(entry["ok"] for entry in required(found))


@pytest.mark.parametrize(
    ("extra", "packages"), [("mavlink", ["pymavlink"]), ("train", ["tensorflow", "keras", "tf_keras"])]
)
def test_an_extra_comes_as_advised(scratch, extra, packages):
    found = scratch.doctor()
    for package in packages:
        assert f"edgeseg[{extra}]" in found[package]["fix"]
    scratch.follow(found[packages[0]])
    found = scratch.doctor()
    assert all(found[package]["ok"] for package in packages)
    assert all(entry["ok"] for entry in required(found))


# === README ===


def test_the_readmes_installation_works_in_a_checkout(tmp_path, tiny_model):
    """`pip install .`, to the letter, in an environment with nothing in it."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / "README.md").read_text().splitlines()]
    assert "pip install ." in lines
    scratch = Scratch(tmp_path / "scratch", ())
    scratch.shell(f"cd {ROOT} && pip install .")
    assert scratch.run("doctor").exit_code == 0
    assert scratch.run("bench", "aerial", "--runs", 1, "--seconds", 0, "--warmup", 0).exit_code == 0


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no wheel for this Python")
def test_the_readmes_old_runtime_works_in_a_checkout(tmp_path, tiny_model):
    assert '`pip install ".[tflite-runtime]"`' in (ROOT / "README.md").read_text()
    scratch = Scratch(tmp_path / "scratch", ())
    scratch.shell(f'cd {ROOT} && pip install ".[tflite-runtime]" && pip uninstall -y ai-edge-litert')
    assert scratch.doctor()["TFLite runtime"]["found"].startswith("tflite-runtime")
    assert scratch.run("bench", tiny_model, "--runs", 1, "--seconds", 0, "--warmup", 0).exit_code == 0
