"""Mutation testing: changes a module in one place at a time and runs its tests, which should fail.

    python tests/mutation/mutants.py edgeseg/metrics.py ...    all of `TESTS` if none is named

What survives shows where tests cannot fail. Mutants are: a comparison's boundary or sense, another arithmetic, bit or
boolean operator, a constant (a number plus one, the other truth value, a string cut short), a negated condition, a sign
or a `not` left out, a statement left out, None returned. Messages (f-strings, and what is raised) and annotations stay.

Each mutant runs in a process forked from one that has imported pytest and the heavy libraries, on a copy of the
checkout, so that processes that the tests start see the mutant too. A mutant may do anything, so all of it runs where
everything but a /tmp of its own is read-only (`unshare`, Linux), or not at all. `survivors.txt` tells of each known
survivor why no test can or need kill it. Exits with 1 if one is not told, or more than 5 % survive.
"""

from __future__ import annotations

import ast
import copy
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TESTS: dict[str, tuple[str, ...]] = {
    "edgeseg/postprocess.py": ("tests/test_postprocess.py", "tests/test_entries.py"),
    "edgeseg/metrics.py": ("tests/test_metrics.py", "tests/test_entries.py"),
    "edgeseg/files.py": ("tests/test_files.py",),
    "edgeseg/losses.py": ("tests/test_losses.py",),
    "edgeseg/card.py": ("tests/test_card.py", "tests/test_card_file.py"),
    "edgeseg/card_file.py": ("tests/test_card_file.py",),
    "edgeseg/card_json.py": ("tests/test_card.py", "tests/test_card_file.py"),
    "edgeseg/runtime/segmenter.py": ("tests/runtime/test_segmenter.py",),
    "edgeseg/live/packet.py": ("tests/live/test_packet.py",),
    "edgeseg/live/capture.py": ("tests/live/test_capture.py",),
}
NEEDS_KERAS = ("edgeseg/losses.py",)
MOST_SURVIVORS = 0.05
PRELOADED = ("hypothesis", "numpy", "cv2", "PIL.Image", "typer", "rich.console", "rich.progress")

OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr, ast.BitXor: ast.BitAnd,
}  # fmt: skip
LEFT_OUT = (ast.AugAssign, ast.Raise, ast.Delete)
NO_MUTANTS = (ast.JoinedStr, ast.Import, ast.ImportFrom)
ANNOTATIONS = ("annotation", "returns", "decorator_list", "bases", "keywords_of_class")


@dataclass(frozen=True)
class Mutant:
    """A changed module.

    Attributes:
        line: Where.
        name: Function and change: what `survivors.txt` calls it.
        source: The whole module, changed.
    """

    line: int
    name: str
    source: str


# === Making mutants ===


def mutants(source: str) -> Iterator[Mutant]:
    """Yields the mutants of a module, one change each."""
    tree = ast.parse(source)
    for place, key, old, new, where in list(_changes(tree, "")):
        _put(place, key, new)
        told = f"{where or 'module'}: {_text(old)} -> {_text(new)}"
        yield Mutant(old.lineno, told, ast.unparse(ast.fix_missing_locations(tree)))
        _put(place, key, old)


def _text(node: ast.AST) -> str:
    return "nothing" if isinstance(node, ast.Pass) else " ".join(ast.unparse(node).split("\n")[0].split())


def _put(place: Any, key: Any, node: ast.AST) -> None:
    if isinstance(place, list):
        place[key] = node
    else:
        setattr(place, key, node)


def _changes(parent: ast.AST, where: str) -> Iterator[tuple[Any, Any, Any, ast.AST, str]]:
    """Yields (where to put it, under which key, old node, new node, function) for everything below `parent`."""
    for field, value in ast.iter_fields(parent):
        if field in ANNOTATIONS:
            continue
        items = list(enumerate(value)) if isinstance(value, list) else [(field, value)]
        place = value if isinstance(value, list) else parent
        for key, child in items:
            if not isinstance(child, ast.AST) or isinstance(child, NO_MUTANTS) or _is_docstring(child):
                continue
            if isinstance(child, ast.If) and _text(child.test) == "TYPE_CHECKING":
                continue
            inside = where
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inside = f"{where}.{child.name}".lstrip(".")
            for new in (*_expressions(child), *_statements(child)):
                yield place, key, child, new, inside
            if not isinstance(child, ast.Raise) and not _is_negative_number(child):
                yield from _changes(child, inside)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_negative_number(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)


def _expressions(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            changed = copy.deepcopy(node)
            changed.ops[index] = COMPARISONS[type(operator)]()
            yield changed
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(_negated(node.test), node.body, node.orelse)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, int | float):
            yield ast.Constant(node.value + 1)
        elif isinstance(node.value, str | bytes) and node.value:
            yield ast.Constant(node.value[:-1])


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If | ast.While) and not isinstance(node.test, ast.Constant):
        changed = copy.copy(node)
        changed.test = _negated(node.test)
        yield changed
    if isinstance(node, ast.Return) and node.value is not None and _text(node.value) != "None":
        yield ast.Return(ast.Constant(None))
    stores = isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name | ast.Tuple)
    calls = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Yield | ast.YieldFrom | ast.Constant)
    if isinstance(node, LEFT_OUT) or stores or calls:
        yield ast.copy_location(ast.Pass(), node)
    if isinstance(node, ast.Break | ast.Continue):
        yield ast.copy_location(ast.Continue() if isinstance(node, ast.Break) else ast.Break(), node)


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


# === Running them ===


class Workspace:
    """A copy of the checkout in which one module is changed again and again."""

    def __init__(self, folder: Path, module: str) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.module = folder / module
        os.chdir(folder)
        sys.path[:0] = [str(folder), str(folder / "tests")]
        os.environ["PYTHONPATH"] = str(folder)

    def write(self, source: str) -> None:
        for compiled in self.module.parent.glob(f"__pycache__/{self.module.stem}.*"):
            compiled.unlink()
        self.module.write_text(source)

    def passes(self, tests: tuple[str, ...], seconds: float) -> bool:
        """Runs tests in a forked process; one that takes longer than `seconds` is as good as failed."""
        child = os.fork()
        if child == 0:
            os.setsid()
            log = os.open("mutant.log", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.dup2(log, 1)
            os.dup2(log, 2)
            try:
                os._exit(int(pytest.main([*OPTIONS, *tests])))
            finally:
                traceback.print_exc()
                os._exit(1)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return status == 0
            time.sleep(0.01)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return False


def explained() -> dict[str, str]:
    """Returns the known survivors' reasons, by "module: name"."""
    lines = (Path(__file__).parent / "survivors.txt").read_text().splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    return {name: reason.strip() for name, reason in zip(entries[::2], entries[1::2], strict=True)}


def examine(module: str) -> bool:
    """Runs all mutants of a module and prints what survives. Returns whether all is told and few enough survive."""
    source, told = (ROOT / module).read_text(), explained()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder), module)
        workspace.write(ast.unparse(ast.parse(source)))
        assert workspace.passes(TESTS[module], 600), Path("mutant.log").read_text()
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        start = time.monotonic()
        assert workspace.passes(TESTS[module], 600)
        limit = 10 + 5 * (time.monotonic() - start)
        found = list(mutants(source))
        survivors = []
        for mutant in found:
            workspace.write(mutant.source)
            if workspace.passes(TESTS[module], limit):
                survivors.append(mutant)
                reason = told.get(f"{module}: {mutant.name}", "NOT EXPLAINED")
                print(f"{module}:{mutant.line}: {mutant.name}\n    {reason}", flush=True)
        os.chdir(ROOT)
    open_ones = [mutant for mutant in survivors if f"{module}: {mutant.name}" not in told]
    print(
        f"{module}: {len(found)} mutants, {len(found) - len(survivors)} killed, {len(survivors)} survive "
        f"({len(survivors) / len(found):.1%}), {len(survivors) - len(open_ones)} of them explained, "
        f"{time.monotonic() - start:.0f} s",
        flush=True,
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
        return 0 if examine(modules[0]) else 1
    alone = [subprocess.run([sys.executable, __file__, module], check=False) for module in modules or TESTS]
    return max(done.returncode for done in alone)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
