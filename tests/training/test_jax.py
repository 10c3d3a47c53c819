"""Training on Keras' JAX backend, as on a GPU: no TensorFlow, and a network that TensorFlow loads."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT

from edgeseg.data.synthetic_set import write_set
from edgeseg.keras_model import load_model
from edgeseg.keras_segmenter import KerasSegmenter
from edgeseg.synth.aerial import render

NO_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
from edgeseg.cli import main
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason='needs JAX: pip install "edgeseg[jax]"')
def test_a_network_trained_on_jax_needs_no_tensorflow_and_runs_on_it(tmp_path: Path) -> None:
    write_set(tmp_path / "set", {"train": 8, "val": 2}, seed=0, height=64, width=96)
    words = ("train", "--data", tmp_path / "set", "--out", tmp_path / "run", "--arch", "fcn8s", "--size", "64x96")
    done = subprocess.run(
        [sys.executable, "-c", NO_TENSORFLOW, *map(str, words), "--epochs", "2", "--batch", "4", "--ema", "0.9"],
        env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    network, card = load_model(tmp_path / "run/model.keras")
    assert card is not None
    image = render(0, seed=5, height=64, width=96)[0]
    found = KerasSegmenter(network, card.input, card.labels).segment(image)
    assert found.shape == (64, 96)
    assert card.scores[0].miou > 0
    assert np.unique(found).size > 1


def test_a_backend_that_nobody_tried_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgeseg", "train", "--data", "set", "--out", "run"],
        env=os.environ | {"KERAS_BACKEND": "torch", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.strip() == "edgeseg: KERAS_BACKEND is 'torch': expected tensorflow or jax"
