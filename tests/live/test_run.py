"""`edgeseg.run`, the one way in: for programs, with outputs and sources of their own, and of other packages."""

import json
import re
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT
from live_fakes import FakeCamera, ListSource, Notebook
from tiny_models import colour_model, painted

import edgeseg
from edgeseg.data.synthetic_set import write_flight
from edgeseg.image import read_label_map, write_image
from edgeseg.live.outputs.window import window_trouble

FRAMES = [painted(np.full((32, 48), i % 4)) for i in range(6)]


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(colour_model())
    return path


@pytest.fixture
def photos(tmp_path):
    for index, frame in enumerate(FRAMES):
        write_image(tmp_path / f"photos/{index}.png", frame)
    return tmp_path / "photos"


def test_a_folder_to_label_maps_and_figures(model, photos, tmp_path):
    outputs = edgeseg.OutputOptions(save_labels=tmp_path / "masks", stats=tmp_path / "stats.json")
    stats = edgeseg.run(model, photos, outputs)
    assert (stats.frames, stats.dropped, stats.ended, stats.frame_size) == (6, 0, "end of source", (32, 48))
    masks = [read_label_map(path) for path in sorted((tmp_path / "masks").iterdir())]
    assert [int(mask.max()) for mask in masks] == [0, 1, 2, 3, 0, 1]
    assert json.loads((tmp_path / "stats.json").read_text()) == json.loads(json.dumps(stats.as_json()))


def test_the_switches_of_the_process_are_set_meanwhile_and_put_back(model):
    seen = []

    class Looking(Notebook):
        def write(self, packet):
            seen.append((cv2.getNumThreads(), round(sys.getswitchinterval(), 6)))

    threads, interval = cv2.getNumThreads(), sys.getswitchinterval()
    cv2.setNumThreads(2)
    sys.setswitchinterval(0.004)
    try:
        edgeseg.run(model, lambda: ListSource(FRAMES), [Looking()])
        after = (cv2.getNumThreads(), round(sys.getswitchinterval(), 6))
    finally:
        cv2.setNumThreads(threads)
        sys.setswitchinterval(interval)
    assert set(seen) == {(1, 0.0005)}
    assert after == (2, 0.004)


def test_the_least_that_an_output_must_be(model):
    """Only `write`: nothing else is asked of it."""

    class Counter(edgeseg.Output):
        count = 0

        def write(self, packet):
            self.count += packet.valid

    counter = Counter()
    edgeseg.run(model, lambda: ListSource(FRAMES), [counter])
    assert counter.count == 6


def test_an_output_is_given_the_runs_figures_and_can_end_it(model):
    class Closing(Notebook):
        announcement = "look here"

        def begin(self, figures):
            self.figures = figures

        def write(self, packet):
            super().write(packet)
            self.closed = self.figures().frames >= 3

    told, closing = [], Closing()
    stats = edgeseg.run(model, lambda: FakeCamera(FRAMES[1]), [closing], hooks=edgeseg.RunHooks(notify=told.append))
    assert stats.ended == "window closed"
    assert len(closing.results) >= 3
    assert closing.closed_down
    assert told[-1] == "look here"


def test_until_ends_it(model):
    notebook = Notebook()
    stats = edgeseg.run(
        model, lambda: FakeCamera(FRAMES[1]), [notebook],
        hooks=edgeseg.RunHooks(until=lambda: "landed" if len(notebook.results) >= 3 else ""),
    )  # fmt: skip
    assert stats.ended == "landed"
    assert notebook.events[-1]["ended"] == "landed"


def test_a_source_of_ones_own_is_opened_again_when_it_is_lost(model):
    opened = []

    def camera():
        opened.append(FakeCamera(FRAMES[2], count=3 if not opened else None))
        return opened[-1]

    stats = edgeseg.run(model, camera, hooks=edgeseg.RunHooks(until=lambda: "back" if len(opened) == 2 else ""))
    assert stats.losses[0].reason == "fake camera gives no more frames"
    assert all(source.closed for source in opened)


def test_an_error_is_raised_after_the_figures_are_written_and_told(model, photos, tmp_path):
    (photos / "2.png").write_text("no image")
    told, stats = [], tmp_path / "stats.json"
    with pytest.raises(edgeseg.DataError, match=r"2\.png is not an image"):
        edgeseg.run(model, photos, edgeseg.OutputOptions(stats=stats), hooks=edgeseg.RunHooks(ended=told.append))
    assert told[0].ended.startswith("error: ")
    assert json.loads(stats.read_text())["ended"] == told[0].ended


def test_ctrl_c_ends_it_cleanly_and_is_raised(model):
    notebook, told = Notebook(), []

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edgeseg.run(
            model, lambda: FakeCamera(FRAMES[1]), [notebook],
            hooks=edgeseg.RunHooks(until=interrupt, ended=told.append),
        )  # fmt: skip
    assert notebook.closed_down
    assert told[0].ended == "KeyboardInterrupt"


def test_what_cannot_be_opened_leaves_nothing_open(model, tmp_path):
    source = ListSource(FRAMES)
    with pytest.raises(edgeseg.OutputError, match=r"ends in \.mp4"):
        edgeseg.run(model, lambda: source, edgeseg.OutputOptions(record=tmp_path / "a.gif"))
    assert source.closed


@pytest.mark.skipif(not window_trouble(), reason="there are windows here")
def test_one_output_that_cannot_be_opened_closes_those_that_were(model):
    with pytest.raises(edgeseg.OutputError, match="cannot open a window"):
        edgeseg.run(model, lambda: ListSource(FRAMES), edgeseg.OutputOptions(serve="0", window=True))
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("edgeseg")] == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: edgeseg.RunOptions(frames=0), "--frames 0: expected 1 or more"),
        (lambda: edgeseg.RunOptions(seconds=float("nan")), "--seconds nan: expected more than 0"),
        (lambda: edgeseg.OutputOptions(fov=60.0), "belong together"),
        (lambda: edgeseg.OutputOptions(mavlink="udpout:127.0.0.1:1"), "need --safe"),
    ],
)
def test_options_that_make_no_sense(make, message):
    with pytest.raises(edgeseg.UsageError, match=message):
        make()


# === Outputs of other packages ===

SIREN = """
import edgeseg

class Siren(edgeseg.Output):
    name = "siren"

    def __init__(self, path, labels):
        self.file, self.labels = open(path, "w"), labels

    def write(self, packet):
        self.file.write(self.labels.names[packet.label_map[0, 0]] + " ")

    def close(self):
        self.file.close()

KIND = edgeseg.OutputKind(open=lambda argument, run: Siren(argument, run.labels), argument="FILE")
"""


def test_an_output_of_another_package(cli, install, model, photos, tmp_path):
    install("siren", SIREN, {"edgeseg.outputs": {"siren": "siren:KIND"}})
    heard = tmp_path / "heard.txt"
    (tmp_path / "names.txt").write_text("grey\nred\ngreen\nblue\n")
    words = ("--source", photos, "--headless", "--labels", tmp_path / "names.txt")
    done = cli("run", model, *words, "--output", f"siren:{heard}", "--output", f"labels:{tmp_path / 'masks'}")
    assert done.exit_code == 0, done.stderr
    assert heard.read_text() == "grey red green blue grey red "
    assert len(list((tmp_path / "masks").iterdir())) == 6
    assert "did you mean siren" in cli("run", model, *words, "--output", "sirene:x").error


def test_an_output_by_name_is_kept_off_the_source_too(cli, model, photos):
    assert "the folder of the source's images" in cli(
        "run", model, "--source", photos, "--headless", "--output", f"labels:{photos}"
    ).error  # fmt: skip


# === The examples of docs/live.md ===

EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs/live.md").read_text(), re.S)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_the_docs_run(number, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_flight("flight.mp4", 8, seed=4, height=64, width=80, workers=1)
    names = {}
    exec(EXAMPLES[number], names)
    if number == 0:
        assert "8 masks" in capsys.readouterr().out
        assert {"overlay.mp4", "masks", "stats.json"} <= {path.name for path in Path().iterdir()}
    else:
        assert len(names["roads"].shares) >= 5
