"""Surveys of several images: what is written, what goes on, what is refused; and the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from painting import TINY_LABELS, make_photo, make_photo_labels

import edgeseg
from edgeseg.errors import DataError, OutputError, UsageError
from edgeseg.image import read_label_map, write_image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three photos."""
    for name, size in (("a.png", (120, 160)), ("b.jpg", (100, 90)), ("c.png", (48, 64))):
        write_image(tmp_path / "photos" / name, make_photo(*size))
    return tmp_path / "photos"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_folder_of_photos(photos: Path, tmp_path: Path, tiny_model: Path) -> None:
    options = edgeseg.SurveyOptions(overlay=True, gsd=0.5)
    found = edgeseg.survey(photos, tmp_path / "out", tiny_model, options=options)
    assert sorted(content(tmp_path / "out")) == sorted(
        ["areas.csv", "summary.json", "survey.json"]
        + [f"{name}{end}" for name in "abc" for end in ("_labels.png", "_overlay.jpg", "_survey.json")]
    )
    labels = read_label_map(tmp_path / "out/a_labels.png")
    assert (labels == make_photo_labels(120, 160)).mean() > 0.97
    first = found.images[0]
    assert first.pixels == {name: int((labels == i).sum()) for i, name in enumerate(TINY_LABELS.names)}
    assert first.areas == pytest.approx({name: count / 4 for name, count in first.pixels.items()})
    assert found.areas == pytest.approx({name: count / 4 for name, count in found.pixels.items()})
    assert sum(found.pixels.values()) == 120 * 160 + 100 * 90 + 48 * 64


def test_the_tables_say_what_the_result_says(photos: Path, tmp_path: Path, tiny_model: Path) -> None:
    found = edgeseg.survey([photos / "a.png", photos / "c.png"], tmp_path / "out", tiny_model)
    assert json.loads((tmp_path / "out/summary.json").read_text()) == json.loads(json.dumps(found.as_json()))
    rows = list(csv.DictReader((tmp_path / "out/areas.csv").read_text().splitlines()))
    assert [(row["picture"], row["class"]) for row in rows[:4]] == [
        ("a", "sky"), ("a", "field"), ("a", "other"), ("c", "sky"),
    ]  # fmt: skip
    assert sum(float(row["share"]) for row in rows[:3]) == pytest.approx(1, abs=1e-5)
    assert {row["square_metres"] for row in rows} == {""}  # no pixel size is known
    assert found.areas is None


def test_a_stopped_survey_goes_on(photos: Path, tmp_path: Path, tiny_model: Path) -> None:
    whole = edgeseg.survey(photos, tmp_path / "whole", tiny_model)

    def stop(what: str, done: int, total: int) -> None:
        if what == "tiles" and (tmp_path / "out/a_survey.json").is_file():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edgeseg.survey(photos, tmp_path / "out", tiny_model, progress=stop)
    assert sorted(content(tmp_path / "out")) == ["a_labels.png", "a_survey.json", "survey.json"]
    (tmp_path / "out/.b_labels-0123456789ab.png").write_bytes(b"of a run that was killed")
    seen = []
    again = edgeseg.survey(photos, tmp_path / "out", tiny_model, progress=lambda *step: seen.append(step))
    assert (again.kept, again.images) == (1, whole.images)
    assert [step for step in seen if step[0] == "images"] == [("images", 2, 3), ("images", 3, 3)]
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert edgeseg.survey(photos, tmp_path / "out", tiny_model).kept == 3


def test_a_image_that_changed_is_surveyed_anew(photos: Path, tmp_path: Path, tiny_model: Path) -> None:
    edgeseg.survey(photos, tmp_path / "out", tiny_model)
    write_image(photos / "c.png", make_photo(60, 60))
    (tmp_path / "out/a_labels.png").unlink()
    again = edgeseg.survey(photos, tmp_path / "out", tiny_model)
    assert (again.kept, again.images[2].height) == (1, 60)
    assert (tmp_path / "out/a_labels.png").is_file()


def test_other_settings_are_refused_unless_it_may_be_written_over(
    photos: Path, tmp_path: Path, tiny_model: Path, tiny_float_model: Path
) -> None:
    edgeseg.survey(photos, tmp_path / "out", tiny_model)
    before = content(tmp_path / "out")
    with pytest.raises(OutputError, match="a survey with another model and model_digest: name a new folder, or --over"):
        edgeseg.survey(photos, tmp_path / "out", tiny_float_model)
    assert content(tmp_path / "out") == before
    assert edgeseg.survey(photos, tmp_path / "out", tiny_float_model, overwrite=True).kept == 0


def test_a_folder_that_holds_other_things_is_left_alone(photos: Path, tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(OutputError, match="photos holds other files: name a new folder"):
        edgeseg.survey(photos, photos, tiny_model)
    assert sorted(content(photos)) == ["a.png", "b.jpg", "c.png"]


def test_a_broken_image_does_not_stop_the_others(photos: Path, tmp_path: Path, tiny_model: Path) -> None:
    (photos / "b.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"^1 of 3 images were left out.* done; the first: .*b.jpg is not"):
        edgeseg.survey(photos, tmp_path / "out", tiny_model)
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert [image["name"] for image in summary["pictures"]] == ["a", "c"]


def test_the_scale_is_what_the_network_sees_as_one_pixel(tmp_path: Path, tiny_model: Path) -> None:
    large = np.repeat(np.repeat(make_photo(48, 64), 2, 0), 2, 1)
    write_image(tmp_path / "a.png", large)
    found = edgeseg.survey(tmp_path / "a.png", tmp_path / "out", tiny_model, options=edgeseg.SurveyOptions(scale=2))
    assert found.images[0].scale == 2
    assert (read_label_map(tmp_path / "out/a_labels.png") == edgeseg.Segmenter(tiny_model).segment(large)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 0.6}, "overlap 0.6: expected a share of a tile, 0 to 0.5"),
        ({"scale": 0.0}, "scale 0.0: expected a number above 0"),
        ({"gsd": float("nan")}, "gsd nan"),
        ({"scale": 2.0, "resolution": 0.1}, "scale and resolution: give one"),
        ({"bands": (0,)}, "expected numbers from 1"),
        ({"value_range": (5, 5)}, "expected the lower value first"),
        ({"min_area": 2}, "min_area without polygons"),
        ({"min_area": -1, "polygons": True}, "expected 0 or more"),
    ],
)
def test_options_that_mean_nothing(options, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        edgeseg.SurveyOptions(**options)


def test_what_cannot_be_surveyed(photos: Path, tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("")
    write_image(tmp_path / "a.png", make_photo(48, 64))
    for sources, options, error, message in (
        ([], {}, UsageError, "no images to survey"),
        (tmp_path / "absent.tif", {}, DataError, "absent.tif: no such file"),
        (tmp_path / "empty", {}, DataError, "empty holds no images"),
        (tmp_path / "a.txt", {}, UsageError, "a.txt is no image"),
        ([photos, tmp_path / "a.png"], {}, UsageError, "photos/a.png and .*a.png have one name"),
        (photos / "a.png", {"resolution": 0.1}, UsageError, "does not tell how large a pixel is.*add --gsd METRES"),
        (photos / "a.png", {"bands": (1, 2, 3)}, UsageError, "--bands is for GeoTIFFs"),
    ):
        with pytest.raises(error, match=message):
            edgeseg.survey(sources, tmp_path / "out", tiny_model, options=edgeseg.SurveyOptions(**options))


# === The command ===


def test_the_command_tells_what_was_found(cli, photos: Path, tmp_path: Path, tiny_model: Path) -> None:
    done = cli("survey", photos / "a.png", "-o", tmp_path / "out", "-m", tiny_model, "--gsd", 0.5, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["pictures"][0]["files"] == ["a_labels.png"]
    assert done.json == {"out": str(tmp_path / "out"), **json.loads((tmp_path / "out/summary.json").read_text())}
    assert "120 x 160 pixels, 1 of them seen as one; from the size of a pixel that was given" in done.stderr
    assert f"{done.json['areas']['sky']:,.1f} m²" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--bands", "red"), "--bands red: expected their numbers, such as 1,2,3"),
        (("--range", "5"), "--range 5: expected the lowest and the highest value"),
        (("--overlap", "2"), "overlap 2.0: expected a share of a tile"),
    ],
)
def test_the_command_refuses_nonsense(cli, photos: Path, tmp_path: Path, tiny_model: Path, words, message) -> None:
    assert message in cli("survey", photos, "-o", tmp_path / "out", "-m", tiny_model, *words).error
    assert not (tmp_path / "out").exists()


def test_without_ray_several_workers_are_refused(
    cli, photos: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = __import__("sys").modules
    monkeypatch.setitem(modules, "ray", None)
    monkeypatch.delitem(modules, "edgeseg.surveying.on_ray", raising=False)
    done = cli("survey", photos, "-o", tmp_path / "out", "-m", tiny_model, "--workers", 2)
    assert 'needs Ray, which is not installed: pip install "edgeseg[ray]"' in done.error


@pytest.mark.slow
def test_workers_write_what_one_process_writes(cli_process, photos: Path, tmp_path: Path, tiny_model: Path) -> None:
    (photos / "d.png").write_bytes(b"no image")
    words = ("-m", tiny_model, "--overlay", "--gsd", 0.5)
    alone = cli_process("survey", photos, "-o", tmp_path / "alone", *words)
    spread = cli_process("survey", photos, "-o", tmp_path / "spread", *words, "--workers", 2, timeout_s=600)
    assert alone.error == spread.error
    assert "d.png is not an image" in alone.error
    assert content(tmp_path / "alone") == content(tmp_path / "spread")
