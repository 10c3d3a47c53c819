"""What all tests share: quiet libraries, the test data, a picture, and the command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Set before anything imports a heavy library.
os.environ.update(
    {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "ABSL_MIN_LOG_LEVEL": "2",
        "COLUMNS": "120",
        "NO_COLOR": "1",
    }
)
if os.environ.get("PYTEST_XDIST_WORKER"):  # the workers fill the cores already
    os.environ.update({"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"})

import cv2
import numpy as np
import pytest

from edgeseg.cli import main
from edgeseg.image import Uint8

if os.environ.get("PYTEST_XDIST_WORKER"):
    cv2.setNumThreads(1)

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that has ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What it printed on stdout, which has to be one JSON value and nothing else."""
        return json.loads(self.stdout)

    @property
    def error(self) -> str:
        """The one line of a command that failed as it should: `edgeseg: ...` on stderr, exit 1, silent on stdout."""
        assert self.exit_code == 1, f"exit code {self.exit_code}, expected 1:\n{self.stderr}"
        assert self.stdout == ""
        lines = self.stderr.splitlines()
        assert len(lines) == 1, f"expected one line on stderr:\n{self.stderr}"
        assert lines[0].startswith("edgeseg: ")
        return lines[0].removeprefix("edgeseg: ")


def run_cli(*words: object) -> Finished:
    """Runs `edgeseg WORDS...` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    code = stopped.value.code
    return Finished(exit_code=code if isinstance(code, int) else 0, stdout=out.getvalue(), stderr=err.getvalue())


def run_python(*words: object, timeout_s: float = 120, **environment: str) -> Finished:
    """Runs `python WORDS...` in a process of its own, in which `edgeseg` is this checkout's."""
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    return Finished(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def run_cli_process(*words: object, timeout_s: float = 120, **environment: str) -> Finished:
    """Runs `edgeseg WORDS...` in a process of its own: what a user's shell sees, C++ libraries' output included."""
    return run_python("-m", "edgeseg.cli", *words, timeout_s=timeout_s, **environment)


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


@pytest.fixture
def photo() -> Uint8:
    """A little picture, 48x64, blue-green-red: sky over a field, a house with a red roof, a grey road."""
    return make_photo(48, 64)


def make_photo(height: int, width: int) -> Uint8:
    """Paints the picture of `photo` at any size."""
    image = np.empty((height, width, 3), np.uint8)
    horizon = height // 3
    image[:horizon] = (230, 180, 120)
    image[horizon:] = (60, 150, 80)
    image[horizon // 2 : horizon * 2, width // 8 : width // 3] = (150, 170, 190)
    image[horizon // 3 : horizon // 2, width // 8 : width // 3] = (40, 40, 200)
    image[horizon:, width * 5 // 8 : width * 7 // 8] = (110, 110, 110)
    grain = np.random.default_rng(7).integers(-6, 7, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)
