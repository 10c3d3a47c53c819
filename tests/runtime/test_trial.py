"""A file without a card is tried out in a process of its own, once; one with a card never is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from tiny_models import CLASSES, colour_model

from edgeseg.card import InputSpec, LabelSet, ModelCard, Recipe
from edgeseg.card_file import attach
from edgeseg.errors import EdgesegError, ModelFileError
from edgeseg.runtime import trial
from edgeseg.runtime.segmenter import Segmenter

IMAGE = np.zeros((16, 24, 3), np.uint8)


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """An empty cache, and the commands of the processes that were started."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(trial, "_known", {})
    started, run = [], subprocess.run

    def counted(command, *words, **options):
        started.append(command)
        return run(command, *words, **options)

    monkeypatch.setattr(subprocess, "run", counted)
    return started


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process would know: nothing but what is on the disk."""
    monkeypatch.setattr(trial, "_known", {})


def test_a_file_without_a_card_is_tried_once_and_the_verdict_outlives_the_process(processes, monkeypatch) -> None:
    model = colour_model(16, 24)
    for _ in range(2):
        Segmenter(model).segment(IMAGE)
        assert len(processes) == 1
    forget(monkeypatch)
    Segmenter(model).segment(IMAGE)
    assert len(processes) == 1
    Segmenter(colour_model(16, 24, output="labels"))
    Segmenter(model, delegate="none")
    assert len(processes) == 3


def test_a_file_with_a_card_is_not_tried(processes) -> None:
    card = ModelCard(
        name="colours", architecture="", backbone="", output_stride=0, input=InputSpec(height=16, width=24),
        labels=LabelSet.from_names(CLASSES), recipe=Recipe(name="int8_ptq"),
    )  # fmt: skip
    Segmenter(attach(colour_model(16, 24), card)).segment(IMAGE)
    assert processes == []


def test_one_that_kills_its_process_is_refused_and_stays_so(processes, tmp_path: Path, monkeypatch) -> None:
    program = tmp_path / "dies"
    program.write_text("#!/bin/sh\ncat > /dev/null\nkill -SEGV $$\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    (tmp_path / "bad.tflite").write_bytes(colour_model(16, 24))
    for _ in range(2):
        with pytest.raises(ModelFileError, match=r"bad\.tflite kills the process that loads it \(SIGSEGV\)"):
            Segmenter(tmp_path / "bad.tflite")
        forget(monkeypatch)
    assert len(processes) == 1


def test_one_that_hangs_is_refused_after_a_while(processes, monkeypatch) -> None:
    with pytest.raises(ModelFileError, match=r"the file does not load and run within 0 s: it has no card"):
        trial.try_out(colour_model(16, 24), "the file", seconds=0.01)


def test_one_that_wants_more_memory_than_there_may_be_is_refused(processes) -> None:
    with pytest.raises(EdgesegError) as caught:
        Segmenter(colour_model(1 << 15, 1 << 15))
    assert str(caught.value).isprintable()
    assert len(processes) == 1


def test_what_the_child_refuses_is_called_by_its_name(processes, tmp_path: Path) -> None:
    (tmp_path / "cut.tflite").write_bytes(colour_model()[:300])
    with pytest.raises(ModelFileError, match=r"^\S*cut\.tflite is not a \.tflite model, or is cut off"):
        Segmenter(tmp_path / "cut.tflite")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"trouble": 3}', b"\xff", b"{" * 99_999])
def test_a_cache_that_cannot_be_read_or_written_only_costs_another_trial(
    processes, content: bytes, tmp_path: Path, monkeypatch
) -> None:
    model = colour_model(16, 24)
    Segmenter(model)
    (file,) = (tmp_path / "cache/edgeseg/trials").iterdir()
    file.write_bytes(content)
    forget(monkeypatch)
    Segmenter(model)
    assert len(processes) == 2
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    forget(monkeypatch)
    Segmenter(model).segment(IMAGE)
    assert len(processes) == 3
