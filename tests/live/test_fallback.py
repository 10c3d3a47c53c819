"""An accelerator that dies in flight is opened again, then replaced by the CPU; with a real delegate that dies."""

import json
import shutil
import subprocess
import threading
import time

import cv2
import numpy as np
import pytest
from conftest import ROOT
from live_fakes import FakeCamera, Notebook
from tiny_models import colour_model, edgetpu_model, painted

from edgeseg.errors import DelegateError
from edgeseg.live import device
from edgeseg.live.pipeline import Pipeline
from edgeseg.runtime.fallback import Fallback, cpu_file
from edgeseg.runtime.segmenter import Segmenter

GREEN = painted(np.full((32, 48), 2))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    path = tmp_path_factory.mktemp("delegate") / "libdies.so"
    source = ROOT / "tests/runtime/delegate_that_dies.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", path, source], check=True)
    return path


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(colour_model())
    return path


def run_until_cpu(model, delegate, told, gone=None):
    """Runs on a delegate until masks come from the CPU; returns the pipeline and what an output saw."""
    fallback = Fallback(model, delegate, lambda path, on: Segmenter(path, delegate=on), told.append)
    notebook = Notebook()
    pipeline = Pipeline(
        Segmenter(model, delegate=delegate), FakeCamera(GREEN), lambda: FakeCamera(GREEN),
        notify=told.append, replace=fallback,
    )  # fmt: skip
    if gone is not None:
        gone.touch()
    thread = threading.Thread(target=pipeline.run, args=([notebook],))
    thread.start()
    end = time.monotonic() + 30
    while not any(valid and (label_map == 2).all() for _, valid, label_map in notebook.results):
        assert time.monotonic() < end, told
        assert thread.is_alive(), told
        time.sleep(0.02)
    pipeline.stop("test")
    thread.join(20)
    return pipeline, notebook


def test_one_that_fails_and_is_gone(library, model, tmp_path):
    """It works until the file `gone` appears: then it cannot be opened again, and the CPU takes over."""
    gone, told = tmp_path / "gone", []
    delegate = f"{library},after=20,once={gone}"
    pipeline, notebook = run_until_cpu(model, delegate, told, gone)
    stats = pipeline.stats()
    assert stats.delegate_failures >= 1
    assert stats.delegate == "xnnpack"
    assert any("failed" in line for line in told)
    assert any("no accelerator found" in line for line in told)
    assert any("going on with model.tflite on the CPU" in line for line in told)
    assert [valid for _, valid, label_map in notebook.results if label_map is not None].count(True) > 5


def test_one_that_fails_again_and_again_is_given_up(library, model):
    told = []
    pipeline, _ = run_until_cpu(model, f"{library},after=5", told)
    assert sum("opened it again" in line for line in told) == 3
    assert pipeline.stats().delegate_failures == 4


def test_one_that_hangs(library, model, tmp_path, monkeypatch):
    monkeypatch.setattr(device, "HANG_SECONDS", 0.5)
    gone, told = tmp_path / "gone", []
    pipeline, notebook = run_until_cpu(model, f"{library},after=20,how=hang,once={gone}", told, gone)
    assert any("no result for" in line for line in told)
    assert any(not valid for _, valid, _ in notebook.results)
    end = time.monotonic() + 10  # a call that returns after all ends its thread and leaves no result
    while pipeline.stuck:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_without_a_file_for_the_cpu_the_message_says_what_to_do(tmp_path):
    compiled = tmp_path / "model_edgetpu.tflite"
    compiled.write_bytes(edgetpu_model())
    fallback = Fallback(compiled, "edgetpu", lambda path, on: Segmenter(path, delegate=on), print)
    with pytest.raises(DelegateError, match=r"put the file for the CPU beside it, named model\.tflite"):
        fallback("USB transfer error")


def test_the_file_for_the_cpu(tmp_path):
    plain, compiled = tmp_path / "a.tflite", tmp_path / "a_edgetpu.tflite"
    assert cpu_file(plain) == plain
    assert cpu_file(compiled) is None
    plain.touch()
    assert cpu_file(compiled) == plain


def test_the_command_counts_it(library, model, tmp_path, cli_process):
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(12):
        cv2.imwrite(str(photos / f"{index:02}.png"), GREEN)
    done = cli_process(
        "run",
        model,
        "--source",
        photos,
        "--headless",
        "--delegate",
        f"{library},after=4",
        "--stats",
        tmp_path / "s.json",
    )
    assert done.exit_code == 0, done.stderr
    stats = json.loads((tmp_path / "s.json").read_text())
    assert stats["delegate_failures"] >= 1
    assert (stats["frames"], stats["ended"]) == (12, "end of source")  # the frame that it failed on included
    assert "failed" in done.stderr
