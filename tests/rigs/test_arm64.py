"""The wheel on a 64-bit ARM board, without TensorFlow: the same label maps as on this machine, to the last pixel.

`EDGESEG_ARM64` is the beginning of a command line that runs the rest of it on such a board (or an emulated one) and
shows it this folder: "ssh pi@board --", or an emulator's. `make rigs` runs this.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.image import read_label_map, write_image
from edgeseg.synth import aerial

pytestmark = pytest.mark.rig
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def board() -> list[str]:
    """How to run a command on the board."""
    prefix = os.environ.get("EDGESEG_ARM64")
    if not prefix:
        pytest.skip("needs an ARM board: set EDGESEG_ARM64 to the command that runs the rest of its line there")
    return shlex.split(prefix)


def on(board: list[str], *words: Any) -> str:
    done = subprocess.run([*board, *map(str, words)], capture_output=True, text=True, timeout=3000, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_installed_wheel_gives_the_label_maps_of_this_machine(board: list[str]) -> None:
    work = ROOT / "out" / "arm64"
    for index in range(6):
        image, _ = aerial.render(index, seed=99, height=240, width=320)
        write_image(work / "images" / f"{index}.png", image)
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", work / "dist", ROOT], check=True, timeout=600)
    wheel = max((work / "dist").glob("*.whl"), key=lambda p: p.stat().st_mtime)

    environment = "/opt/venv"
    on(board, "python3", "-m", "venv", environment)
    on(board, f"{environment}/bin/pip", "install", "-q", "--force-reinstall", "--no-deps", wheel)
    on(board, f"{environment}/bin/pip", "install", "-q", wheel)
    packages = on(board, f"{environment}/bin/pip", "list").lower()
    assert "tensorflow" not in packages
    assert "keras" not in packages
    assert (
        on(board, f"{environment}/bin/python", "-c", "import platform; print(platform.machine())").strip() == "aarch64"
    )

    for model in ("aerial", "camvid"):
        there, here = work / f"{model}_there", work / f"{model}_here"
        run = ["run", model, "--source", work / "images", "--headless", "--threads", "1", "--save-labels"]
        on(board, f"{environment}/bin/edgeseg", *run, there)
        subprocess.run([sys.executable, "-m", "edgeseg", *map(str, run), here], check=True, timeout=300)
        names = sorted(p.name for p in here.iterdir())
        assert len(names) == 6
        assert names == sorted(p.name for p in there.iterdir())
        for name in names:
            np.testing.assert_array_equal(read_label_map(there / name), read_label_map(here / name), err_msg=name)
