"""The `edgeseg` program itself: exit codes, `--json`, what it imports."""

from edgeseg import __version__
from edgeseg.cli.app import spread_json_option


def test_it_prints_its_version(cli) -> None:
    assert cli("--version").stdout == f"edgeseg {__version__}\n"


def test_json_stands_alone_or_before_a_json_file() -> None:
    assert spread_json_option(["bench", "m.tflite", "--json"]) == ["bench", "m.tflite", "--json", "-"]
    assert spread_json_option(["bench", "--json", "m.tflite"]) == ["bench", "--json", "-", "m.tflite"]
    assert spread_json_option(["bench", "--json", "r.json", "m"]) == ["bench", "--json", "r.json", "m"]
    assert spread_json_option(["bench", "--json", "-", "m"]) == ["bench", "--json", "-", "m"]
