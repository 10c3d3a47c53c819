"""Driving Google's `edgetpu_compiler`, where it is installed: a closed program for x86-64 Linux, last made in 2021."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgeseg import card_file, card_mark, files
from edgeseg.card import ModelCard
from edgeseg.errors import ConversionError, ModelFileError, UsageError
from edgeseg.tflite.edgetpu import log as edgetpu_log
from edgeseg.tflite.edgetpu import predict as edgetpu
from edgeseg.tflite.edgetpu.log import Report
from edgeseg.tflite.edgetpu.operators import COMPILED_OPERATOR
from edgeseg.tflite.edgetpu.predict import Prediction
from edgeseg.tflite.graph import Graph, parse_graph

PROGRAM = "edgetpu_compiler"
ENVIRONMENT = "EDGETPU_COMPILER"
GRACE_S = 20.0
"""How much longer than its own time limit the compiler is given to end by itself."""

_FIRST_WITH_SEARCH = 16  # the first version that knows -d and -t


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An operator that the compiler put elsewhere than predicted."""

    index: int
    op: str
    predicted: bool
    mapped: bool


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A finished compilation.

    Attributes:
        file: The compiled model, with the card where there was one.
        log: The compiler's own log, beside it.
        report: What the compiler said.
        prediction: What was foretold.
        differences: Where they differ, operator by operator.
    """

    file: Path
    log: Path
    report: Report
    prediction: Prediction
    differences: tuple[Difference, ...]


def find(path: str | os.PathLike[str] | None = None) -> Path:
    """Finds the compiler: `path`, or the environment variable EDGETPU_COMPILER, or on PATH.

    Raises:
        UsageError: It is not there.
    """
    named = os.fspath(path) if path is not None else os.environ.get(ENVIRONMENT)
    found = shutil.which(named or PROGRAM)
    if found is not None:
        return Path(found)
    what = f"no program {named}" if named else f"{PROGRAM} is not installed"
    raise UsageError(
        f"{what}: coral.ai/docs/edgetpu/compiler says how to get it (x86-64 Debian or Ubuntu; then --compiler PATH); "
        "edgeseg inspect --edgetpu needs no compiler"
    )


def compile_model(
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    *,
    compiler: str | os.PathLike[str] | None = None,
    timeout_s: float = 180.0,
    multiple_subgraphs: bool = False,
) -> Compiled:
    """Compiles a `.tflite` file for the Edge TPU.

    Args:
        model: The file.
        folder: Where `<name>_edgetpu.tflite` and its log go; beside `model` if None.
        compiler: See `find`.
        timeout_s: The compiler's time limit, seconds; it is killed soon after.
        multiple_subgraphs: Keep every part that can run on the Edge TPU (`-a`, experimental), not the first alone.

    Raises:
        UsageError: The compiler is not there, or the file is compiled already.
        ModelFileError: The file is unusable.
        ConversionError: The compiler fails or takes too long.
        OutputError: The folder cannot be written, or what is there leads back to `model`.
    """
    program = find(compiler)
    path = Path(model)
    content, card = card_file.read_model(path)
    try:
        graph = parse_graph(content)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    prediction = edgetpu.predict(graph, multiple_subgraphs=multiple_subgraphs)
    if prediction.is_compiled:
        raise UsageError(f"{path} is compiled for the Edge TPU already; give the file it was compiled from")
    target = files.ensure_folder(path.parent if folder is None else folder)
    files.check_apart(
        [
            ("the compiled file", target / f"{path.stem}_edgetpu.tflite"),
            ("the log", target / f"{path.stem}_edgetpu.log"),
        ],
        [("the file to be compiled", path)],
    )
    with tempfile.TemporaryDirectory(prefix="edgeseg-compile-") as scratch:
        source = Path(scratch) / f"{path.stem}.tflite"
        source.write_bytes(card_mark.unmarked(bytes(card_file.graph_of(content))))
        output = _run(program, source, timeout_s, multiple_subgraphs)
        reports = edgetpu_log.parse_output(output)
        compiled, log = source.with_name(f"{path.stem}_edgetpu.tflite"), source.with_name(f"{path.stem}_edgetpu.log")
        if not reports:
            raise ConversionError(_explain(path, edgetpu_log.failure(output), prediction))
        if not compiled.is_file():
            raise ConversionError(f"{program} reports success and wrote no file: is it Google's edgetpu_compiler?")
        made = compiled.read_bytes()
        log_text = log.read_text(errors="replace") if log.is_file() else output
    differences = _differences(graph, parse_graph(made), prediction)
    files.write_bytes(target / compiled.name, made if card is None else card_file.attach(made, _for_edgetpu(card)))
    files.write_text(target / log.name, log_text)
    return Compiled(
        file=target / compiled.name,
        log=target / log.name,
        report=reports[-1],
        prediction=prediction,
        differences=differences,
    )


def version(program: Path) -> int:
    """Returns the compiler's major version; 0 where it does not tell."""
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, errors="replace", timeout=GRACE_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    number = edgetpu_log.version_of(said).split(".")[0]
    return int(number) if number.isdecimal() else 0


def _run(program: Path, source: Path, timeout_s: float, multiple_subgraphs: bool) -> str:
    words = [os.fspath(program), "-s", "-o", os.fspath(source.parent)]
    if version(program) >= _FIRST_WITH_SEARCH:
        words += ["-d", "-t", str(max(1, round(timeout_s)))]
    if multiple_subgraphs:
        words.append("-a")
    try:
        process = subprocess.Popen(
            [*words, os.fspath(source)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=source.parent,
            start_new_session=True,  # version 16 forks: the time limit must end the children too
        )
    except OSError as error:
        raise UsageError(f"cannot run {program}: {error.strerror}; it is a program for x86-64 Linux") from error
    with process:  # closes the pipe and waits
        try:
            return process.communicate(timeout=timeout_s + GRACE_S)[0]
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise ConversionError(
                    f"{program.name} did not end within {timeout_s:g} s and was stopped: give it longer (--timeout), "
                    "or a smaller model"
                ) from error
            raise


def _explain(path: Path, reason: str, prediction: Prediction) -> str:
    hint = f"; try: {prediction.remedies[0]}" if prediction.remedies else ""
    return f"the Edge TPU compiler refuses {path}: {reason}{hint}"


def _for_edgetpu(card: ModelCard) -> ModelCard:
    return dataclasses.replace(card, recipe=dataclasses.replace(card.recipe, target="edgetpu"))


def _differences(graph: Graph, compiled: Graph, prediction: Prediction) -> tuple[Difference, ...]:
    """Compares by the names of outputs: the compiler leaves what stays on the CPU as it was."""
    left = {
        tensor.name
        for op in compiled.main.operators
        if op.op != COMPILED_OPERATOR
        for tensor in compiled.main.outputs_of(op)
    }
    found = []
    for op, verdict in zip(graph.main.operators, prediction.verdicts, strict=True):
        mapped = not any(tensor.name in left for tensor in graph.main.outputs_of(op))
        if mapped != verdict.mapped:
            found.append(Difference(index=op.index, op=op.op, predicted=verdict.mapped, mapped=mapped))
    return tuple(found)
