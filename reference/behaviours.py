"""The table of behaviours: how each kind of request is counted, taken from the tests that prove it.

The tests are parsed, not run. A comment ``# --- Routes ---`` starts a group. Each ``Case`` in a test's table is a row, with
the labels that are compared. So is each test function, with its docstring, or otherwise the labels that it compares with
``counted()``.
"""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TESTS = Path(__file__).parents[1] / "tests" / "unit" / "instrumentation"
GROUPS = (
    "Routes",
    "Statuses and errors",
    "Clients that disconnect",
    "Streams",
    "Websockets",
    "Requests that are not counted",
    "The service's own hook",
    "Installing",
    "The page",
    "Limits",
    "Errors in Sidelight",
)
"""The groups of the table, in order. Other sections of the test files are not part of it."""

_SECTION = re.compile(r"\s*# --- (.+?) -{3,}")
_SPELLING = {
    "asgi": "ASGI",
    "fastapi": "FastAPI",
    "openmetrics": "OpenMetrics",
    "prometheus": "Prometheus",
    "ui": "UI",
    "wsgi": "WSGI",
}


class Behaviour(NamedTuple):
    """One row of the table.

    Attributes:
        group: One of ``GROUPS``.
        case: The case.
        recorded: What is recorded.
        proof: The file name of the test.
        everywhere: Whether the test runs on FastAPI, on Starlette without FastAPI and on a plain ASGI app.
    """

    group: str
    case: str
    recorded: str
    proof: str
    everywhere: bool = False


def behaviours() -> list[Behaviour]:
    """Every row, by group."""
    files = sorted(TESTS.glob("test_*.py"))
    rows = [row for file in files for row in read_behaviours(file.name, file.read_text("utf-8"))]
    return sorted(rows, key=lambda row: GROUPS.index(row.group))


def read_behaviours(name: str, source: str) -> list[Behaviour]:
    """The rows of one test file."""
    found = {number: row for node in ast.parse(source).body for number, row in (*_cases(node), *_functions(node))}
    group, rows = "", []
    for number, line in enumerate(source.splitlines(), 1):
        if section := _SECTION.fullmatch(line):
            group = section[1]
        if number in found and group in GROUPS:
            case, recorded, everywhere = found[number]
            rows.append(Behaviour(group, case, recorded, name, everywhere))
    return rows


def _cases(node: ast.stmt) -> Iterator[tuple[int, tuple[str, str, bool]]]:
    """The cases of a table; a case that names no app runs on all of them."""
    if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
        for key, value in zip(node.value.keys, node.value.values, strict=True):
            if key and isinstance(value, ast.Call) and getattr(value.func, "id", "") == "Case":
                labels = ast.literal_eval(value.args[1])
                yield key.lineno, (_sentence(ast.literal_eval(key)), _recorded([labels]), len(value.args) == 2)  # noqa: PLR2004


def _functions(node: ast.stmt) -> Iterator[tuple[int, tuple[str, str, bool]]]:
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
        words = (_SPELLING.get(word, word) for word in node.name.split("_")[1:])
        recorded = ast.get_docstring(node) or _recorded(_compared(node))
        yield node.lineno, (_sentence(" ".join(words)), recorded, False)


def _compared(function: ast.FunctionDef) -> Iterable[tuple[str, ...]]:
    """The labels in ``counted() == {labels: times}``, if they are literals."""
    for node in ast.walk(function):
        match node:
            case ast.Compare(left=ast.Call(func=ast.Attribute(attr="counted")), comparators=[ast.Dict(keys=keys)]):
                with suppress(ValueError):
                    return [ast.literal_eval(key) for key in keys if key] or [()]
    return []


def _recorded(counted: Iterable[tuple[str, ...]]) -> str:
    return ", ".join(map(_labels, counted))


def _labels(labels: tuple[str, ...]) -> str:
    """Labels in the format of the table.

    >>> _labels(("GET", "/items/{item}", "500", "500"))
    '`GET /items/{item} 500`, error `500`'
    >>> _labels(("GET", "", "404", "")), _labels(())
    ('`GET "" 404`', 'nothing')
    """
    if not labels:
        return "nothing"
    method, route, status, error = labels
    return f"`{method} {route or chr(34) * 2} {status}`" + (f", error `{error}`" if error else "")


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
