"""The device half works where TensorFlow is not installed: here, in processes whose imports of it fail."""

import pkgutil
from pathlib import Path

import pytest

import edgeseg
from edgeseg.cli.app import COMMANDS

# === A Python without the training packages ===

WITHOUT_TENSORFLOW = """
import sys

class Absent:
    names = {"tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "jax", "torch"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Absent())
"""

# Words with which each command would start to work.
WORKSHOP_COMMANDS = {
    "train": ("--data", "absent", "--out", "out"),
}
WORKSHOP_MODULES = ("architectures", "convert", "init_from", "keras_model", "losses", "quantize", "training")


@pytest.fixture
def device(python):
    """`device("bench", file)` runs `edgeseg bench FILE` in a Python without TensorFlow."""

    def run(*words: object):
        code = f"{WITHOUT_TENSORFLOW}\nfrom edgeseg.cli import main; main({[str(w) for w in words]})"
        return python("-c", code)

    return run


def test_tensorflow_is_really_absent_there(python) -> None:
    done = python("-c", f"{WITHOUT_TENSORFLOW}\nimport tensorflow")
    assert "ModuleNotFoundError: No module named 'tensorflow'" in done.stderr


def test_every_module_of_the_device_half_imports(python) -> None:
    modules = [
        module.name
        for module in pkgutil.walk_packages(edgeseg.__path__, "edgeseg.")
        if module.name.split(".")[1] not in WORKSHOP_MODULES and not module.name.endswith("__main__")
    ]
    assert "edgeseg.runtime.segmenter" in modules
    done = python("-c", f"{WITHOUT_TENSORFLOW}\nimport importlib\nfor n in {modules}: importlib.import_module(n)")
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_its_help(device, name: str) -> None:
    assert device(name, "--help").exit_code == 0


@pytest.mark.parametrize("name", WORKSHOP_COMMANDS)
def test_a_command_that_needs_tensorflow_says_how_to_get_it(device, name: str) -> None:
    message = device(name, *WORKSHOP_COMMANDS[name]).error
    assert "which is not installed: pip install" in message
    assert "edgeseg[train]" in message


def test_bench_runs_there(device, test_data: Path) -> None:
    model = test_data / "backbones/deeplabv3_mnv2_dm05_pascal_quant.tflite"
    done = device("bench", model, "--runs", 1, "--seconds", 0, "--warmup", 0, "--json")
    assert done.json["latency_ms"]["p50"] > 0
