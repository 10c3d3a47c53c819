"""A runtime of another package: a made-up kind of file, through every command that runs networks."""

from __future__ import annotations

import json

import pytest
from foreign_packages import install  # noqa: F401  (a fixture)

from edgeseg.errors import PluginError, UsageError
from edgeseg.runtime.registry import RUNTIMES, runtime_of
from edgeseg.runtime.segmenter import Segmenter

PAINT = '''
import json
import numpy as np
from edgeseg.errors import UsageError
from edgeseg.runtime.protocol import Health, Origin, TensorInfo

class Paint:
    """A network of one line: each class is what lies nearest to its colour."""
    device, accelerator, notices = "paint", False, ()
    def __init__(self, told):
        self.colours = np.array(told["colours"], np.float32)
        shape = (1, *told["size"])
        self.pixels, self.logits = np.zeros((*shape, 3), np.uint8), np.zeros((*shape, len(self.colours)), np.float32)
        self.inputs = (TensorInfo(index=0, name="pixels", shape=self.pixels.shape, dtype=self.pixels.dtype),)
        self.outputs = (TensorInfo(index=1, name="logits", shape=self.logits.shape, dtype=self.logits.dtype),)
    def view(self, tensor):
        return self.logits if tensor.index else self.pixels
    def origin(self, output):
        return Origin()
    def invoke(self):
        self.logits[...] = -np.square(self.pixels[..., None, :] - self.colours).sum(-1)
    def twin(self):
        return None

class PaintFiles:
    suffixes = (".paint",)
    def recognises(self, content):
        return content.startswith(b'{"colours"')
    def open(self, content, options):
        if options.delegate is not None:
            raise UsageError(f"delegate '{options.delegate}': a .paint file runs without")
        return Paint(json.loads(content))
    def health(self):
        return Health(ok=True, found="paint 1.0")

RUNTIME = PaintFiles()
'''
COLOURS = [[135, 190, 235], [107, 142, 35], [128, 64, 64]]  # sky, field, anything else: red, green, blue


@pytest.fixture
def paint(install, tmp_path, monkeypatch):  # noqa: F811
    folder = install("paint", PAINT, {"edgeseg.runtimes": {"paint": "paint:RUNTIME"}})
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")  # bench measures start-up in a process of its own
    file = tmp_path / "colours.paint"
    file.write_text(json.dumps({"colours": COLOURS, "size": [48, 64]}))
    return file


def test_the_file_tells_which_runtime_opens_it(paint, tiny_model):
    assert list(RUNTIMES) == ["litert", "keras", "paint"]
    assert runtime_of(b"", str(paint)) is RUNTIMES["paint"]
    assert runtime_of(paint.read_bytes()) is RUNTIMES["paint"]
    assert runtime_of(tiny_model.read_bytes()) is RUNTIMES["litert"]
    assert runtime_of(b"anything else") is RUNTIMES["litert"]


def test_a_segmenter_knows_it_not_by_name(paint, photo):
    segmenter = Segmenter(paint)
    assert segmenter.delegate == "paint"
    assert segmenter(photo).label_map.shape == photo.shape[:2]
    with pytest.raises(UsageError, match="runs without"):
        Segmenter(paint, delegate="edgetpu")


def test_every_command_works_through_it(paint, tiny_dataset, tmp_path, cli):
    scored = cli("eval", paint, "--data", tiny_dataset, "--json")
    assert scored.exit_code == 0, scored.stderr
    assert scored.json["pixel_accuracy"] > 0.5
    timed = cli("bench", paint, "--runs", 2, "--seconds", 0, "--warmup", 0, "--json")
    assert timed.exit_code == 0, timed.stderr
    assert timed.json["delegate"] == "paint"
    assert timed.json["init_ms"] > 0
    ran = cli("run", paint, "--source", tiny_dataset / "images/val", "--headless", "--stats", tmp_path / "stats.json")
    assert ran.exit_code == 0, ran.stderr
    assert json.loads((tmp_path / "stats.json").read_text())["frames"] == 3
    told = cli("report", paint, "--data", tiny_dataset, "-o", tmp_path / "out", "--json")
    assert told.exit_code == 0, told.stderr
    (result,) = told.json["results"]
    assert (result["miou"], result["delegate"], result["macs"]) == (scored.json["miou"], "paint", None)


def test_what_is_no_runtime_is_refused(install):  # noqa: F811
    install("half", "RUNTIME = object()", {"edgeseg.runtimes": {"half": "half:RUNTIME"}})
    with pytest.raises(PluginError, match=r"runtime 'half' of the package half 1\.0 .* expected Runtime"):
        runtime_of(b"", "model.half")
