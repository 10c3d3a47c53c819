"""The house's measures: files, functions and constructors stay small, and no module imports itself by a detour."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

import edgeseg

PACKAGE = Path(edgeseg.__file__).parent
LONGEST_FILE = 300
LONGEST_FUNCTION = 60
MOST_PARAMETERS = 8

# What is still larger, and may only shrink: {"file:function": lines}. A new entry is no way out.
FILES: dict[str, int] = {}
FUNCTIONS: dict[str, int] = {}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yields every function of a file as ("room/file.py:name", its tree), methods as "Class.name"."""

    def inside(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            name = f"{prefix}{child.name}." if named else prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(PACKAGE)}:{name[:-1]}", child
            yield from inside(child, name)

    yield from inside(ast.parse(path.read_text(encoding="utf-8")), "")


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Counts the lines of a function from its first statement behind the docstring to its end."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Counts the parameters besides self and cls."""
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def too_large(measured: dict[str, int], limit: int, known: dict[str, int]) -> list[str]:
    """Lists what exceeds the limit unknown or grown, and what is known and has shrunk below its entry."""
    grown = [
        f"{name}: {n}, the limit is {known.get(name, limit)}"
        for name, n in measured.items()
        if n > known.get(name, limit)
    ]
    shrunk = [
        f"{name}: {measured.get(name, 0)} now: "
        + ("remove its entry" if measured.get(name, 0) <= limit else "lower its entry")
        for name, n in known.items()
        if measured.get(name, 0) < n
    ]
    return grown + shrunk


def imported_by_name() -> Iterator[tuple[str, str]]:
    """Yields (module, what it imports when it is needed) of `import_module("edgeseg...")`, which grimp does not see."""
    for path in sources():
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for call in (
            node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
        ):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            for value in call.args if name == "import_module" else ():
                if isinstance(value, ast.Constant) and str(value.value).startswith("edgeseg."):
                    yield module, str(value.value)


def test_no_file_is_long() -> None:
    lengths = {str(p.relative_to(PACKAGE)): len(p.read_text(encoding="utf-8").splitlines()) for p in sources()}
    assert too_large(lengths, LONGEST_FILE, FILES) == []


def test_no_function_is_long() -> None:
    lengths = {name: body_lines(function) for path in sources() for name, function in functions(path)}
    assert too_large(lengths, LONGEST_FUNCTION, FUNCTIONS) == []


def test_no_constructor_takes_many_parameters() -> None:
    taken = {n: parameters(f) for path in sources() for n, f in functions(path) if f.name == "__init__"}
    assert taken
    assert too_large(taken, MOST_PARAMETERS, {}) == []


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = grimp.build_graph("edgeseg", cache_dir=None)
    for module in graph.modules:  # the package's own names are resolved on first use
        if graph.direct_import_exists(importer="edgeseg", imported=module):
            graph.remove_import(importer="edgeseg", imported=module)
    for importer, imported in imported_by_name():
        graph.add_import(importer=importer, imported=imported)
    assert graph.direct_import_exists(importer="edgeseg.runtime.registry", imported="edgeseg.keras_model")
    circles = [
        chain
        for importer, imported in ((i, j) for i in graph.modules for j in graph.find_modules_directly_imported_by(i))
        if (chain := graph.find_shortest_chain(importer=imported, imported=importer))
    ]
    assert circles == []


def test_no_merge_left_its_marks() -> None:
    """Neither git nor a Markdown page complains about the lines that an unfinished merge leaves in a document."""
    root = PACKAGE.parent
    told = [path for pattern in ("*.md", "docs/*", "models/*.md") for path in root.glob(pattern)]
    texts = [path for path in told if path.suffix in (".md", ".ipynb")]
    assert root / "CHANGELOG.md" in texts
    lines = [f"{path.name}: {line}" for path in texts for line in path.read_text(encoding="utf-8").splitlines()]
    assert not [line for line in lines if line.split(": ", 1)[1].startswith(("<<<<<<< ", ">>>>>>> "))]


@pytest.mark.parametrize(
    ("source", "lines", "taken"),
    [
        ("def f(a, /, b, *, c):\n    '''Doc.\n\n    Long.\n    '''\n    a = 1\n\n    return a\n", 3, 3),
        ("class A:\n    def f(self, *b, **c): pass\n", 1, 0),
    ],
)
def test_the_measures(source: str, lines: int, taken: int) -> None:
    function = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef))
    assert (body_lines(function), parameters(function)) == (lines, taken)


def test_an_entry_that_is_no_longer_needed_is_told() -> None:
    assert too_large({"a": 70, "b": 61, "c": 40, "d": 10}, 60, {"a": 69, "b": 62, "c": 70, "e": 80}) == [
        "a: 70, the limit is 69", "b: 61 now: lower its entry", "c: 40 now: remove its entry",
        "e: 0 now: remove its entry",
    ]  # fmt: skip
