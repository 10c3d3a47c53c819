"""Making mutants of a module: what `mutants.py` says, one change each."""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

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


# === What differs between a module and its mutant ===


def changed_functions(old: CodeType, new: CodeType) -> dict[object, CodeType] | None:
    """Returns the functions in which two codes of a module differ; None if they differ in something else, too."""
    if _without_functions(old) != _without_functions(new):
        return None
    found: dict[object, CodeType] = {}
    for before, after in zip(_nested(old), _nested(new), strict=True):
        if before.co_flags & inspect.CO_NEWLOCALS and before.co_flags & inspect.CO_OPTIMIZED:
            found |= {key(before): after} if before != after else {}
        elif (inside := changed_functions(before, after)) is None:
            return None
        else:
            found |= inside
    return found


def key(code: CodeType) -> object:
    """Returns what tells a function's code from a module's others."""
    return code.co_name, code.co_firstlineno


def _nested(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _without_functions(code: CodeType) -> CodeType:
    constants = tuple(None if isinstance(constant, CodeType) else constant for constant in code.co_consts)
    return code.replace(co_consts=constants, co_linetable=b"")
