"""The documentation of classes and functions, as Markdown.

This module reads the source, and imports nothing: the source has the types' short names, and the
line breaks that the author chose.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Final

__all__ = ["constants", "describe", "fields", "methods", "table"]

#: The first argument of a method, which no caller gives.
_SELF: Final = re.compile(r"(?<=\()(\s*)(?:self|cls)(?:, |,\n\s*|(?=\)))")

#: A type in quotes: the code uses the name before its definition.
_QUOTED: Final = re.compile(r"""(?<=: |> )(["'])([^"']+)\1""")
#: Members that are public for other parts of the server, and not for modules.
_NOT_FOR_MODULES: Final = {
    "SimpleHttpClient": {"close"},
    "ModuleTransaction": {"committed", "rolled_back"},
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Source:
    """The source of one class or function."""

    def __init__(self, thing: type | Callable[..., object]) -> None:
        text = textwrap.dedent(inspect.getsource(thing))
        self.lines = text.splitlines()
        node = ast.parse(text).body[0]
        assert isinstance(node, ast.ClassDef | Function)
        self.node = node

    def signature(self, function: Function) -> str:
        """Return the signature of *function*."""
        if "property" in map(ast.unparse, function.decorator_list):
            assert function.returns is not None
            return _plain(f"{function.name}: {ast.unparse(function.returns)}")
        lines = self.lines[function.lineno - 1 : function.body[0].lineno - 1]
        text = textwrap.dedent("\n".join(lines))
        return _plain(_SELF.sub(r"\1", text, count=1)) + " ..."

    def comment_above(self, line: int) -> str:
        """Return the text of the `#:` lines that stand right above *line*."""
        found: list[str] = []
        for text in reversed(self.lines[: line - 1]):
            if not text.strip().startswith("#:"):
                break
            found.insert(0, text.strip().removeprefix("#:").strip())
        return " ".join(found)


def describe(thing: type | Callable[..., object]) -> str:
    """Return the docstring of a class, or the signature and docstring of a function."""
    source = _Source(thing)
    if isinstance(source.node, ast.ClassDef):
        return _docstring(source.node)
    return _member(source, source.node)


def methods(kind: type, *, level: int) -> str:
    """Return a section for each public method and property of *kind*, inherited ones aside."""
    source = _Source(kind)
    assert isinstance(source.node, ast.ClassDef)
    return "\n\n".join(
        f"{'#' * level} {function.name}\n\n{_member(source, function)}"
        for function in _public(source.node)
    )


def fields(kind: type) -> str:
    """Return a table of the annotated fields of *kind*, or nothing if it has none."""
    source = _Source(kind)
    assert isinstance(source.node, ast.ClassDef)
    rows = [
        (f"`{ast.unparse(node)}`", source.comment_above(node.lineno))
        for node in source.node.body
        if isinstance(node, ast.AnnAssign) and "ClassVar" not in ast.unparse(node.annotation)
    ]
    return table(("field", "meaning"), rows) if rows else ""


def constants(kind: type) -> str:
    """Return a table of the constants of *kind*, such as `PresenceState.ONLINE`."""
    rows = [
        (f"`{kind.__name__}.{name}`", f"`{value}`")
        for name, value in vars(kind).items()
        if isinstance(value, str) and not name.startswith("_")
    ]
    return table(("constant", "value"), rows)


def table(head: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    """Return a table of two columns."""
    lines = [head, ("---", "---"), *rows]
    return "\n".join(f"| {left.replace('|', '&#124;')} | {right} |" for left, right in lines)


def _member(source: _Source, function: Function) -> str:
    return f"```pyi\n{source.signature(function)}\n```\n\n{_docstring(function)}"


def _docstring(node: ast.ClassDef | Function) -> str:
    return ast.get_docstring(node) or ""


def _public(node: ast.ClassDef) -> Iterator[Function]:
    """Return the public members."""
    hidden = _NOT_FOR_MODULES.get(node.name, set())
    for function in node.body:
        if not isinstance(function, Function) or function.name in hidden:
            continue
        if _docstring(function) and not function.name.startswith("_"):
            yield function


def _plain(text: str) -> str:
    """Return a signature without quotes around types, and with the names that modules know."""
    return _QUOTED.sub(r"\2", text).replace("_HttpRequest", "Request")
