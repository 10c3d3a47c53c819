"""What a Segmenter opens, and what calling it gives."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from tiny_models import colour_model, picture

from edgeseg.errors import UsageError
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


def test_a_result_is_as_large_as_the_picture_and_knows_its_classes(photo):
    truth = np.repeat(np.repeat([[0, 1], [2, 3]], 50, 0), 70, 1)
    result = Segmenter(colour_model())(picture(truth))
    assert result.size == truth.shape
    assert (result.label_map == truth).mean() > 0.95
    assert sum(result.shares.values()) == pytest.approx(1)
    assert (result.mask("class_3") == 255).mean() == result.shares["class_3"]
    assert result.colorize().shape == (*truth.shape, 3)
    np.testing.assert_array_equal(result.overlay(picture(truth), opacity=0), picture(truth))
    with pytest.raises(UsageError, match="no class 'sea'"):
        result.mask("sea")


def test_inspect_takes_zoo_names(cli):
    assert cli("inspect", "camvid", "--json").json["card"]["labels"]["names"][0] == "sky"


def test_a_size_that_a_network_does_not_have(cli, tiny_model, tiny_dataset):
    message = cli("eval", tiny_model, "--data", tiny_dataset, "--size", "64x64").error
    assert "takes 48x64 and no other size, 64x64 was asked for" in message
