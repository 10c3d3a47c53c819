"""Whatever is wrong with the input: one line on stderr that says so, exit 1, and nothing left behind."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from painting import make_photo

from edgeseg.card_file import graph_of
from edgeseg.image import write_image

Refused = Callable[..., str]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


@pytest.fixture
def refused(cli, tmp_path: Path, tiny_dataset: Path, capfd: pytest.CaptureFixture[str], monkeypatch) -> Refused:
    """`refused("bench", file)` runs a command that has to fail as it should, and returns its one line."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> str:
        before = tree(tmp_path)
        line = cli(*words).error
        assert capfd.readouterr() == ("", "")  # what libraries print past Python
        assert tree(tmp_path) == before
        return line

    return run


# === Models ===


def words_for(command: str, model: object, dataset: Path) -> tuple[object, ...]:
    """Words that would run `command` on `model`."""
    rest = {
        "eval": ("--data", dataset),
        "run": ("--source", dataset / "images/val/0.png", "--headless"),
        "report": ("--data", dataset, "-o", "out"),
    }
    return command, model, *rest.get(command, ())


def cut_card(model: bytes) -> bytes:
    return model[:-100]


def cut_graph(model: bytes) -> bytes:
    graph = bytes(graph_of(model))
    return graph[: len(graph) // 2]


def flip_graph(model: bytes) -> bytes:
    return model[:700] + bytes([model[700] ^ 4]) + model[701:]


def flip_weights_of_a_card(model: bytes) -> bytes:
    return model[:-400] + bytes([model[-400] ^ 1]) + model[-399:]


DAMAGES = {
    cut_card: "damaged or cut off",
    cut_graph: "cut off|damaged|not a",
    flip_graph: "damaged",
    flip_weights_of_a_card: "damaged",
    lambda _: b"": "empty|not a|cut off",
    lambda _: b"this is a text, not a network\n" * 20: "not a|no .tflite|damaged",
}
DEVICE_COMMANDS = ("inspect", "bench", "eval", "run", "report")


@pytest.mark.parametrize("command", DEVICE_COMMANDS)
@pytest.mark.parametrize(
    "damage", DAMAGES, ids=["cut card", "cut graph", "flipped graph", "flipped card", "empty", "text"]
)
def test_a_damaged_model(
    refused: Refused, tmp_path: Path, tiny_model: Path, tiny_dataset: Path, command, damage
) -> None:
    (tmp_path / "m.tflite").write_bytes(damage(tiny_model.read_bytes()))
    line = refused(*words_for(command, tmp_path / "m.tflite", tiny_dataset))
    assert "m.tflite" in line
    assert re.search(DAMAGES[damage], line), line


@pytest.mark.parametrize("command", DEVICE_COMMANDS)
def test_a_missing_model(refused: Refused, tmp_path: Path, tiny_dataset: Path, command: str) -> None:
    line = refused(*words_for(command, tmp_path / "absent.tflite", tiny_dataset))
    assert "absent.tflite" in line
    assert "no such file" in line.lower()


@pytest.mark.parametrize("command", ["bench", "eval", "run", "report"])
def test_an_unknown_zoo_name(refused: Refused, tiny_dataset: Path, command: str) -> None:
    assert "unknown model 'aeriel'" in refused(*words_for(command, "aeriel", tiny_dataset))


@pytest.mark.parametrize("command", ["bench", "eval", "run", "report"])
def test_a_folder_without_a_model(refused: Refused, tmp_path: Path, tiny_dataset: Path, command: str) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no .tflite file" in refused(*words_for(command, tmp_path / "empty", tiny_dataset))


@pytest.mark.parametrize("command", ["bench", "eval", "run", "report"])
def test_an_unknown_delegate(refused: Refused, tiny_model: Path, tiny_dataset: Path, command: str) -> None:
    line = refused(*words_for(command, tiny_model, tiny_dataset), "--delegate", "/absent/libdelegate.so")
    assert "/absent/libdelegate.so" in line


# === Data sets ===


def break_folder(root: Path) -> None:
    shutil.rmtree(root)


def break_layout(root: Path) -> None:
    (root / "labels.json").unlink()


def break_split(root: Path) -> None:
    (root / "images/val").rename(root / "images/test")


def break_image(root: Path) -> None:
    (root / "images/val/1.png").write_text("not an image")


def break_image_end(root: Path) -> None:
    path = root / "images/val/1.png"
    path.write_bytes(path.read_bytes()[:-400])


def break_label_size(root: Path) -> None:
    write_image(root / "labels/val/1.png", np.zeros((48, 63), np.uint8))


def break_label_ids(root: Path) -> None:
    write_image(root / "labels/val/1.png", np.full((96, 128), 3, np.uint8))


def break_label_kind(root: Path) -> None:
    write_image(root / "labels/val/1.png", make_photo(96, 128))


def break_label_presence(root: Path) -> None:
    (root / "labels/val/1.png").unlink()


def break_labels_json(root: Path) -> None:
    (root / "labels.json").write_text("{")


def break_class_count(root: Path) -> None:
    (root / "labels.json").write_text(json.dumps({"names": [f"class {i}" for i in range(7)]}))


def break_one_class(root: Path) -> None:
    (root / "labels.json").write_text(json.dumps({"names": ["everything"]}))


def break_images(root: Path) -> None:
    for path in (root / "images/val").iterdir():
        path.unlink()


BREAKS = {
    break_folder: "no such folder",
    break_layout: "cannot read",
    break_split: "no split 'val': it has test",
    break_image: "1.png is not an image that can be read",
    break_image_end: "1.png is not an image that can be read",
    break_label_size: "1.png is 48x63, its image 1.png is 96x128: expected the same height x width",
    break_label_ids: "1.png holds id 3: expected 0-2",
    break_label_kind: "1.png holds colours",
    break_label_presence: "has no label map",
    break_labels_json: "labels.json is not JSON",
    break_class_count: "has 3 classes, the folder data set has 7",
    break_one_class: "1 classes: expected 2 to 255",
    break_images: "no images in split 'val'",
}


@pytest.mark.parametrize("damage", BREAKS, ids=lambda f: f.__name__)
def test_eval_on_a_broken_data_set(refused: Refused, tiny_model: Path, tiny_dataset: Path, damage) -> None:
    damage(tiny_dataset)
    assert BREAKS[damage] in refused("eval", tiny_model, "--data", tiny_dataset)


@pytest.mark.parametrize("damage", BREAKS, ids=lambda f: f.__name__)
def test_report_on_a_broken_data_set(refused: Refused, tiny_model: Path, tiny_dataset: Path, damage) -> None:
    damage(tiny_dataset)
    assert BREAKS[damage] in refused("report", tiny_model, "--data", tiny_dataset, "-o", "out")


def test_an_unknown_layout(refused: Refused, tiny_model: Path, tiny_dataset: Path) -> None:
    line = refused("eval", tiny_model, "--data", tiny_dataset, "--layout", "camvd")
    assert "unknown data set layout 'camvd': did you mean camvid?" in line


# === Cameras, videos and images ===


@pytest.mark.parametrize("camera", ["97", "/dev/video97"])
def test_a_camera_that_is_not_there(refused: Refused, tiny_model: Path, camera: str) -> None:
    assert "97" in refused("run", tiny_model, "--camera", camera, "--headless", "--frames", 1)


def test_a_source_that_is_not_there(refused: Refused, tmp_path: Path, tiny_model: Path) -> None:
    assert "absent.mp4" in refused("run", tiny_model, "--source", tmp_path / "absent.mp4", "--headless")


def test_a_folder_without_images(refused: Refused, tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty" in refused("run", tiny_model, "--source", tmp_path / "empty", "--headless")


@pytest.mark.parametrize("name", ["broken.mp4", "broken.png", "broken.jpg"])
def test_a_source_that_is_no_video_or_image(refused: Refused, tmp_path: Path, tiny_model: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"neither a video nor an image " * 50)
    assert name in refused("run", tiny_model, "--source", tmp_path / name, "--headless")


def test_no_source_at_all_is_wrong_usage(cli, tiny_model: Path) -> None:
    done = cli("run", tiny_model, "--headless")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "give one of --camera N and --source SOURCE" in done.stderr


# === Outputs ===


@pytest.mark.parametrize("option", ["--stats", "--record", "--save-labels", "--save-overlays", "--events"])
def test_run_cannot_write(refused: Refused, tmp_path: Path, tiny_model: Path, tiny_dataset: Path, option: str) -> None:
    (tmp_path / "file").touch()
    name = {"--record": "v.mp4", "--save-labels": "masks", "--save-overlays": "overlays"}.get(option, "x.json")
    target = tmp_path / "file" / name
    assert "file" in refused("run", tiny_model, "--source", tiny_dataset / "images/val", "--headless", option, target)


def test_report_cannot_write(refused: Refused, tmp_path: Path, tiny_model: Path, tiny_dataset: Path) -> None:
    (tmp_path / "file").touch()
    line = refused("report", tiny_model, "--data", tiny_dataset, "-o", tmp_path / "file" / "out")
    assert "cannot write" in line


def test_json_cannot_be_written(refused: Refused, tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "file").touch()
    line = refused("inspect", tiny_model, "--json", tmp_path / "file" / "r.json")
    assert "cannot write" in line


# === Converting ===


@pytest.fixture
def convert(refused: Refused, tmp_path: Path, tiny_keras_model: Path):
    """`convert("--float32")` runs `edgeseg convert` on the little Keras model; see `refused`."""
    return lambda *words, model=tiny_keras_model: refused("convert", model, "-o", tmp_path / "new/o.tflite", *words)


def test_convert_a_missing_model(convert, tmp_path: Path) -> None:
    assert "no such file" in convert("--float32", model=tmp_path / "absent.keras")


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_convert_what_is_no_model(convert, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no model")
    assert name in convert("--float32", model=tmp_path / name)


def test_convert_a_damaged_model(convert, tmp_path: Path, tiny_keras_model: Path) -> None:
    content = bytearray(tiny_keras_model.read_bytes())
    content[1000] ^= 1
    (tmp_path / "m.keras").write_bytes(content)
    assert "damaged" in convert("--float32", model=tmp_path / "m.keras")


def test_convert_what_is_converted_already(convert, tiny_model: Path) -> None:
    assert "expected the Keras model" in convert("--int8", model=tiny_model)


def test_calibrating_with_no_images(convert, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no images" in convert("--int8", "--calibration", tmp_path / "empty")


def test_calibrating_with_what_is_not_there(convert, tmp_path: Path) -> None:
    assert "absent" in convert("--int8", "--calibration", tmp_path / "absent")


def test_calibrating_with_what_is_no_image(convert, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/0.png").write_text("no image")
    assert "0.png is not an image" in convert("--int8", "--calibration", tmp_path / "photos")


def test_calibrating_with_nothing_named(convert) -> None:
    assert "--calibration" in convert("--int8")


def test_several_recipes(convert) -> None:
    assert "several recipes were given" in convert("--int8", "--float16")


def test_an_unknown_output(convert) -> None:
    assert "unknown output 'masks': known: labels, logits" in convert("--float32", "--output", "masks")


def test_a_size_that_is_none(convert) -> None:
    assert "expected height x width, such as 240x320" in convert("--float32", "--size", "big")


def test_convert_cannot_write(refused: Refused, tmp_path: Path, tiny_keras_model: Path) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "o.tflite"
    assert "cannot write" in refused(
        "convert", tiny_keras_model, "--float32", "--calibration", "synthetic", "-o", target
    )


# === Training ===


@pytest.fixture
def train(refused: Refused, tmp_path: Path, tiny_dataset: Path):
    """`train("--arch", "unet")` runs `edgeseg train` on the painted images; see `refused`."""
    usual = ("--data", tiny_dataset, "--split", "val", "--size", "64x64", "--epochs", 1, "--out", tmp_path / "new/run")

    def run(*words: object) -> str:
        backbone = () if "--backbone" in words else ("--backbone", "mobilenetv2_0.35")
        return refused("train", *usual, *backbone, *words)

    return run


def test_an_unknown_architecture(train) -> None:
    assert "unknown architecture 'deeplabv3pls': did you mean deeplabv3plus" in train("--arch", "deeplabv3pls")


def test_an_unknown_backbone(train) -> None:
    assert "unknown backbone 'mobilenetv9'" in train("--backbone", "mobilenetv9")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--size", "60x64"), "60x64"),
        (("--size", "64"), "expected height x width"),
        (("--loss", "cee"), "cee"),
        (("--output-stride", "12"), "12"),
        (("--epochs", "0"), "0"),
        (("--batch", "0"), "0"),
        (("--lr", "-1"), "-1"),
        (("--scale", "2,1"), "--scale 2,1"),
        (("--weights", "coco"), "coco"),
        (("--init-from", "absent.tflite"), "absent.tflite"),
        (("--split", "train"), "no split 'train'"),
        (("--val-split", "test"), "no split 'test'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_training_options_that_mean_nothing(train, words, message: str) -> None:
    assert message in train(*words)


@pytest.mark.parametrize("damage", [break_folder, break_label_ids, break_one_class], ids=lambda f: f.__name__)
def test_training_on_a_broken_data_set(train, tiny_dataset: Path, damage) -> None:
    damage(tiny_dataset)
    assert BREAKS[damage] in train()


def test_training_cannot_write(refused: Refused, tmp_path: Path, tiny_dataset: Path) -> None:
    (tmp_path / "file").touch()
    words = (
        "--data",
        tiny_dataset,
        "--split",
        "val",
        "--backbone",
        "mobilenetv2_0.35",
        "--size",
        "64x64",
        "--epochs",
        1,
    )
    assert "cannot write" in refused("train", *words, "--out", tmp_path / "file" / "run")


# === In a process of its own, as a user's shell sees it ===


def test_a_camera_that_is_not_there_in_the_shell(cli_process, tiny_model: Path) -> None:
    assert "97" in cli_process("run", tiny_model, "--camera", 97, "--headless").error


def test_a_broken_video_in_the_shell(cli_process, tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video " * 100)
    assert "broken.mp4" in cli_process("run", tiny_model, "--source", tmp_path / "broken.mp4", "--headless").error


def test_a_network_that_is_no_keras_model_in_the_shell(cli_process, tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_text("no model")
    assert "m.h5" in cli_process("convert", tmp_path / "m.h5", "--float32").error
