"""No command writes over what it reads, whatever name, link or folder leads there, nor two results over each other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cards import FULL
from edgetpu_fakes import compiled_model, fake_compiler, source_model
from tiny_models import colour_model

from edgeseg import card_file
from edgeseg.errors import OutputError
from edgeseg.files import check_apart
from edgeseg.image import write_image
from edgeseg.tflite.edgetpu.compiler import compile_model


@pytest.fixture
def desk(tmp_path: Path, photo: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a model, images, links to them, and a folder of links; nothing in it may change."""
    desk = tmp_path / "desk"
    (desk / "photos").mkdir(parents=True)
    (desk / "links").mkdir()
    (desk / "model.tflite").write_bytes(colour_model(48, 64))
    (desk / "names.txt").write_text("grey\nred\ngreen\nblue\n")
    write_image(desk / "photos/0.png", photo)
    write_image(desk / "photos/1.png", photo)
    (desk / "film.avi").write_bytes(b"a film")
    (desk / "film_link.mp4").symlink_to("film.avi")
    (desk / "film_twin.mp4").hardlink_to(desk / "film.avi")
    (desk / "model_link.json").symlink_to("model.tflite")
    (desk / "photos_link").symlink_to("photos")
    (desk / "links/0.png").symlink_to("../photos/0.png")
    monkeypatch.chdir(desk)
    before = content(desk)
    yield desk
    assert content(desk) == before


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--source photos --save-labels photos", "that is the folder of the source's images"),
        ("--source photos --save-overlays photos", "that is the folder of the source's images"),
        ("--source photos --save-labels ./photos/../photos", "the folder of the source's images"),
        ("--source photos --save-labels photos_link", "the folder of the source's images"),
        ("--source photos_link --save-labels photos", "the folder of the source's images"),
        ("--source photos/*.png --save-labels photos", "the folder of the source's images"),
        ("--source **/*.png --save-labels photos", "the folder of the source's images"),
        ("--source links --save-labels photos", "the folder of the source's images"),
        (
            "--source film.avi --record film.avi",
            "cannot write the recording to film.avi: that is what the source reads",
        ),
        ("--source film.avi --record film_link.mp4", "that is what the source reads"),
        ("--source film.avi --record film_twin.mp4", "that is what the source reads"),
        ("--source film.avi --events film.avi", "cannot write events to film.avi: that is what the source reads"),
        ("--source photos --events photos/0.png", "that is what the source reads"),
        ("--source photos --stats photos/1.png", "cannot write the figures to photos/1.png: that is what the source"),
        ("--source photos --stats model.tflite", "that is the model"),
        ("--source photos --events model_link.json", "that is the model"),
        ("--source photos --labels names.txt --stats names.txt", "that is the list of classes"),
        ("--source photos --events out.json --stats ./out.json", "that is where events goes too"),
        ("--source photos --record out.mp4 --events out.mp4", "that is where events goes too"),
    ],
)
def test_run(cli: Any, desk: Path, words: str, message: str) -> None:
    assert message in cli("run", "model.tflite", "--headless", *words.split()).error


def test_run_where_nothing_is_lost(cli: Any, tmp_path: Path, photo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One image has no folder of its own, and a device takes what comes."""
    monkeypatch.chdir(tmp_path)
    Path("model.tflite").write_bytes(colour_model(48, 64))
    write_image("photo.png", photo)
    words = ("--source", "photo.png", "--save-labels", ".", "--events", "/dev/null", "--stats", "stats.json")
    assert cli("run", "model.tflite", "--headless", *words).exit_code == 0
    assert sorted(os.listdir()) == ["000000_photo.png", "model.tflite", "photo.png", "stats.json"]


def test_a_device_may_take_several_results() -> None:
    check_apart([("events", Path("/dev/null")), ("the log", Path("/dev/null"))])
    with pytest.raises(OutputError, match="events goes too"):
        check_apart([("events", Path("new/a")), ("the log", Path("new/../new/a"))])


@pytest.mark.parametrize(
    ("out", "message"), [("net.keras", "the network"), ("photos/0.png", "a calibration image"),
                         ("net_link.tflite", "the network"), ("set.json", "the calibration set")],
)  # fmt: skip
def test_convert(cli: Any, desk: Path, tiny_keras_model: Path, out: str, message: str) -> None:
    shutil.copy(tiny_keras_model, "net.keras")
    Path("net_link.tflite").symlink_to("net.keras")
    assert cli("data", "manifest", "set.json", "--data", "photos").exit_code == 0
    read = [Path(name).read_bytes() for name in ("net.keras", "set.json")]
    calibration = ("--calibration", "set.json", "--data", "photos")
    refused = cli("convert", "net.keras", "--int8", *calibration, "-o", out)
    assert f"cannot write the converted file to {out}: that is {message}" in refused.error
    assert [Path(name).read_bytes() for name in ("net.keras", "set.json")] == read
    for name in ("net.keras", "net_link.tflite", "set.json"):
        Path(name).unlink()


@pytest.mark.parametrize("other", ["labels.json", "images", "labels"])
def test_a_synthetic_set_is_not_mixed_into_another_data_set(cli: Any, tmp_path: Path, other: str) -> None:
    (tmp_path / other).mkdir() if "." not in other else (tmp_path / other).write_text("{}")
    before = content(tmp_path)
    refused = cli("data", "synth", tmp_path, "--count", 1, "--size", "32x48", "--workers", 1)
    assert f"holds {other} of another data set" in refused.error
    assert content(tmp_path) == before


@pytest.mark.parametrize("folder", ["", "images/val", "labels/val"])
def test_report(cli: Any, tiny_model: Path, tiny_dataset: Path, folder: str) -> None:
    before = content(tiny_dataset)
    refused = cli("report", tiny_model, "--data", tiny_dataset, "-o", tiny_dataset / folder)
    assert "cannot write the report" in refused.error
    assert "a folder of the data set" in refused.error
    assert content(tiny_dataset) == before


@pytest.mark.parametrize("suffix", ["tflite", "log"])
def test_compile(tmp_path: Path, suffix: str) -> None:
    """The name of the result is fixed; a link of that name may lead back to the file itself."""
    model = tmp_path / "city.tflite"
    model.write_bytes(card_file.attach(source_model(), FULL))
    (tmp_path / f"city_edgetpu.{suffix}").symlink_to(model)
    before = content(tmp_path)
    with pytest.raises(OutputError, match="that is the file to be compiled"):
        compile_model(model, compiler=fake_compiler(tmp_path / "bin", makes=compiled_model()))
    shutil.rmtree(tmp_path / "bin")
    assert content(tmp_path) == before


def test_json(cli: Any, tmp_path: Path, tiny_model: Path) -> None:
    """`--json FILE.json` of any command: not onto another file that the command line names."""
    model, link = tmp_path / "model.json", tmp_path / "link.json"
    shutil.copy(tiny_model, model)
    link.symlink_to(model)
    for file, destination in ((model, link), (link, model), (model, model)):
        assert "which this command names too" in cli("inspect", file, "--json", destination).error
    assert model.read_bytes() == tiny_model.read_bytes()
