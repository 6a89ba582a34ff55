"""Writes an expression in one format, that of ``promtool promql format`` with numbers and durations left as written."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from alerts.promql.tree import (
    Aggregation,
    BinaryOperation,
    Call,
    MatrixSelector,
    Node,
    NumberLiteral,
    Parentheses,
    StringLiteral,
    Subquery,
    UnaryOperation,
    Variable,
    VectorSelector,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_LINE = 100
_INDENT = "  "
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*|\$.*", re.ASCII)
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)


def formatted(tree: Node, *, width: int = _LONGEST_LINE) -> str:
    """An expression in one format; what does not fit into a line is indented by depth.

    >>> from alerts.promql.parser import parse
    >>> formatted(parse('sum(rate(x{b="2",a="1"}[5m]))by(job)>3'))
    'sum by (job) (rate(x{a="1",b="2"}[5m])) > 3'
    """
    return _pretty(tree, 0, width, {})


def _pretty(node: Node, level: int, width: int, lines: dict[int, str]) -> str:  # noqa: PLR0911 - one for each kind of node
    line, indent = _line(node, lines), _INDENT * level
    if len(line) <= width or isinstance(node, VectorSelector | MatrixSelector | NumberLiteral | StringLiteral):
        return indent + line
    match node:
        case Aggregation():
            arguments = ",\n".join(_pretty(child, level + 1, width, lines) for child in node.children)
            return f"{indent}{_head(node)}(\n{arguments}\n{indent})"
        case Call():
            arguments = ",\n".join(_pretty(child, level + 1, width, lines) for child in node.args)
            return f"{indent}{node.function}(\n{arguments}\n{indent})"
        case Parentheses():
            return f"{indent}(\n{_pretty(node.expr, level + 1, width, lines)}\n{indent})"
        case UnaryOperation():
            return f"{indent}{node.op}{_pretty(node.expr, level, width, lines).lstrip()}"
        case Subquery():
            return f"{_pretty(node.expr, level, width, lines)}{_subquery_suffix(node)}"
        case BinaryOperation():
            return _pretty_chain(node, level, width, lines)
    return indent + line


def _pretty_chain(node: BinaryOperation, level: int, width: int, lines: dict[int, str]) -> str:
    """A chain of operations, one operand a line; as much of its left end as fits stays on one line."""
    leftmost, operations = _chain(node)
    length, fitting = len(_line(leftmost, lines)), 0
    for operation in operations:
        length += len(_operator(operation)) + len(_line(operation.rhs, lines)) + 2
        fitting += length <= width
    rest = operations[fitting:]
    text = _pretty(rest[0].lhs, level + len(rest), width, lines)
    for depth, operation in zip(range(len(rest) - 1, -1, -1), rest, strict=True):
        indent = _INDENT * (level + depth)
        right = _pretty(operation.rhs, level + depth + 1, width, lines)
        text = f"{text}\n{indent}{_operator(operation)}\n{right}"
    return text


def _chain(node: Node) -> tuple[Node, list[BinaryOperation]]:
    """The left end of a chain of operations, and the operations from left to right."""
    operations = []
    while isinstance(node, BinaryOperation):
        operations.append(node)
        node = node.lhs
    return node, operations[::-1]


def _line(node: Node, lines: dict[int, str]) -> str:
    """A node on one line."""
    if id(node) not in lines:
        leftmost, operations = _chain(node)
        parts = [_text(leftmost, lines)]
        for operation in operations:
            parts += [_operator(operation), _line(operation.rhs, lines)]
        lines[id(node)] = " ".join(parts)
    return lines[id(node)]


def _text(node: Node, lines: dict[int, str]) -> str:  # noqa: C901, PLR0911 - one for each kind of node
    match node:
        case NumberLiteral():
            return node.text
        case StringLiteral():
            return json.dumps(node.value, ensure_ascii=False)
        case VectorSelector():
            modifier = f" {node.modifier}" if node.modifier else ""
            return f"{_selector(node)}{_at(node)}{modifier}{_offset(node)}"
        case MatrixSelector():
            return _matrix(node, lines)
        case Subquery():
            return f"{_line(node.expr, lines)}{_subquery_suffix(node)}"
        case Call():
            return f"{node.function}({', '.join(_line(arg, lines) for arg in node.args)})"
        case Aggregation():
            return f"{_head(node)}({', '.join(_line(child, lines) for child in node.children)})"
        case UnaryOperation():
            return f"{node.op}{_line(node.expr, lines)}"
        case Parentheses():
            return f"({_line(node.expr, lines)})"
        case Variable():
            return f"{node.text}({', '.join(_line(arg, lines) for arg in node.args)})" if node.args else node.text
    raise TypeError(type(node).__name__)


def _matrix(node: MatrixSelector, lines: dict[int, str]) -> str:
    if not isinstance(node.selector, VectorSelector):
        return f"{_line(node.selector, lines)}[{node.range.text}]"
    selector = node.selector
    modifier = f" {selector.modifier}" if selector.modifier else ""
    return f"{_selector(selector)}[{node.range.text}]{modifier}{_at(selector)}{_offset(selector)}"


def _subquery_suffix(node: Subquery) -> str:
    return f"[{node.range.text}:{node.resolution.text if node.resolution else ''}]{_at(node)}{_offset(node)}"


def _at(node: VectorSelector | Subquery) -> str:
    return f" @ {node.at}" if node.at else ""


def _offset(node: VectorSelector | Subquery) -> str:
    return f" offset {node.offset.text}" if node.offset else ""


def _selector(node: VectorSelector) -> str:
    conditions = sorted(
        f"{_label(each.name)}{each.operator}{json.dumps(each.value, ensure_ascii=False)}"
        if each.operator
        else each.name
        for each in node.matchers
    )
    plain = _METRIC.fullmatch(node.name) or "$" in node.name
    inside = [*([] if plain or not node.name else [json.dumps(node.name, ensure_ascii=False)]), *conditions]
    return (node.name if plain else "") + (f"{{{','.join(inside)}}}" if inside else "")


def _label(name: str) -> str:
    return name if _NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _labels(names: Iterable[str]) -> str:
    return f"({', '.join(map(_label, names))})"


def _head(node: Aggregation) -> str:
    if node.without:
        return f"{node.op} without {_labels(node.labels or ())} "
    return f"{node.op} by {_labels(node.labels)} " if node.labels else node.op


def _operator(node: BinaryOperation) -> str:
    parts = [node.op, *(["bool"] if node.return_bool else [])]
    matching = node.matching
    if matching.labels or matching.on or matching.group:
        parts += ["on" if matching.on else "ignoring", _labels(matching.labels or ())]
    if matching.group:
        parts += [matching.group, _labels(matching.include)]
    parts += [f"{word} ({value.text})" for word, value in sorted(matching.fill.items())]
    return " ".join(parts)
