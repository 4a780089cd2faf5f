"""Small deliberate faults in the functions of a module, each as a code object. Runs nothing.

Functions that are decorated or nested are changed, too. Decorators, defaults, annotations, docstrings and the words of
messages stay as they are.
"""

import ast
import functools
import importlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

BINARY = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
COMPARED = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}  # fmt: skip
CALLED = {
    "min": "max", "max": "min", "any": "all", "all": "any", "sum": "mean", "mean": "sum", "floor": "ceil",
    "ceil": "floor", "zeros_like": "ones_like", "ones_like": "zeros_like", "zeros": "ones", "ones": "zeros",
    "argmax": "argmin", "argmin": "argmax",
}  # fmt: skip
LEFT_OUT = {"detach", "square", "sqrt", "abs"}
Change = Callable[[], ast.AST | None]


class Mutant(NamedTuple):
    """One fault: `code` replaces that of `function` in `module`. `name` is unique and stays as the module grows."""

    name: str
    module: str
    function: str
    line: int
    code: CodeType


def mutants_of(module: str) -> list[Mutant]:
    """Return every mutant of the functions and methods of `module`."""
    path = Path(str(importlib.import_module(module).__file__))
    return list(mutants_in(path.read_text(encoding="utf-8"), module, str(path)))


def mutants_in(source: str, module: str, path: str) -> Iterator[Mutant]:
    """Yield the mutants of `source`, which is that of `module` and stands in `path`."""
    tree, seen = ast.parse(source), Counter[str]()
    for qualname, function, alone in _functions(tree, "", ()):
        for node, parent, field, index in _places(function):
            for new in _changed(node, parent):
                before = ast.unparse(node)
                _put(parent, field, index, new)
                try:
                    ast.fix_missing_locations(parent)
                    code = _find(compile(alone, path, "exec", dont_inherit=True), qualname)
                    after = "(nothing)" if isinstance(new, ast.Pass) else ast.unparse(new)
                finally:
                    _put(parent, field, index, node)
                text = " ".join(f"{module} {qualname}: {before} -> {after}".split())
                seen[text] += 1
                name = text if seen[text] == 1 else f"{text} #{seen[text]}"
                yield Mutant(name, module, qualname, getattr(node, "lineno", 0), code)


def live(module: str, qualname: str) -> FunctionType | None:
    """Return the function that runs as `qualname` in the imported `module`, below its decorators; None if none does."""
    holder: Any = importlib.import_module(module)
    *classes, name = qualname.split(".")
    for each in classes:
        holder = getattr(holder, each)
    found = vars(holder).get(name)
    for attribute in ("__func__", "fget", "func"):
        found = getattr(found, attribute, found)
    found = inspect.unwrap(found) if callable(found) else None
    return found if isinstance(found, FunctionType) else None


def _functions(
    tree: ast.AST, before: str, classes: tuple[str, ...]
) -> Iterator[tuple[str, ast.FunctionDef, ast.Module]]:
    """Yield each function with its qualified name, and alone in a module with no more than its classes around it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            inner: ast.stmt = node
            for name in reversed(classes):
                inner = ast.ClassDef(name, [], [], [inner], [])
            yield f"{before}{node.name}", node, ast.fix_missing_locations(ast.Module([inner], []))
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{before}{node.name}.", (*classes, node.name))


def _places(function: ast.FunctionDef) -> Iterator[tuple[ast.AST, ast.AST, str, int | None]]:
    """Yield each node of the body that may be changed, with where it hangs: parent, field, and index in a list."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    start = len(function.body) - len(body)
    waiting: list[tuple[ast.AST, ast.AST, str, int | None]] = [
        (node, function, "body", index) for index, node in enumerate(body, start)
    ]
    while waiting:
        place = waiting.pop(0)
        node = place[0]
        yield place
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "args") and not isinstance(node, ast.Call):
                continue
            for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.AST) and not _only_said(child):
                    waiting.append((child, node, field, index))


def _only_said(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise | ast.JoinedStr | ast.expr_context | ast.operator | ast.cmpop | ast.unaryop)


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _find(code: CodeType, qualname: str) -> CodeType:
    waiting = [code]
    while waiting:
        here = waiting.pop(0)
        if here.co_qualname == qualname:
            return here
        waiting += [each for each in here.co_consts if isinstance(each, CodeType)]
    raise LookupError(qualname)


@functools.singledispatch
def _changed(node: ast.AST, parent: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of `node`."""
    yield from ()


@_changed.register
def _(node: ast.Constant, parent: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
    elif isinstance(node.value, str):
        yield ast.Constant(node.value + "?")


@_changed.register
def _(node: ast.BinOp, parent: ast.AST) -> Iterator[ast.AST]:
    if other := BINARY.get(type(node.op)):
        yield ast.BinOp(node.left, other(), node.right)


@_changed.register
def _(node: ast.AugAssign, parent: ast.AST) -> Iterator[ast.AST]:
    if other := BINARY.get(type(node.op)):
        yield ast.AugAssign(node.target, other(), node.value)


@_changed.register
def _(node: ast.Compare, parent: ast.AST) -> Iterator[ast.AST]:
    for place, operator in enumerate(node.ops):
        for other in COMPARED[type(operator)]:
            yield ast.Compare(node.left, [*node.ops[:place], other(), *node.ops[place + 1 :]], node.comparators)


@_changed.register
def _(node: ast.BoolOp, parent: ast.AST) -> Iterator[ast.AST]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


@_changed.register
def _(node: ast.UnaryOp, parent: ast.AST) -> Iterator[ast.AST]:
    yield node.operand


@_changed.register
def _(node: ast.IfExp, parent: ast.AST) -> Iterator[ast.AST]:
    yield ast.IfExp(node.test, node.orelse, node.body)


@_changed.register
def _(node: ast.If, parent: ast.AST) -> Iterator[ast.AST]:
    if not all(isinstance(each, ast.Raise) for each in node.body):
        yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif not node.orelse:
        yield ast.Pass()  # what was refused is let through


@_changed.register
def _(node: ast.comprehension, parent: ast.AST) -> Iterator[ast.AST]:
    if node.ifs:
        yield ast.comprehension(node.target, node.iter, [], node.is_async)


@_changed.register
def _(node: ast.Slice, parent: ast.AST) -> Iterator[ast.AST]:
    if node.lower is not None:
        yield ast.Slice(None, node.upper, node.step)
    if node.upper is not None:
        yield ast.Slice(node.lower, None, node.step)


@_changed.register
def _(node: ast.Expr, parent: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node.value, ast.Call):
        yield ast.Pass()


@_changed.register
def _(node: ast.Call, parent: ast.AST) -> Iterator[ast.AST]:
    name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
    if isinstance(node.func, ast.Attribute) and name in LEFT_OUT and not node.args:
        yield node.func.value
    if other := CALLED.get(str(name)):
        of = node.func.value if isinstance(node.func, ast.Attribute) else None
        yield ast.Call(
            ast.Attribute(of, other, ast.Load()) if of else ast.Name(other, ast.Load()), node.args, node.keywords
        )
    if name == "where" and len(node.args) == 3:
        yield ast.Call(node.func, [node.args[0], node.args[2], node.args[1]], node.keywords)
    for place, argument in enumerate(node.args):
        if isinstance(argument, ast.Attribute):
            yield ast.Call(node.func, [*node.args[:place], ast.Constant(0), *node.args[place + 1 :]], node.keywords)
    for place, keyword in enumerate(node.keywords):
        if keyword.arg is not None:
            yield ast.Call(node.func, node.args, [*node.keywords[:place], *node.keywords[place + 1 :]])
