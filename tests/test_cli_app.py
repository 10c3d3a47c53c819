"""The `edgeseg` program itself: exit codes, `--json`, what it imports."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import typer
from commands import ROOT

from edgeseg import __version__
from edgeseg.cli import app as program
from edgeseg.cli import demo, output
from edgeseg.cli.commands import COMMANDS
from edgeseg.errors import DataError, OutputError

HEAVY = ("tensorflow", "keras", "tf_keras", "cv2", "numpy", "PIL", "ai_edge_litert", "tflite_runtime")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch):
    """`command(function)` makes `function` the only command, named after it."""

    def install(function) -> None:
        app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
        app.callback()(program._options)
        app.command(function.__name__)(function)
        monkeypatch.setattr(program, "app", app)

    return install


# === Exit codes ===


def test_it_prints_its_version(cli) -> None:
    done = cli("--version")
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"edgeseg {__version__}\n", "")


def test_help_names_every_command(cli) -> None:
    done = cli("--help")
    assert done.exit_code == 0
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "data"])  # a group, of which each has its own
def test_every_command_has_help_with_examples(cli, name: str) -> None:
    done = cli(name, "--help")
    assert done.exit_code == 0
    assert "Examples" in done.stdout
    assert f"edgeseg {name}" in done.stdout.partition("Examples")[2]


@pytest.mark.parametrize("words", [["trian"], ["--colour"], ["data", "--nothing"]])
def test_wrong_usage_exits_with_2(cli, words: list[str]) -> None:
    done = cli(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage: edgeseg" in done.stderr


def test_an_error_is_one_line_and_exits_with_1(cli, command) -> None:
    def fail() -> None:
        raise DataError("no such\nthing: expected\n  another")

    command(fail)
    assert cli("fail").error == "no such thing: expected another"


def test_debug_shows_the_traceback_wherever_it_stands(command) -> None:
    def fail() -> None:
        raise DataError("no such thing")

    command(fail)
    for words in (["--debug", "fail"], ["fail", "--debug"]):
        with pytest.raises(DataError):
            program.main(words)


def test_a_missing_package_is_answered_with_the_pip_line(cli, command) -> None:
    def fail() -> None:
        raise ModuleNotFoundError("No module named 'tf_keras.src'", name="tf_keras.src")

    command(fail)
    assert cli("fail").error == 'this command needs tf_keras, which is not installed: pip install "edgeseg[train]"'


def test_a_bug_is_no_user_error(command) -> None:
    def fail() -> None:
        raise ModuleNotFoundError("No module named 'edgeseg.nothing'", name="edgeseg.nothing")

    command(fail)
    with pytest.raises(ModuleNotFoundError):
        program.main(["fail"])


def test_ctrl_c_exits_with_130(cli, command) -> None:
    def wait() -> None:
        raise KeyboardInterrupt

    command(wait)
    done = cli("wait")
    assert (done.exit_code, done.stdout, done.stderr) == (130, "", "edgeseg: stopped\n")


def test_ctrl_c_from_outside_exits_with_130() -> None:
    code = (
        "import time, typer; from edgeseg.cli import app as program\n"
        "app = typer.Typer(); app.callback()(program._options)\n"
        "@app.command()\n"
        "def wait():\n"
        "    print('waiting', flush=True); time.sleep(60)\n"
        "program.app = app; program.main(['wait'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, env=environment, text=True) as process:
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr.read() == "edgeseg: stopped\n"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    code = (
        "import sys; sys.argv = ['edgeseg', '--help']\n"
        "import os; os.close(1); r, w = os.pipe(); os.close(r); assert w == 1 or os.dup2(w, 1)\n"
        "from edgeseg.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.stderr == b""


# === What it imports ===


def test_the_list_of_commands_imports_none_of_them(python) -> None:
    code = (
        "import sys\nfrom edgeseg.cli import main\n"
        "try:\n    main(['--help'])\n"
        "finally:\n    print(*(n for n in sys.modules if n.startswith(('edgeseg.cli.', 'rich'))), file=sys.stderr)\n"
    )
    done = python("-c", code)
    assert set(done.stderr.split()) == {f"edgeseg.cli.{name}" for name in ("app", "commands", "messages")}


def test_help_imports_nothing_heavy(python) -> None:
    code = (
        "import contextlib, io, sys\n"
        "from edgeseg.cli import main\n"
        f"for words in [], ['--version'], *([name] for name in {list(COMMANDS)}):\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "        main([*words, '--help'])\n"
        f"    print(words, *(n for n in {HEAVY} if n in sys.modules))\n"
    )
    done = python("-c", code)
    lines = done.stdout.splitlines()
    assert len(lines) == 2 + len(COMMANDS), done.stderr
    assert all(line.endswith("]") for line in lines), done.stdout


# === --json ===


def test_json_stands_alone_or_before_a_json_file() -> None:
    spread = program.spread_json_option
    assert spread(["bench", "m.tflite", "--json"]) == ["bench", "m.tflite", "--json", "-"]
    assert spread(["bench", "--json", "m.tflite"]) == ["bench", "--json", "-", "m.tflite"]
    assert spread(["bench", "--json", "r.json", "m"]) == ["bench", "--json", "r.json", "m"]
    assert spread(["bench", "--json", "-", "m"]) == ["bench", "--json", "-", "m"]
    assert spread(["bench", "--json", "--threads", "2"]) == ["bench", "--json", "-", "--threads", "2"]


def test_a_result_is_printed_written_or_neither(tmp_path: Path) -> None:
    result = {"miou": float("nan"), "images": 2}
    stdout = io.StringIO()
    with redirect_stdout(stdout):
        output.emit(result, None)
        output.emit(result, str(tmp_path / "r.json"))
        assert stdout.getvalue() == ""
        output.emit(result, "-")
    assert json.loads(stdout.getvalue()) == {"miou": None, "images": 2}
    assert (tmp_path / "r.json").read_text() == stdout.getvalue()


def test_a_result_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        output.emit({}, str(tmp_path))


def test_progress_reaches_stderr_only(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress_bar() as progress:
        advance = output.advancing(progress, "Training")
        advance(1, 2)
        advance(2, 2)
    assert capsys.readouterr().out == ""


# === Commands that run commands ===


def test_the_demo_prints_each_command_and_runs_it(cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "steps", lambda *_: [["models"], ["inspect", str(tmp_path / "absent.tflite")]])
    done = cli("demo", "--out", tmp_path)
    assert "aerial" in done.stdout
    assert "$ edgeseg models" in done.stderr
    assert done.exit_code == 1  # the second step's
    assert "absent.tflite" in done.stderr.splitlines()[-1]
