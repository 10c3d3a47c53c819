"""The commands that list things: the table is what they are for, so it is on stdout, and yields to JSON there."""

import subprocess
import sys

import pytest
from commands import ROOT


@pytest.mark.parametrize(
    ("command", "key", "word"), [("models", "models", "aerial"), ("archs", "architectures", "unet")]
)
def test_the_table_is_on_stdout_unless_json_is(cli, tmp_path, command, key, word) -> None:
    plain = cli(command)
    assert word in plain.stdout
    assert plain.stderr == ""
    assert cli(command, "--json", tmp_path / "list.json").stdout == plain.stdout
    both = cli(command, "--json")
    assert both.json[key]
    assert word in both.stderr


def test_a_table_in_a_pipe_is_not_cut_and_may_be_left_early() -> None:
    line = f"{sys.executable} -m edgeseg archs | head -1"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.split() == ["architecture", "--form", "edge", "MACs", "--form", "paper", "MACs"]
    assert done.stderr == ""
