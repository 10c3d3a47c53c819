"""To add an architecture or a backbone takes one file and one line, here or in another package: done, not told."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import edgeseg

BACKBONE = """
from edgeseg import Backbone, Features
from edgeseg.architectures.backbones.features import Strides
from edgeseg.architectures.blocks import conv_bn


def stripes(K, image, name, output_stride):
    strides, by_stride, x = Strides(output_stride, 1), {}, image
    for number in range(5):
        stride, dilation = strides.step(2)
        x = conv_bn(K, x, round(8 * name.width), f"stripe{number}", kernel=3, stride=stride, dilation=dilation)
        by_stride[strides.stride] = x
    return Features(by_stride, x)


STRIPES = Backbone(name="stripes", title="Stripes", build=stripes)
"""

ARCHITECTURE = """
from edgeseg import Architecture, NetworkForm, build_backbone
from edgeseg.architectures.blocks import classifier


def plain(K, image, spec):
    return classifier(K, build_backbone(K, image, spec.backbone, spec.output_stride).last, spec.num_classes)


PLAIN = Architecture(name="plain", title="Plain", citation="Nobody, 2026", edge=NetworkForm(build=plain))
"""

# What a user would do with them: name them, and see them in lists and in error messages.
USE = """
from edgeseg import NetworkSpec, UsageError
from edgeseg.architectures.registry import ARCHITECTURES, check_network
spec = dict(architecture="plain", backbone="stripes_0.5", num_classes=3, height=64, width=96)
check_network(NetworkSpec(**spec))
print(list(ARCHITECTURES)[-1])
for wrong in ({"height": 60}, {"form": "paper"}, {"backbone": "stripe"}):
    try:
        check_network(NetworkSpec(**spec | wrong))
    except UsageError as error:
        print(str(error)[:60])
"""
SAID = (
    "plain\n"
    "input size 60x96 of plain with output stride 16: expected mul\n"
    "plain has no paper form: expected its edge form, or one of f\n"
    "unknown backbone 'stripe': did you mean stripes? known: effic\n"
)


def said(text: str) -> list[str]:
    return [line[:60] for line in text.splitlines()]


def test_in_this_repository_one_file_and_one_line_each(python: Any, tmp_path: Path) -> None:
    copy = shutil.copytree(Path(edgeseg.__file__).parent, tmp_path / "edgeseg", ignore=shutil.ignore_patterns("_*_"))
    rooms = copy / "architectures"
    for folder, name, content, after, line in (
        (rooms / "backbones", "stripes", BACKBONE, '        "vgg16": ', '"stripes": f"{_HERE}.stripes:STRIPES"'),
        (rooms, "plain", ARCHITECTURE, '        "parsenet": ', '"plain": f"{_HERE}.plain:PLAIN"'),
    ):
        (folder / f"{name}.py").write_text(content)
        registry = (folder / "registry.py").read_text()
        assert registry.count(after) == 1
        (folder / "registry.py").write_text(registry.replace(after, f"        {line},\n{after}"))
    found = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{USE.replace('[-1]', '[-2]')}"
    done = python("-c", found)
    assert said(done.stdout) == said(SAID), done.stderr


@pytest.fixture
def package(install: Any) -> Path:
    points = {"edgeseg.backbones": {"stripes": "stripes:STRIPES"}, "edgeseg.architectures": {"plain": "stripes:PLAIN"}}
    return Path(install("stripes", BACKBONE + ARCHITECTURE, points))


def test_from_another_package_without_a_change_here(package: Path, python: Any) -> None:
    done = python("-c", f"import sys; sys.path.insert(0, {str(package)!r})\n{USE}")
    assert said(done.stdout) == said(SAID), done.stderr


def test_the_command_line_lists_and_trains_it(package: Path, cli: Any, tiny_dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("keras")
    listed = cli("archs", "--json").json
    (plain,) = [a for a in listed["architectures"] if a["name"] == "plain"]
    assert (plain["forms"], plain["paper_form"], plain["edge"]) == (["edge"], None, {"strides": [16, 8, 32]})
    assert "stripes" in listed["backbones"]
    done = cli(
        "train", "--arch", "plain", "--backbone", "stripes_0.5", "--data", tiny_dataset, "--size", "48x64",
        "--epochs", 1, "--batch", 2, "--split", "val", "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert done.json["name"].startswith("plain_stripes_0.5")


def test_help_does_not_look_for_packages(python: Any, install: Any) -> None:
    folder = install("stripes", "raise SystemExit('imported')", {"edgeseg.architectures": {"plain": "stripes:PLAIN"}})
    code = f"""
import sys
sys.path.insert(0, {str(folder)!r})
from edgeseg.cli import main
try:
    main(["--help"])
except SystemExit:
    assert "edgeseg.plugins" not in sys.modules
"""
    assert python("-c", code).exit_code == 0
