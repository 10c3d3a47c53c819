"""The device half works where TensorFlow is not installed: here, in processes whose imports of it fail."""

import pkgutil
from pathlib import Path

import pytest

import edgeseg

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
    "convert": ("absent.keras", "--float32"),
    "eval": ("MODEL", "--data", "DATA"),
}
WORKSHOP_MODULES = (
    "architectures", "conversion", "float_model", "keras_model", "keras_passes", "keras_segmenter", "losses",
    "sweeping", "thawed_layers", "thawing", "training",
)  # fmt: skip


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


@pytest.mark.parametrize("name", WORKSHOP_COMMANDS)
def test_a_command_that_needs_tensorflow_says_how_to_get_it(
    device, name: str, tiny_keras_model: Path, tiny_dataset: Path
) -> None:
    stand_ins = {"MODEL": tiny_keras_model, "DATA": tiny_dataset}
    message = device(name, *(stand_ins.get(word, word) for word in WORKSHOP_COMMANDS[name])).error
    assert "which is not installed: pip install" in message
    assert "edgeseg[train]" in message


def test_every_device_command_runs_there(python, tiny_model: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    image = tiny_dataset / "images/val/0.png"
    commands = {
        "models": (),
        "inspect": (tiny_model, "--edgetpu"),
        "eval": (tiny_model, "--data", tiny_dataset),
        "bench": (tiny_model, "--runs", 1, "--seconds", 0, "--warmup", 0),
        "run": (tiny_model, "--source", image, "--headless", "--stats", tmp_path / "stats.json"),
        "survey": (image, "-m", tiny_model, "-o", tmp_path / "survey"),
        "report": (tiny_model, "--data", tiny_dataset, "-o", tmp_path / "out"),
    }
    lines = [[name, *map(str, words)] for name, words in commands.items()]
    code = (
        f"{WITHOUT_TENSORFLOW}\n"
        "import contextlib\n"
        "from edgeseg.cli import main\n"
        f"for words in {lines}:\n"
        "    try:\n"
        "        with contextlib.redirect_stdout(sys.stderr):\n"
        "            main(words)\n"
        "    except SystemExit as stopped:\n"
        "        print('exit', words[0], stopped.code or 0)\n"
    )
    done = python("-c", code)
    ends = [line for line in done.stdout.splitlines() if line.startswith("exit ")]
    assert ends == [f"exit {name} 0" for name in commands], done.stderr
    assert (tmp_path / "stats.json").is_file()
    assert (tmp_path / "out/report.html").is_file()
