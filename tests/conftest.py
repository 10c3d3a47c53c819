"""What all tests share: quiet libraries, the test data, an image, and the command line."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

# Set before anything imports a heavy library.
os.environ.update(
    {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "GRPC_VERBOSITY": "ERROR",
        "OPENCV_LOG_LEVEL": "SILENT",
        "OPENCV_FFMPEG_LOGLEVEL": "-8",
        "COLUMNS": "120",
        "NO_COLOR": "1",
    }
)
# The verdicts on files without a card outlive a run of the tests: each costs a process.
os.environ["XDG_CACHE_HOME"] = str(Path(tempfile.gettempdir()) / f"edgeseg-tests-{os.getuid()}")
if os.environ.get("PYTEST_XDIST_WORKER"):  # the workers fill the cores already
    os.environ.update({"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"})

import cv2
import hypothesis
import pytest
from commands import ROOT, run_cli, run_cli_process, run_python
from foreign_packages import install  # noqa: F401  (a fixture)
from meadow import meadow, meadow_folder, pyramid_card, small_card, tiny_card  # noqa: F401  (fixtures)
from painting import TINY_LABELS, make_photo, make_photo_labels
from tiny_backbone import tiny_backbone  # noqa: F401  (a fixture)

from edgeseg.arrays import Uint8
from edgeseg.image import write_image

if os.environ.get("PYTEST_XDIST_WORKER"):
    cv2.setNumThreads(1)

# The same examples on every machine, however slow it is.
hypothesis.settings.register_profile("edgeseg", deadline=None, derandomize=True)
hypothesis.settings.load_profile("edgeseg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps a module's tests that share a fixture in one worker, so that it is made once (`--dist loadgroup`)."""
    for item in items:
        if isinstance(item, pytest.Function):
            used = item._fixtureinfo.name2fixturedefs.values()
            if any(fixture.scope == "module" for fixtures in used for fixture in fixtures):
                item.add_marker(pytest.mark.xdist_group(item.module.__name__))


@pytest.fixture
def cli() -> Any:
    """`cli("inspect", file)` -> Finished, in this process."""
    return run_cli


@pytest.fixture
def cli_process() -> Any:
    """`cli_process("inspect", file)` -> Finished, in a process of its own."""
    return run_cli_process


@pytest.fixture
def python() -> Any:
    """`python("-c", code)` -> Finished, in a process of its own."""
    return run_python


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of public test data (CamVid, Coral and Edge TPU files) that EDGESEG_TEST_DATA names."""
    folder = os.environ.get("EDGESEG_TEST_DATA")
    if not folder:
        pytest.skip("needs the public test data: set EDGESEG_TEST_DATA to its folder")
    if not Path(folder).is_dir():
        pytest.fail(f"EDGESEG_TEST_DATA is {folder}: no such folder")
    return Path(folder)


# === Painted images, and models of a few kilobytes that know them ===


@pytest.fixture
def photo() -> Uint8:
    """A little image, 48x64, blue-green-red: sky over a field, a house with a red roof, a grey road."""
    return make_photo(48, 64)


@pytest.fixture
def tiny_model() -> Path:
    """An int8 model for 48x64 images such as `photo`, with its card (see tests/tiny/make.py)."""
    return ROOT / "tests/tiny/colours_tiny_paint_48x64_int8_ptq.tflite"


@pytest.fixture
def tiny_float_model() -> Path:
    """The float32 model beside `tiny_model`."""
    return ROOT / "tests/tiny/colours_tiny_paint_48x64_float32.tflite"


@pytest.fixture
def tiny_keras_model() -> Path:
    """The Keras network that `tiny_model` was made from, with its card."""
    return ROOT / "tests/tiny/colours.keras"


@pytest.fixture
def tiny_dataset(tmp_path: Path) -> Path:
    """A plain folder data set with a split "val" of three painted images and their exact labels."""
    root = tmp_path / "tiny_dataset"
    for index, (height, width) in enumerate([(48, 64), (96, 128), (72, 96)]):
        write_image(root / f"images/val/{index}.png", make_photo(height, width))
        write_image(root / f"labels/val/{index}.png", make_photo_labels(height, width))
    colors = [list(color) for color in TINY_LABELS.colors]
    (root / "labels.json").write_text(json.dumps({"names": TINY_LABELS.names, "colors": colors}))
    return root
