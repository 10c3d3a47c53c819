"""`edgeseg report` on little models and painted images."""

import json
from pathlib import Path

import numpy as np
import pytest
from painting import TINY_LABELS, make_photo, make_photo_labels

from edgeseg.image import read_label_map, write_image
from edgeseg.report import compare
from edgeseg.runtime.result import Result
from edgeseg.scoring.evaluate import evaluate

FILES = ["report.csv", "report.html", "report.json", "report.md", "report.svg"]


def test_two_models_are_compared(
    cli, tmp_path: Path, tiny_model: Path, tiny_float_model: Path, tiny_dataset: Path
) -> None:
    done = cli("report", tiny_model, tiny_float_model, "--data", tiny_dataset, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [*FILES, "scores.json"]
    first, second = done.json["results"]
    assert (first["recipe"], second["recipe"]) == ("int8_ptq", "float32")
    assert first["miou"] > 0.9
    assert set(first["class_iou"]) == set(TINY_LABELS.names)
    assert first["latency_ms"] > 0
    assert first["bytes"] == tiny_model.stat().st_size
    assert first["parameters"] == 12  # three inputs, three classes, three biases
    assert first["macs"] == 24 * 32 * 9
    assert done.json["images"] == 3
    written = json.loads((tmp_path / "out/report.json").read_text())
    assert written == {key: value for key, value in done.json.items() if key != "files"}
    assert (tmp_path / "out/report.html").read_text().count("<figure>") == 3 * 4


def test_the_command_in_the_report_makes_it_again(cli, tmp_path: Path, tiny_model: Path, tiny_dataset: Path) -> None:
    words = ["report", tiny_model, "--data", tiny_dataset, "--limit", 1, "--examples", 0, "-o", tmp_path / "my out"]
    once = cli(*words, "--json").json
    assert once["images"] == 1
    assert once["command"].endswith(f"--out '{tmp_path}/my out'")
    assert "--limit 1 --threads 1 --examples 0" in once["command"]


def test_a_folder_means_all_its_files(cli, tmp_path: Path, tiny_model: Path, tiny_dataset: Path) -> None:
    done = cli("report", tiny_model.parent, "--data", tiny_dataset, "-o", tmp_path / "out", "--examples", 0, "--json")
    assert [r["recipe"] for r in done.json["results"]] == ["float32", "int8_ptq"]


def test_int8_files_are_explained_on_demand(
    cli, tmp_path: Path, tiny_model: Path, tiny_float_model: Path, tiny_keras_model: Path, tiny_dataset: Path
) -> None:
    beside, alone = tmp_path / "beside", tmp_path / "alone"
    for folder, files in ((beside, (tiny_model, tiny_float_model, tiny_keras_model)), (alone, (tiny_model,))):
        folder.mkdir()
        for file in files:
            (folder / file.name).symlink_to(file)
    words = ("report", beside, alone, "--data", tiny_dataset, "--examples", 0, "-o", tmp_path / "out")
    done = cli(*words, "--explain", "--json")
    assert done.exit_code == 0, done.stderr
    (one,) = done.json["explained"]
    assert one["model"] == tiny_model.stem
    assert [layer["name"] for layer in one["layers"]] == ["logits"]
    assert one["layers"][0]["own_db"] > 20
    page = (tmp_path / "out/report.html").read_text()
    assert page.count('<svg class="noise"') == 1
    assert "chooses as its float network on" in page
    assert "images (folder val)" in page
    assert done.json["command"].endswith(" --explain")
    told = f"{tiny_model.stem} is not explained layer by layer: {alone} holds no Keras model"
    assert told in done.stderr
    assert told in done.json["notes"][0]
    assert told in (tmp_path / "out/report.md").read_text().replace("\\", "")


def test_only_what_is_new_is_scored(
    cli, tmp_path: Path, tiny_model: Path, tiny_float_model: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []

    def watching(segmenter, *arguments, **options):
        scored.append(Path(segmenter.name).name)
        return evaluate(segmenter, *arguments, **options)

    monkeypatch.setattr(compare, "evaluate", watching)

    def report(*words: object) -> list[float]:
        done = cli("report", *words, "--data", tiny_dataset, "-o", tmp_path / "out", "--examples", 0, "--json")
        assert done.exit_code == 0, done.stderr
        return [(r["miou"], r["class_iou"]) for r in done.json["results"]]

    first = report(tiny_model)
    both = report(tiny_model, tiny_float_model)
    assert both[0] == first[0]
    assert scored == [tiny_model.name, tiny_float_model.name]

    scored.clear()
    assert report(tiny_model, tiny_float_model) == both
    assert scored == []
    report(tiny_model, "--limit", 1)  # another measurement
    report(tiny_model, "--rescore")
    (tmp_path / "out/scores.json").write_text("{")  # damaged
    report(tiny_model)
    label_map = next(iter((tiny_dataset / "labels").rglob("*.png")))
    write_image(label_map, read_label_map(label_map)[::-1])  # other labels
    assert report(tiny_model) != first
    assert scored == [tiny_model.name] * 4


def test_nothing_is_written_when_an_input_is_wrong(cli, tmp_path: Path, tiny_model: Path, tiny_dataset: Path) -> None:
    out = tmp_path / "out"
    assert "no such file" in cli("report", tmp_path / "absent.tflite", "--data", tiny_dataset, "-o", out).error
    assert "no such folder" in cli("report", tiny_model, "--data", tmp_path / "absent", "-o", out).error
    (tiny_dataset / "labels.json").write_text('{"names": ["a", "b"]}')
    assert (
        "has 3 classes, the folder data set has 2" in cli("report", tiny_model, "--data", tiny_dataset, "-o", out).error
    )
    assert not out.exists()


def test_colours_are_laid_over_classes_and_not_over_what_has_none() -> None:
    image, label_map = make_photo(48, 64), make_photo_labels(48, 64)
    label_map[:10] = 255
    painted = Result(label_map=label_map, labels=TINY_LABELS).overlay(image)
    assert np.array_equal(painted[:10], image[:10])
    assert np.abs(painted[40, 2].astype(int) - (0.6 * np.array([35, 142, 107]) + 0.4 * image[40, 2])).max() <= 1
