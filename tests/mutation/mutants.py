"""Mutation testing: changes a module in one place at a time and runs its tests, which should fail.

    python tests/mutation/mutants.py edgeseg/metrics.py ...    all of `TESTS` if none is named

What survives shows where tests cannot fail. Mutants are: a comparison's boundary or sense, another arithmetic, bit or
boolean operator, a constant (a number plus one, the other truth value, a string cut short), a negated condition, a sign
or a `not` left out, a statement left out, None returned. Messages (f-strings, and what is raised) and annotations stay.

Each mutant runs in a forked process, on a copy of the checkout, so that processes that the tests start see the mutant
too. A change inside functions is put into a process that has collected the tests already: quick, and what test modules
made when they were imported comes of the module as it was, as files of before do. Any other change runs where only
pytest and the heavy libraries are imported. Tests that killed before run first.

A mutant may do anything, so all of it runs where everything but a /tmp of its own is read-only (`unshare`, Linux), or
not at all. `survivors.txt` tells of each known survivor why no test can or need kill it. Exits with 1 if one is not
told, or more than 5 % survive.
"""

from __future__ import annotations

import ast
import gc
import importlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType

import pytest
from changing import Mutant, changed_functions, key, mutants
from ordering import KillersFirst, Timed

ROOT = Path(__file__).parents[2]
TESTS: dict[str, tuple[str, ...]] = {
    "edgeseg/postprocess.py": ("tests/test_postprocess.py", "tests/test_entries.py"),
    "edgeseg/metrics.py": ("tests/test_metrics.py", "tests/test_entries.py"),
    "edgeseg/files.py": ("tests/test_files.py",),
    "edgeseg/losses.py": ("tests/test_losses.py",),
    "edgeseg/card.py": ("tests/test_card.py", "tests/test_card_file.py"),
    "edgeseg/card_file.py": ("tests/test_card_file.py",),
    "edgeseg/card_json.py": ("tests/test_card.py", "tests/test_card_file.py"),
    "edgeseg/runtime/segmenter.py": ("tests/runtime/test_segmenter.py", "tests/test_entries.py"),
    "edgeseg/live/packet.py": ("tests/live/test_packet.py",),
    "edgeseg/live/capture.py": ("tests/live/test_capture.py",),
}
NEEDS_KERAS = ("edgeseg/losses.py",)
MOST_SURVIVORS = 0.05
PRELOADED = (
    "_hypothesis_pytestplugin", "xdist.plugin", "pdb", "numpy", "cv2", "PIL.Image", "typer",
    "rich.console", "rich.progress",
)  # fmt: skip

OPTIONS = ("-q", "-x", "--tb=native", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")

TERMINAL = os.dup(1)  # where it is printed to, whatever tests do with their output


def tell(text: str) -> None:
    """Prints a line, or what ends in a return and will be printed over."""
    os.write(TERMINAL, (text if text.endswith("\r") else f"{text}\n").encode())


def forked(task: Callable[[], int], seconds: float) -> bool:
    """Whether a task returns 0 in a forked process; one that takes longer than `seconds` is as good as failed.

    Waits of a second are counted, not the clock: a machine that pauses kills no mutant.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        log = os.open("mutant.log", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            os._exit(int(task()))
        finally:
            traceback.print_exc()
            os._exit(1)
    ended = os.pidfd_open(child)
    in_time = any(select.select([ended], [], [], 1.0)[0] for _ in range(1 + int(seconds)))
    if not in_time:
        os.killpg(child, signal.SIGKILL)
    os.close(ended)
    return os.waitpid(child, 0)[1] == 0 and in_time


class Collected(KillersFirst):
    """A pytest plugin: once the tests are collected, runs them for each mutant whose change lies inside functions.

    Args:
        workspace: Where.
        found: All mutants.
        seconds: See `forked`.
    """

    def __init__(self, workspace: Workspace, found: list[Mutant], seconds: float) -> None:
        self.workspace, self.found, self.seconds = workspace, found, seconds

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        space = vars(sys.modules[self.workspace.name])
        functions = [f for f in gc.get_objects() if isinstance(f, FunctionType) and f.__globals__ is space]
        before = self.workspace.compiled(self.workspace.source)
        assert forked(partial(self.run, session, functions, {}), self.seconds), "the module as it is fails here"
        for number, mutant in enumerate(self.found):
            changed = changed_functions(before, self.workspace.compiled(mutant.source))
            if changed is not None:
                self.workspace.write(mutant.source)
                passes = forked(partial(self.run, session, functions, changed), self.seconds)
                self.workspace.record(number, mutant, passes)
        return True

    def run(self, session: pytest.Session, functions: list[FunctionType], changed: dict[object, CodeType]) -> int:
        """Puts changed code into a module's functions and runs the tests; returns whether one failed."""
        for function in functions:
            function.__code__ = changed.get(key(function.__code__), function.__code__)
        self.order(session.items)
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                return 1
        return 0


class Workspace:
    """A copy of the checkout in which one module is changed again and again.

    Args:
        folder: Where to put it.
        module: The module's file.
        told: See `explained`.
    """

    def __init__(self, folder: Path, module: str, told: dict[str, str]) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.module, self.tests, self.told = module, TESTS[module], told
        self.file, self.record_file = folder / module, folder / "verdicts.txt"
        self.name = module.removesuffix(".py").replace("/", ".")
        self.source = ast.unparse(ast.parse(self.file.read_text()))
        os.chdir(folder)
        sys.path[:0] = [str(folder), str(folder / "tests")]
        os.environ["PYTHONPATH"] = str(folder)

    def write(self, source: str) -> None:
        """Changes the module."""
        for compiled in self.file.parent.glob(f"__pycache__/{self.file.stem}.*"):
            compiled.unlink()
        self.file.write_text(source)

    def compiled(self, source: str) -> CodeType:
        """Returns what Python makes of the module's source."""
        return compile(source, self.file, "exec")

    def passes(self, plugin: object, seconds: float) -> bool:
        """Whether the tests pass in a forked process; see `forked`."""
        return forked(lambda: int(pytest.main([*OPTIONS, *self.tests], plugins=[plugin])), seconds)

    def usual_time(self) -> float:
        """Returns how many seconds the tests of the module as it is take, which pass."""
        self.write(self.source)
        start = time.monotonic()
        sys.dont_write_bytecode = False  # of the tests, once for all mutants
        assert self.passes(Timed(), 600), Path("mutant.log").read_text()
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        return time.monotonic() - start

    def survivors(self, found: list[Mutant]) -> list[Mutant]:
        """Tries mutants; returns those that no test kills."""
        seconds = 10 + 5 * self.usual_time()
        self.passes(Collected(self, found, seconds), seconds * len(found))
        tried = self.verdicts()
        for number, mutant in enumerate(found):
            if number not in tried:
                self.write(mutant.source)
                self.record(number, mutant, self.passes(KillersFirst(), seconds))
        return [found[number] for number, survives in self.verdicts().items() if survives]

    def record(self, number: int, mutant: Mutant, survives: bool) -> None:
        """Notes a verdict where any process finds it, and prints a survivor."""
        with self.record_file.open("a") as file:
            file.write(f"{number} {survives}\n")
        if survives:
            reason = self.told.get(f"{self.module}: {mutant.name}", "NOT EXPLAINED")
            tell(f"{self.module}:{mutant.line}: {mutant.name}\n    {reason}")
        tell(f"{number}\r")

    def verdicts(self) -> dict[int, bool]:
        """Returns which mutants were tried, and whether they survive."""
        if not self.record_file.exists():
            return {}
        pairs = (line.split() for line in self.record_file.read_text().splitlines())
        return {int(number): survives == "True" for number, survives in pairs}


def explained() -> dict[str, str]:
    """Returns the known survivors' reasons, by "module: name"."""
    lines = (Path(__file__).parent / "survivors.txt").read_text().splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    return {name: reason.strip() for name, reason in zip(entries[::2], entries[1::2], strict=True)}


def examine(module: str) -> bool:
    """Runs all mutants of a module and prints what survives. Returns whether all is told and few enough survive."""
    start, told = time.monotonic(), explained()
    found = list(mutants((ROOT / module).read_text()))
    with tempfile.TemporaryDirectory() as folder:
        survivors = Workspace(Path(folder), module, told).survivors(found)
        os.chdir(ROOT)
    open_ones = [mutant for mutant in survivors if f"{module}: {mutant.name}" not in told]
    tell(
        f"{module}: {len(found)} mutants, {len(found) - len(survivors)} killed, {len(survivors)} survive "
        f"({len(survivors) / len(found):.1%}), {len(survivors) - len(open_ones)} of them explained, "
        f"{time.monotonic() - start:.0f} s"
    )
    return not open_ones and len(survivors) <= MOST_SURVIVORS * len(found)


SANDBOX = (
    "mount --make-rprivate / && mount -t tmpfs none /tmp && mount -o remount,bind,ro / && mount -o remount,bind,ro /dev"
    ' && exec "$@"'
)


def enter_sandbox(words: list[str]) -> None:
    """Starts this program anew where it can write to a /tmp of its own alone; ends it where that cannot be had."""
    if os.environ.get("EDGESEG_MUTANTS") != "sandboxed":
        rights = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]
        os.environ["EDGESEG_MUTANTS"] = "sandboxed"
        program = [sys.executable, __file__, *words]
        os.execvp("unshare", ["unshare", *rights, "sh", "-c", SANDBOX, "sh", *program])
    for folder in (ROOT, Path("/dev")):
        if os.access(folder, os.W_OK):
            sys.exit(f"{folder} can be written: mutants are not run here")


def main(modules: list[str]) -> int:
    """Examines modules, each in a process of its own; returns the exit status."""
    enter_sandbox(modules)
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background processes ignore it, and so would tests
    if len(modules) == 1:
        for name in (*PRELOADED, *(("keras", "tf_keras") if modules[0] in NEEDS_KERAS else ())):
            importlib.import_module(name)
        gc.freeze()  # pytest collects garbage at its end: of the heavy libraries there is none
        return 0 if examine(modules[0]) else 1
    alone = [subprocess.run([sys.executable, __file__, module], check=False) for module in modules or TESTS]
    return max(done.returncode for done in alone)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
