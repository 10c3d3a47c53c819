"""A budget of accuracy: the cheapest recipe that holds is written; where none does, the best one, and exit 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_networks import colour_network

import edgeseg
from edgeseg.card_file import read_model
from edgeseg.conversion.qat import QatOptions
from edgeseg.data.dataset import Dataset
from edgeseg.errors import DataError, UsageError
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.scoring.evaluate import evaluate


def network_with_common_weights(much: float, spread: float = 0.0) -> Any:
    """Tells colours apart by the small differences of kernels that are alike: a byte a weight cannot hold both."""
    network = colour_network()
    logits = network.get_layer("logits")
    kernel, bias = logits.get_weights()
    common = much + spread * np.random.default_rng(1).uniform(-1, 1, (1, 1, 3, 1))
    logits.set_weights([kernel + common.astype(np.float32), bias])
    return network


FLAGS = [
    "--int8", "--int8 --refine all", "--int8 --mixed --float-layers 3", "--int8 --mixed --float-layers 12",
    "--int8 --qat",
]  # fmt: skip
INTEGER_FLAGS = [flags for flags in FLAGS if "--mixed" not in flags]


def test_the_first_that_holds_is_written_and_nothing_dearer_tried(
    meadow_folder: Path, meadow: tuple[Dataset, Dataset], tmp_path: Path, cli: Any
) -> None:
    colour_network().save(tmp_path / "net.keras")
    words = ("convert", tmp_path / "net.keras", "--int8", "--max-miou-drop", 0.5, "-o", tmp_path / "net.tflite")
    assert "--max-miou-drop without --data" in cli(*words).error
    done = cli(*words, "--data", meadow_folder, "--json")
    assert done.exit_code == 0, done.stderr
    budget = done.json["budget"]
    assert [trial["flags"] for trial in budget["trials"]] == FLAGS[:1]
    assert budget["holds"]
    assert budget["trials"][0]["holds"]
    assert budget["scored_on"] == "3 images of folder/val"
    assert budget["miou_drop"] == pytest.approx(100 * (budget["float_miou"] - budget["miou"]))
    scored = evaluate(Segmenter(tmp_path / "net.tflite"), meadow[1])
    assert scored.miou == pytest.approx(budget["miou"], abs=1e-12)
    card = read_model(tmp_path / "net.tflite")[1]
    assert card is not None
    assert card.scores == (scored.score,)
    assert card.calibration is not None
    assert card.calibration.source == "folder/train"


def test_where_integers_do_not_hold_the_noisiest_layers_stay_in_float(meadow_folder: Path) -> None:
    found = edgeseg.convert_within(network_with_common_weights(0, spread=300), 0.5, data=meadow_folder)
    assert [trial.flags for trial in found.trials] == FLAGS[:3]
    assert found.trials[0].drop > 10
    assert found.holds
    assert found.best.drop < 0.5
    assert found.conversion.card.recipe.name == "int8_mixed"
    assert found.conversion.cost.startswith("in float: logits; 100.0% of the multiply-accumulates, about ")
    assert found.conversion.cost.endswith("the Edge TPU takes 1 of 3 operators, 2 of 2 without")


def test_where_only_the_last_holds_it_is_chosen(meadow_folder: Path) -> None:
    """For the Edge TPU no layer may stay in float."""
    network, options = network_with_common_weights(0, spread=300), QatOptions(epochs=6, learning_rate=0.1)
    found = edgeseg.convert_within(network, 12, data=meadow_folder, training=options, target="edgetpu", force=True)
    assert [trial.flags for trial in found.trials] == INTEGER_FLAGS
    assert min(trial.drop for trial in found.trials[:2]) > 12 >= found.trials[2].drop
    assert found.best is found.trials[2]
    assert found.conversion.card.recipe.name == "int8_qat"
    assert found.holds
    assert found.conversion.file is None


def test_where_none_holds_the_best_is_written_and_the_drop_told(meadow_folder: Path, tmp_path: Path, cli: Any) -> None:
    network_with_common_weights(400).save(tmp_path / "net.keras")
    done = cli(
        "convert", tmp_path / "net.keras", "--int8", "--max-miou-drop", 1, "--data", meadow_folder, "--epochs", 1,
        "-o", tmp_path / "net.tflite", "--target", "edgetpu", "--json",
    )  # fmt: skip
    assert done.exit_code == 1
    assert "no recipe loses 1 points of mIoU or less on 3 images of folder/val" in done.stderr.splitlines()[-1]
    budget = done.json["budget"]
    assert [trial["flags"] for trial in budget["trials"]] == INTEGER_FLAGS
    assert not budget["holds"]
    assert budget["miou_drop"] == min(trial["miou_drop"] for trial in budget["trials"]) > 1
    assert f"loses {budget['miou_drop']:.2f} and is written" in done.stderr
    assert "points lost, 1 allowed" in budget["trials"][0]["reason"]
    assert Segmenter(tmp_path / "net.tflite").card is not None
    assert not list(tmp_path.glob("*.qat"))


def test_a_stop_leaves_the_file_as_it_was(meadow_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(b"what was there")

    def stop(line: str) -> None:
        if "holds" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edgeseg.convert_within(colour_network(), 0.5, data=meadow_folder, out=file, notify=stop)
    assert file.read_bytes() == b"what was there"
    assert [path.name for path in tmp_path.iterdir()] == ["net.tflite"]


def test_without_training_images_no_training_is_tried(
    meadow: tuple[Dataset, Dataset], tmp_path: Path, meadow_folder: Path
) -> None:
    for name in ("images/val", "labels/val", "labels.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(meadow_folder / name)
    lines: list[str] = []
    with pytest.raises(UsageError, match="name images of that kind with --calibration"):
        edgeseg.convert_within(colour_network(), 0.5, data=tmp_path, notify=lines.append)
    assert "no training is tried: " in lines[0]
    network, images = network_with_common_weights(400), [image for image, _ in meadow[0]]
    found = edgeseg.convert_within(network, 1, data=tmp_path, calibration=images, target="edgetpu")
    assert [trial.flags for trial in found.trials] == FLAGS[:2]
    assert not found.holds


def test_contradictions_are_told_before_any_work(meadow_folder: Path, tmp_path: Path, cli: Any) -> None:
    words = ("convert", "net.keras", "--max-miou-drop", 1, "--data", meadow_folder)
    assert "--qat with --max-miou-drop: what is tried follows" in cli(*words, "--int8", "--qat").error
    assert "--refine with --max-miou-drop" in cli(*words, "--int8", "--refine", "all").error
    assert "--mixed with --max-miou-drop" in cli(*words, "--int8", "--mixed").error
    assert "--float-layers with --max-miou-drop" in cli(*words, "--int8", "--float-layers", 2).error
    assert "--max-miou-drop with float16: it chooses among int8 files" in cli(*words, "--float16").error
    with pytest.raises(UsageError, match="-1 points of mIoU to lose: expected 0 to 100"):
        edgeseg.convert_within(colour_network(), -1, data=meadow_folder)
    with pytest.raises(DataError, match="no such folder"):
        edgeseg.convert_within(colour_network(), 1, data=tmp_path / "nowhere")
    kept = tmp_path / "net.tflite.qat"
    kept.mkdir()
    (kept / "checkpoint.npz").write_bytes(b"")
    with pytest.raises(UsageError, match="keeps a training that was stopped"):
        edgeseg.convert_within(
            colour_network(), 1, data=meadow_folder, out=tmp_path / "net.tflite", training=QatOptions(epochs=1)
        )
