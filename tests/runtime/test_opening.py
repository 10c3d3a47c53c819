"""What a Segmenter opens, and what calling it gives."""

from __future__ import annotations

import doctest
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tiny_models import colour_model, painted

from edgeseg.card import LabelSet
from edgeseg.card_json import to_json
from edgeseg.errors import UsageError
from edgeseg.image import write_image
from edgeseg.runtime import segmenter as module
from edgeseg.runtime.segmenter import Segmenter


def test_the_example_of_the_docstring(monkeypatch):
    monkeypatch.chdir(__file__.rpartition("/tests/")[0])
    assert doctest.testmod(module) == (0, 5)


def test_zoo_names_folders_and_files():
    named = Segmenter("camvid")
    assert Segmenter(named.name.rpartition("/")[0]).name == named.name
    assert Segmenter(named.name).labels == named.labels
    assert named.labels.num_classes == 11


def test_a_result_is_as_large_as_the_image_and_knows_its_classes(photo):
    truth = np.repeat(np.repeat([[0, 1], [2, 3]], 50, 0), 70, 1)
    result = Segmenter(colour_model())(painted(truth))
    assert result.size == truth.shape
    assert (result.label_map == truth).mean() > 0.95
    assert sum(result.shares.values()) == pytest.approx(1)
    assert (result.mask("class_3") == 255).mean() == result.shares["class_3"]
    assert result.colorize().shape == (*truth.shape, 3)
    np.testing.assert_array_equal(result.overlay(painted(truth), opacity=0), painted(truth))
    with pytest.raises(UsageError, match="no class 'sea'"):
        result.mask("sea")


def test_inspect_takes_zoo_names(cli):
    assert cli("inspect", "camvid", "--json").json["card"]["labels"]["names"][0] == "sky"


def test_a_size_that_a_network_does_not_have(cli, tiny_model, tiny_dataset):
    message = cli("eval", tiny_model, "--data", tiny_dataset, "--size", "64x64").error
    assert "takes 48x64 and no other size, 64x64 was asked for" in message


def any_size_model():
    """The bytes of `colour_model` for images of any size."""
    model = schema.ModelT.InitFromPackedBuf(colour_model(), 0)
    for tensor in model.subgraphs[0].tensors:
        if list(tensor.shape[1:3]) == [32, 48]:
            tensor.shapeSignature = [1, -1, -1, tensor.shape[3]]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--size", ("bench", "--runs", 1, "--seconds", 0, "--warmup", 0)),
        ("--input-size", ("run", "--source", "image.png", "--headless")),
        ("--size", ("report", "--data", "four", "-o", "out")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value,
)
def test_commands_run_a_file_of_any_size_at_the_size_that_is_asked_for(cli, tmp_path, monkeypatch, flag, words):
    monkeypatch.chdir(tmp_path)
    Path("any.tflite").write_bytes(any_size_model())
    write_image("image.png", painted(np.zeros((20, 24), int)))
    write_image("four/images/val/0.png", painted(np.zeros((20, 24), int)))
    write_image("four/labels/val/0.png", np.zeros((20, 24), np.uint8))
    Path("four/labels.json").write_text(to_json(LabelSet.from_names([f"class_{index}" for index in range(4)])))
    command, *rest = words
    assert "takes images of any size: say which" in cli(command, "any.tflite", *rest).error
    done = cli(command, "any.tflite", *rest, flag, "20x24")
    assert done.exit_code == 0, done.stderr


def test_a_tflite_file_of_any_size_takes_the_one_that_is_given():
    content = any_size_model()
    with pytest.raises(UsageError, match="takes images of any size: say which"):
        Segmenter(content)
    truth = np.repeat(np.repeat([[0, 1], [2, 3]], 10, 0), 12, 1)
    segmenter = Segmenter(content, size=truth.shape)
    assert segmenter.output_size == truth.shape
    np.testing.assert_array_equal(segmenter.segment(painted(truth)), truth)
    twin = segmenter.twin()
    assert twin is not None
    np.testing.assert_array_equal(twin.segment(painted(truth)), truth)


def test_a_data_set_of_the_same_name_does_not_hide_the_zoos_model(monkeypatch, tmp_path):
    (tmp_path / "camvid/train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert Segmenter("camvid").labels.num_classes == 11


@pytest.mark.parametrize("pair", [("--window", "--headless"), ("--sharp", "--refine", "crf")], ids=" ".join)
def test_flags_of_run_that_would_be_ignored_are_refused(cli, tiny_model, tiny_dataset, pair):
    headless = () if "--window" in pair else ("--headless",)
    assert "leave one out" in cli("run", tiny_model, "--source", tiny_dataset / "images/val", *pair, *headless).error
