"""The `edgeseg` program: turns errors into one line and an exit code."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from edgeseg.cli.commands import Commands
from edgeseg.cli.messages import showing_messages
from edgeseg.errors import EdgesegError, MissingExtraError
from edgeseg.runtime.quiet import keep_logs_off_the_screen
from edgeseg.version import __version__

app = typer.Typer(
    cls=Commands,
    name="edgeseg",
    help="Semantic segmentation on the edge: train, quantize, convert to TFLite, run live, and measure.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

STOPPED = 130
"""What a shell expects of a program that Ctrl-C ended: 128 + SIGINT."""

# Which extra installs a package that only some commands need.
PACKAGE_EXTRAS = {
    "tensorflow": "train",
    "keras": "train",
    "tf_keras": "train",
    "tensorboard": "tensorboard",
    "ray": "sweep",
    "mlflow": "mlflow",
}

# These libraries write to stderr what no user can act on; what matters reaches the user as an EdgesegError.
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GRPC_VERBOSITY": "ERROR",
    "KERAS_BACKEND": "tensorflow",
    "OPENCV_LOG_LEVEL": "SILENT",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
}


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"edgeseg {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 an EdgesegError, 2 usage, 130 Ctrl-C.

    Args:
        arguments: The words after `edgeseg`; those of this process if None.
    """
    words = spread_json_option(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    pairs = list(itertools.pairwise(["", *words]))
    destinations = [word for option, word in pairs if option == "--json" and word != "-"]
    others = [word for option, word in pairs if option != "--json"]
    if not debug:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        keep_logs_off_the_screen()
    try:
        for destination in destinations:
            _check_destination(destination, others)
        with showing_messages():
            app(args=words, prog_name="edgeseg")
    except EdgesegError as error:
        if debug:
            raise
        _fail(str(error))
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if debug or package == "edgeseg":
            raise
        if isinstance(error, ModuleNotFoundError) and package in PACKAGE_EXTRAS:
            _fail(str(MissingExtraError(package, PACKAGE_EXTRAS[package], "this command")))
        _fail(f"{package or 'a package'} cannot be imported ({_gist(error)}): `edgeseg doctor` says the fix")
    except SystemExit as stopped:
        if stopped.code == STOPPED:
            print("edgeseg: stopped", file=sys.stderr)
        raise


def _check_destination(destination: str, others: list[str]) -> None:
    """Makes sure, before the work, that a result can be written, and over nothing that the command names."""
    from edgeseg.files import check_apart, check_writable

    check_writable(destination)
    named = [(f"{word}, which this command names too", Path(word)) for word in others]
    check_apart([("the result", Path(destination))], named)


def _gist(error: ImportError) -> str:
    """Returns the line of an import's error that says something: NumPy's begins with blank lines and advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _fail(message: str) -> NoReturn:
    print("edgeseg:", " ".join(message.split()), file=sys.stderr)  # one line, whatever a library's message held
    sys.exit(1)


def spread_json_option(words: list[str]) -> list[str]:
    """Lets `--json` stand alone (print on stdout) or before a file whose name ends in .json.

    Args:
        words: The command line.

    Returns:
        The same with a value after every `--json`: "-" for stdout.
    """
    spread: list[str] = []
    for index, word in enumerate(words):
        spread.append(word)
        following = words[index + 1] if index + 1 < len(words) else ""
        if word == "--json" and not (following.endswith(".json") or following == "-"):
            spread.append("-")
    return spread
