"""The nodes of a PromQL expression."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class PromqlError(ValueError):
    """An expression that Prometheus refuses.

    Attributes:
        message: What is wrong.
        start: The position of the fault, from 0.
    """

    def __init__(self, message: str, start: int) -> None:
        super().__init__(message)
        self.message, self.start = message, start


class TooDeepError(ValueError):
    """An expression that is nested too deeply to be read, which Prometheus may still accept."""


class Type(StrEnum):
    """What an expression returns, in Prometheus' words; ``ANY`` is a Grafana variable, whose value is not known."""

    SCALAR = "scalar"
    VECTOR = "instant vector"
    MATRIX = "range vector"
    STRING = "string"
    ANY = "anything"


@dataclass(slots=True, kw_only=True)
class Node:
    """A part of an expression.

    Attributes:
        start: The position of its first character, from 0.
        end: The position after its last character.
        type: What it returns.
    """

    start: int
    end: int
    type: Type

    @property
    def children(self) -> tuple[Node, ...]:
        """The expressions inside it, from left to right."""
        return ()


@dataclass(slots=True, kw_only=True)
class NumberLiteral(Node):
    """A number, or a duration as seconds."""

    value: float
    text: str


@dataclass(slots=True, kw_only=True)
class StringLiteral(Node):
    """A string, without its quotes and escapes."""

    value: str


@dataclass(slots=True, kw_only=True)
class Duration:
    """A duration in brackets or after ``offset``.

    Attributes:
        text: As it is written.
        seconds: Its value; None if it contains a variable, or ``step()`` or ``range()`` of the query.
    """

    text: str
    seconds: float | None


@dataclass(slots=True, kw_only=True)
class Matcher:
    """A condition on a label.

    Attributes:
        name: The label; a Grafana variable that stands for a whole condition has no operator.
        operator: ``=``, ``!=``, ``=~`` or ``!~``.
        value: The value, without quotes.
        start: The position of its first character.
        end: The position after its last character.
    """

    name: str
    operator: str
    value: str
    start: int
    end: int

    @property
    def is_regexp(self) -> bool:
        """Whether the value is a regular expression."""
        return self.operator.endswith("~")

    @property
    def is_negative(self) -> bool:
        """Whether it excludes the value."""
        return self.operator.startswith("!")


@dataclass(slots=True, kw_only=True)
class VectorSelector(Node):
    """A selector of series, such as ``up{job="shop"}``.

    Attributes:
        name: The name of the metric; empty if there is only a regular expression, or none.
        matchers: The conditions in braces, without the name.
        offset: The duration after ``offset``.
        at: What follows ``@``.
        modifier: ``anchored``, ``smoothed`` or empty.
    """

    name: str
    matchers: tuple[Matcher, ...] = ()
    offset: Duration | None = None
    at: str = ""
    modifier: str = ""


@dataclass(slots=True, kw_only=True)
class MatrixSelector(Node):
    """A selector with a range, such as ``up[5m]``."""

    selector: Node  # a VectorSelector, or a Grafana variable
    range: Duration

    @property
    def children(self) -> tuple[Node, ...]:
        """The selector."""
        return (self.selector,)


@dataclass(slots=True, kw_only=True)
class Subquery(Node):
    """An expression over a range, such as ``sum(up)[1h:5m]``; the resolution may be left out."""

    expr: Node
    range: Duration
    resolution: Duration | None
    offset: Duration | None = None
    at: str = ""

    @property
    def children(self) -> tuple[Node, ...]:
        """The expression."""
        return (self.expr,)


@dataclass(slots=True, kw_only=True)
class Call(Node):
    """A call of a function."""

    function: str
    args: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """The arguments."""
        return self.args


@dataclass(slots=True, kw_only=True)
class Aggregation(Node):
    """An aggregation, such as ``sum by (job) (up)``.

    Attributes:
        op: The operator, in lower case.
        expr: What it aggregates.
        param: The first of two arguments, such as the number of ``topk``.
        labels: The labels of ``by`` or ``without``; None if there is neither.
        without: Whether they are those of ``without``.
    """

    op: str
    expr: Node
    param: Node | None = None
    labels: tuple[str, ...] | None = None
    without: bool = False

    @property
    def children(self) -> tuple[Node, ...]:
        """The parameter, if there is one, and the expression."""
        return (self.expr,) if self.param is None else (self.param, self.expr)


@dataclass(slots=True, kw_only=True)
class Matching:
    """How the two sides of a binary operation are matched.

    Attributes:
        labels: The labels of ``on`` or ``ignoring``; None if there is neither.
        on: Whether they are those of ``on``.
        group: ``group_left``, ``group_right`` or empty.
        include: The labels that ``group_left`` or ``group_right`` copies.
        fill: ``fill``, ``fill_left`` and ``fill_right`` with their numbers.
    """

    labels: tuple[str, ...] | None = None
    on: bool = False
    group: str = ""
    include: tuple[str, ...] = ()
    fill: dict[str, NumberLiteral] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class BinaryOperation(Node):
    """An operation on two expressions.

    Attributes:
        op: The operator, in lower case.
        lhs: The left side.
        rhs: The right side.
        return_bool: Whether a comparison returns 0 or 1, and filters nothing.
        matching: How the two sides are matched.
        op_start: The position of the operator.
    """

    op: str
    lhs: Node
    rhs: Node
    return_bool: bool
    matching: Matching
    op_start: int

    @property
    def children(self) -> tuple[Node, ...]:
        """Both sides."""
        return (self.lhs, self.rhs)


@dataclass(slots=True, kw_only=True)
class UnaryOperation(Node):
    """A sign before an expression."""

    op: str
    expr: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """The expression."""
        return (self.expr,)


@dataclass(slots=True, kw_only=True)
class Parentheses(Node):
    """An expression in parentheses."""

    expr: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """The expression."""
        return (self.expr,)


@dataclass(slots=True, kw_only=True)
class Variable(Node):
    """A Grafana variable where an expression is expected; it may be called like a function, or aggregate."""

    text: str
    args: tuple[Node, ...] = ()

    @property
    def children(self) -> tuple[Node, ...]:
        """The arguments."""
        return self.args


def nodes(tree: Node) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """The nodes of a tree from left to right, each with the nodes around it, outermost first.

    Of binary operations, only ``and`` and ``unless`` are among the nodes around a node, and only around their right side:
    a chain of thousands of operations is otherwise as deep as it is long.
    """
    stack: list[tuple[Node, tuple[Node, ...]]] = [(tree, ())]
    while stack:
        node, around = stack.pop()
        yield node, around
        if isinstance(node, BinaryOperation):
            right = (*around, node) if node.op in {"and", "unless"} else around
            stack += [(node.rhs, right), (node.lhs, around)]
        elif node.children:
            inside = (*around, node)
            stack += [(child, inside) for child in reversed(node.children)]


def bare(node: Node) -> Node:
    """An expression without the parentheses and signs around it."""
    while isinstance(node, Parentheses | UnaryOperation):
        node = node.expr
    return node
