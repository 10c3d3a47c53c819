"""Building a network by name."""

from __future__ import annotations

import doctest

import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

import edgeseg  # noqa: E402
from edgeseg.architectures import build as building  # noqa: E402
from edgeseg.architectures.registry import describe_network  # noqa: E402
from edgeseg.errors import UsageError  # noqa: E402


def test_the_example_runs():
    assert doctest.testmod(building, extraglobs={"edgeseg": edgeseg}) == (0, 2)


def test_what_is_not_said_is_the_form_s_usual():
    edge = describe_network("unet", num_classes=2, size=(64, 64))
    assert (edge.backbone, edge.output_stride) == ("mobilenetv2_0.5", 16)
    paper = describe_network("deeplabv2", num_classes=2, size=(256, 256), form="paper")
    assert (paper.backbone, paper.output_stride) == ("resnet101", 8)


def test_inputs_of_other_channel_counts():
    network = edgeseg.build("unet", backbone="resnet18_0.1", num_classes=2, size=(32, 32), channels=1)
    assert network.input.shape == (None, 32, 32, 1)


def test_what_there_is_to_build():
    assert {"unet", "unet_unpadded"} <= set(edgeseg.list_architectures())
    assert "unet_unpadded" not in edgeseg.list_architectures("edge")
    assert "unet_unpadded" in edgeseg.list_architectures("paper")
    assert "resnet18" in edgeseg.list_backbones()
    with pytest.raises(UsageError, match="unknown form 'lite'"):
        edgeseg.list_architectures("lite")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"architecture": "unett"}, "unknown architecture 'unett': did you mean unet"),
        ({"form": "lite"}, "unknown form 'lite'"),
        ({"num_classes": 1}, "1 classes: expected 2 to 255"),
        ({"size": (50, 64)}, "expected multiples of 16, the nearest is 48x64"),
        ({"channels": 0}, "0 input channels"),
    ],
)
def test_what_cannot_be_built_is_said(asked, message):
    with pytest.raises(UsageError, match=message):
        edgeseg.build(**{"architecture": "unet", "num_classes": 2, "size": (64, 64), **asked})
