"""Parses PromQL, with the grammar and the type checks of Prometheus 3, and Grafana's variables if wanted.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/, and the behaviour of promtool.
"""

from __future__ import annotations

import math
import operator
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

import re2

from alerts.promql.functions import AGGREGATIONS, COMPARISONS, FUNCTIONS, PRECEDENCE, SETS
from alerts.promql.lexer import Token, tokens, unquoted
from alerts.promql.tree import (
    Aggregation,
    BinaryOperation,
    Call,
    Duration,
    Matcher,
    Matching,
    MatrixSelector,
    Node,
    NumberLiteral,
    Parentheses,
    PromqlError,
    StringLiteral,
    Subquery,
    TooDeepError,
    Type,
    UnaryOperation,
    Variable,
    VectorSelector,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_DEEPEST = 100
_UNARY = PRECEDENCE["*"] + 1
_NOT_NAMES = {"atan2", "bool", "group_left", "group_right", "ignoring", "on"}
_DURATION_FUNCTIONS = {"step", "range", "max_of", "min_of"}
_VARIABLE_WITH_UNIT = re.compile(r"\d*(?:\$\w+?|\$\{[^}]+\}|\[\[[^]]+\]\])(?:ms|[smhdwy])?")
_UNIT_SECONDS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LONGEST_SECONDS = 2**63 / 1e9
_LITERAL = re.compile(r"[-+\s]*[\w.]+")
_VARIABLE = re.compile(r"\$\{[^}]+\}|\$\w+|\[\[\w+(?::\w+)?\]\]")


def parse(text: str, *, variables: bool = False) -> Node:
    """The tree of an expression.

    >>> tree = parse('sum by (job) (rate(requests_total{code=~"5.."}[5m])) > 3')
    >>> type(tree).__name__, tree.type.value
    ('BinaryOperation', 'instant vector')

    Args:
        text: The expression.
        variables: Whether it may contain Grafana's variables, which may stand for any part of it.

    Raises:
        PromqlError: Prometheus refuses the expression.
        TooDeepError: It is nested more than 100 levels deep.
    """
    try:
        return _Parser(text, variables=variables).parsed()
    except RecursionError:
        raise TooDeepError("is nested too deeply") from None


@lru_cache(4096)
def regexp_fault(pattern: str) -> str:
    """Why Prometheus refuses a regular expression; empty if it accepts it.

    >>> regexp_fault("5..|4.."), regexp_fault("(a")
    ('', 'missing ): (a')
    """
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(f"^(?s:{pattern})$", options)
    except UnicodeEncodeError:  # JSON may escape half of a character
        return "is not valid Unicode"
    except re2.error as error:
        found = error.args[0]
        reason = found.decode(errors="replace") if isinstance(found, bytes) else str(found)
        return reason if f"^(?s:{pattern})$" not in reason else reason.replace(f"^(?s:{pattern})$", pattern)
    return ""


class _Parser:
    """A parser that descends into the expression; one instance reads one expression."""

    def __init__(self, text: str, *, variables: bool) -> None:
        self.text, self.variables = text, variables
        self.tokens = tokens(text, variables=variables)
        self.index = self.depth = 0
        self.selects_labels = False  # the second argument of info() may select everything

    def parsed(self) -> Node:
        if self.token.kind == "end":
            raise PromqlError("no expression found", 0)
        tree = self.expression(0)
        if self.token.kind != "end":
            self.unexpected()
        return tree

    # --- Tokens ------------------------------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def next(self) -> Token:
        token = self.tokens[self.index]
        self.index += 1
        return token

    def accept(self, kind: str) -> Token | None:
        return self.next() if self.tokens[self.index].kind == kind else None

    def expect(self, kind: str, place: str) -> Token:
        if self.tokens[self.index].kind != kind:
            self.unexpected(f"{place}, expected {kind!r}")
        return self.next()

    def unexpected(self, place: str = "") -> NoReturn:
        token = self.token
        what = "end of input" if token.kind == "end" else repr(token.text)
        raise PromqlError(f"unexpected {what}{f' in {place}' if place else ''}", token.start)

    def keyword(self) -> str:
        """The current token as a keyword; empty if it is not a name."""
        token = self.tokens[self.index]
        return token.text.lower() if token.kind == "name" else ""

    # --- Expressions -------------------------------------------------------------------------------------------------

    def expression(self, least: int) -> Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise TooDeepError(f"is nested more than {_DEEPEST} levels deep")
        left = self.unary()
        while (binding := self.binding()) and binding >= least:
            token = self.next()
            modifiers = self.modifiers()
            right = self.expression(binding + (token.text != "^"))
            left = self.operation(token, left, right, modifiers)
        self.depth -= 1
        return left

    def binding(self) -> int:
        token = self.tokens[self.index]
        if token.kind == "variable":  # an operator that a variable chooses
            return PRECEDENCE["=="]
        return PRECEDENCE.get(token.text.lower() if token.kind == "name" else token.kind, 0)

    def unary(self) -> Node:
        if self.token.kind not in {"+", "-"}:
            return self.postfix(self.primary())
        token = self.next()
        inner = self.expression(_UNARY)
        if isinstance(inner, NumberLiteral):
            value = -inner.value if token.kind == "-" else inner.value
            text = token.kind.removeprefix("+") + inner.text
            return NumberLiteral(start=token.start, end=inner.end, type=Type.SCALAR, value=value, text=text)
        if inner.type in {Type.MATRIX, Type.STRING}:
            raise PromqlError(
                f"a sign is only allowed before a scalar or instant vector, not a {inner.type}", token.start
            )
        return UnaryOperation(start=token.start, end=inner.end, type=inner.type, op=token.kind, expr=inner)

    def primary(self) -> Node:  # noqa: PLR0911 - one for each kind of token
        token = self.token
        match token.kind:
            case "(":
                self.next()
                inner = self.expression(0)
                end = self.expect(")", "parentheses").end
                return Parentheses(start=token.start, end=end, type=inner.type, expr=inner)
            case "number" | "duration":
                return self.number()
            case "string":
                self.next()
                return StringLiteral(start=token.start, end=token.end, type=Type.STRING, value=unquoted(token))
            case "{":
                return self.selector("", token.start)
            case "variable":
                return self.variable()
            case "name":
                return self.named()
        return self.unexpected()

    def number(self) -> NumberLiteral:
        token = self.next()
        value = _seconds(token) if token.kind == "duration" else _number(token)
        return NumberLiteral(start=token.start, end=token.end, type=Type.SCALAR, value=value, text=token.text)

    def variable(self) -> Node:
        token = self.next()
        if self.token.kind == "{":
            return self.selector(token.text, token.start)
        if self.token.kind == "(" or self.keyword() in {"by", "without"}:
            labels, _ = self.grouping()
            args = self.arguments()
            if labels is None:
                self.grouping()
            end = self.tokens[self.index - 1].end
            return Variable(start=token.start, end=end, type=Type.ANY, text=token.text, args=args)
        if _VARIABLE_WITH_UNIT.fullmatch(token.text):
            return Variable(start=token.start, end=token.end, type=Type.ANY, text=token.text)
        return VectorSelector(start=token.start, end=token.end, type=Type.VECTOR, name=token.text)

    def named(self) -> Node:
        token, following = self.token, self.tokens[self.index + 1]
        word = token.text.lower()
        calls = following.kind == "("
        if word in AGGREGATIONS and (calls or following.text.lower() in {"by", "without"}):
            return self.aggregation()
        if calls and ":" not in token.text and word not in _NOT_NAMES and word not in PRECEDENCE:
            return self.call()
        if word in {"inf", "nan"}:
            self.next()
            value = float(word)
            return NumberLiteral(start=token.start, end=token.end, type=Type.SCALAR, value=value, text=token.text)
        if word in _NOT_NAMES:
            self.unexpected()
        self.next()
        return self.selector(token.text, token.start)

    def call(self) -> Node:
        token = self.next()
        name = token.text.lower() if token.text.lower() in _DURATION_FUNCTIONS | {"start", "end"} else token.text
        function = FUNCTIONS.get(name)
        if function is None:
            raise PromqlError(f"unknown function {token.text!r}", token.start)
        args = self.arguments(name)
        least, most = function.least, function.most
        if len(args) < least or (most is not None and len(args) > most):
            wanted = str(least) if least == most else f"at least {least}" if len(args) < least else f"at most {most}"
            raise PromqlError(f"expected {wanted} arguments in the call of {name!r}, got {len(args)}", token.start)
        for number, arg in enumerate(args):
            self.expect_type(arg, function.args[min(number, len(function.args) - 1)], f"the call of {name!r}")
        if name == "info" and len(args) > 1 and not self.is_only_matchers(args[1]):
            raise PromqlError("expected only label matchers as the second argument of 'info'", args[1].start)
        end = self.tokens[self.index - 1].end
        return Call(start=token.start, end=end, type=function.returns, function=name, args=args)

    def is_only_matchers(self, node: Node) -> bool:
        return isinstance(node, VectorSelector) and self.text[node.start] == "{"

    def arguments(self, function: str = "") -> tuple[Node, ...]:
        self.expect("(", "a call")
        args: list[Node] = []
        if self.accept(")"):
            return ()
        while True:
            self.selects_labels = function == "info" and bool(args)
            args.append(self.expression(0))
            self.selects_labels = False
            if self.accept(")"):
                return tuple(args)
            self.expect(",", "the arguments of a call")

    def aggregation(self) -> Node:
        token = self.next()
        op = token.text.lower()
        labels, without = self.grouping()
        args = self.arguments()
        if labels is None:
            labels, without = self.grouping()
        param_type = AGGREGATIONS[op]
        wanted = 1 if param_type is None else 2
        if len(args) != wanted:
            raise PromqlError(f"expected {wanted} arguments for the aggregation {op!r}, got {len(args)}", token.start)
        if param_type is not None:
            self.expect_type(args[0], param_type, "an aggregation's parameter")
        self.expect_type(args[-1], Type.VECTOR, "an aggregation")
        return Aggregation(
            start=token.start,
            end=self.tokens[self.index - 1].end,
            type=Type.VECTOR,
            op=op,
            expr=args[-1],
            param=args[0] if param_type is not None else None,
            labels=labels,
            without=without,
        )

    def grouping(self) -> tuple[tuple[str, ...] | None, bool]:
        word = self.keyword()
        if word not in {"by", "without"}:
            return None, False
        self.next()
        return self.labels(), word == "without"

    def labels(self) -> tuple[str, ...]:
        self.expect("(", "a list of labels")
        found: list[str] = []
        while not self.accept(")"):
            token = self.next()
            if token.kind == "string":
                found.append(unquoted(token))
            elif token.kind == "variable" or (token.kind == "name" and token.text.lower() not in {"inf", "nan"}):
                found.append(token.text)
            else:
                self.index -= 1
                self.unexpected("a list of labels, expected a label")
            if not self.accept(",") and self.token.kind != ")":
                self.unexpected("a list of labels, expected ',' or ')'")
        return tuple(found)

    # --- Binary operations -------------------------------------------------------------------------------------------

    def modifiers(self) -> tuple[bool, Matching]:
        return_bool = self.keyword() == "bool"
        if return_bool:
            self.next()
        matching = Matching()
        if (word := self.keyword()) in {"on", "ignoring"}:
            self.next()
            matching.labels, matching.on = self.labels(), word == "on"
            if (word := self.keyword()) in {"group_left", "group_right"}:
                self.next()
                matching.group = word
                matching.include = self.labels() if self.token.kind == "(" else ()
        while (word := self.keyword()) in {"fill", "fill_left", "fill_right"} and self.follows("("):
            if word in matching.fill or "fill" in matching.fill or (word == "fill" and matching.fill):
                self.unexpected()
            self.index += 2
            value = self.unary()
            if not isinstance(value, NumberLiteral):
                raise PromqlError(f"{word} needs a number", value.start)
            self.expect(")", word)
            matching.fill[word] = value
        return return_bool, matching

    def follows(self, kind: str) -> bool:
        return self.tokens[self.index + 1].kind == kind

    def operation(self, token: Token, left: Node, right: Node, modifiers: tuple[bool, Matching]) -> Node:
        op, (return_bool, matching) = token.text.lower(), modifiers
        types = {left.type, right.type}
        for side in (left, right):
            if side.type in {Type.MATRIX, Type.STRING}:
                message = f"the operator {op!r} is only allowed between scalars and instant vectors, not a {side.type}"
                raise PromqlError(message, side.start)
        if fault := _operation_fault(op, types, matching, return_bool=return_bool):
            raise PromqlError(fault, token.start)
        known = Type.VECTOR if Type.VECTOR in types else Type.ANY if Type.ANY in types else Type.SCALAR
        return BinaryOperation(
            start=left.start,
            end=right.end,
            type=known,
            op=op,
            lhs=left,
            rhs=right,
            return_bool=return_bool,
            matching=matching,
            op_start=token.start,
        )

    def expect_type(self, node: Node, wanted: Type, place: str) -> None:
        if node.type not in {wanted, Type.ANY}:
            raise PromqlError(f"expected a {wanted} in {place}, got a {node.type}", node.start)

    # --- Selectors ---------------------------------------------------------------------------------------------------

    def selector(self, name: str, start: int) -> VectorSelector:
        matchers: list[Matcher] = []
        names = [name] if name else []
        if self.accept("{"):
            while not self.accept("}"):
                matcher = self.matcher()
                if matcher.operator == "name" or (matcher.name, matcher.operator) == ("__name__", "="):
                    names.append(matcher.value)
                else:
                    matchers.append(matcher)
                if not self.accept(",") and self.token.kind not in {"}", "variable"}:
                    self.unexpected("a selector, expected ',' or '}'")
        others = [*names[1:], *(matcher.value for matcher in matchers if matcher.name == "__name__")]
        if name and others:
            raise PromqlError(f"the metric name must not be set twice: {name!r} and {others[0]!r}", start)
        end = self.tokens[self.index - 1].end
        bound = (names and names[0]) or self.selects_labels or any(map(self.needs_a_value, matchers))
        if not bound:
            raise PromqlError("a selector needs at least one matcher that does not match the empty string", start)
        return VectorSelector(
            start=start, end=end, type=Type.VECTOR, name=names[0] if names else "", matchers=tuple(matchers)
        )

    def matcher(self) -> Matcher:
        token = self.next()
        if token.kind == "variable" and self.token.kind in {",", "}"}:
            return Matcher(name=token.text, operator="", value="", start=token.start, end=token.end)
        if token.kind == "string" and self.token.kind in {",", "}"}:
            return Matcher(name="__name__", operator="name", value=unquoted(token), start=token.start, end=token.end)
        if token.kind not in {"name", "string", "variable"} or (token.kind == "name" and ":" in token.text):
            self.index -= 1
            self.unexpected("a selector, expected a label or '}'")
        label = unquoted(token) if token.kind == "string" else token.text
        comparison = self.next()
        if comparison.kind not in {"=", "!=", "=~", "!~"}:
            self.index -= 1
            self.unexpected("a selector, expected one of =, !=, =~ and !~")
        value = self.next()
        if value.kind == "variable":  # such as ${job:doublequote}
            return Matcher(name=label, operator=comparison.kind, value=value.text, start=token.start, end=value.end)
        if value.kind != "string":
            self.index -= 1
            self.unexpected("a selector, expected a string")
        text = unquoted(value)
        plain = _VARIABLE.sub("x", text) if self.variables else text
        if comparison.kind.endswith("~") and (fault := regexp_fault(plain)):
            raise PromqlError(f"invalid regular expression: {fault}", value.start)
        return Matcher(name=label, operator=comparison.kind, value=text, start=token.start, end=value.end)

    def needs_a_value(self, matcher: Matcher) -> bool:
        """Whether a matcher does not match the empty string, as one matcher of a selector without a name must not."""
        if not matcher.operator or (self.variables and _VARIABLE.search(matcher.value)):
            return True
        if matcher.is_regexp:
            matches = re2.compile(f"^(?s:{matcher.value})$").match("") is not None
        else:
            matches = not matcher.value
        return matches is matcher.is_negative

    # --- What follows an expression ----------------------------------------------------------------------------------

    def postfix(self, node: Node) -> Node:
        while True:
            token = self.token
            word = token.text.lower() if token.kind == "name" else token.kind
            read = _POSTFIX.get(word)
            if read is None:
                return node
            self.next()
            node = read(self, node, token)
            node.end = self.tokens[self.index - 1].end

    def range(self, node: Node, token: Token) -> Node:
        length = self.positive_duration()
        if self.accept("colon"):
            resolution = None if self.token.kind == "]" else self.positive_duration()
            self.expect("]", "a subquery")
            self.expect_type(node, Type.VECTOR, "a subquery")
            return Subquery(
                start=node.start, end=node.end, type=Type.MATRIX, expr=node, range=length, resolution=resolution
            )
        self.expect("]", "a range")
        if isinstance(node, VectorSelector):
            if node.offset or node.at:
                raise PromqlError("a range must come before offset and @", token.start)
        elif not isinstance(node, Variable):
            raise PromqlError("a range is only allowed after a selector", token.start)
        return MatrixSelector(start=node.start, end=node.end, type=Type.MATRIX, selector=node, range=length)

    def offset(self, node: Node, token: Token) -> Node:
        sign = self.next().text if self.token.kind in {"+", "-"} else ""
        operand = self.duration_operand()
        seconds = -operand.seconds if sign == "-" and operand.seconds is not None else operand.seconds
        target = self.target(node, token, "offset")
        if target is not None:
            if target.offset:
                raise PromqlError("offset must not be set twice", token.start)
            target.offset = Duration(text=sign + operand.text, seconds=seconds)
        return node

    def at(self, node: Node, token: Token) -> Node:
        start = self.token.start
        if self.keyword() in {"start", "end"}:
            self.next()
            self.expect("(", "@")
            self.expect(")", "@")
        else:
            if self.token.kind in {"+", "-"}:
                self.next()
            if self.token.kind not in {"number", "duration", "variable"} and self.keyword() not in {"inf", "nan"}:
                self.unexpected("@, expected a timestamp, start() or end()")
            value = self.next()
            if value.kind != "variable" and not math.isfinite(_value(value)):
                raise PromqlError("the timestamp of @ is out of bounds", start)
        target = self.target(node, token, "@")
        if target is not None:
            if target.at:
                raise PromqlError("@ must not be set twice", token.start)
            target.at = self.text[start : self.tokens[self.index - 1].end]
        return node

    def extended(self, node: Node, token: Token) -> Node:
        selector = node.selector if isinstance(node, MatrixSelector) else node
        if isinstance(selector, VectorSelector):
            if selector.modifier:
                raise PromqlError("anchored and smoothed must not be used together", token.start)
            selector.modifier = token.text.lower()
        elif not isinstance(selector, Variable):
            raise PromqlError(f"{token.text.lower()} is only allowed after a selector", token.start)
        return node

    def target(self, node: Node, token: Token, what: str) -> VectorSelector | Subquery | None:
        selector = node.selector if isinstance(node, MatrixSelector) else node
        if isinstance(selector, VectorSelector | Subquery):
            return selector
        if isinstance(selector, Variable):
            return None
        raise PromqlError(f"{what} is only allowed after a selector or a subquery", token.start)

    # --- Durations ---------------------------------------------------------------------------------------------------

    def positive_duration(self) -> Duration:
        start = self.token.start
        found = self.duration(0)
        if found.seconds is not None and found.seconds <= 0 and _LITERAL.fullmatch(found.text):
            raise PromqlError("a duration must be greater than 0", start)
        return found

    def duration(self, least: int) -> Duration:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise TooDeepError(f"is nested more than {_DEEPEST} levels deep")
        start = self.token.start
        left = self.duration_operand()
        while (op := self.token.kind) in PRECEDENCE and (binding := PRECEDENCE[op]) >= max(least, 4):
            at = self.next().start
            right = self.duration(binding + (op != "^"))
            if op in "/%" and right.seconds == 0:
                raise PromqlError("division by zero", at)
            left.seconds = _computed(op, left.seconds, right.seconds)
        self.depth -= 1
        return Duration(text=self.text[start : self.tokens[self.index - 1].end], seconds=left.seconds)

    def duration_operand(self) -> Duration:
        token = self.next()
        word = token.text.lower()
        seconds = None
        if token.kind in {"+", "-"}:
            inner = self.duration(_UNARY)
            seconds = -inner.seconds if token.kind == "-" and inner.seconds is not None else inner.seconds
        elif token.kind == "(":
            seconds = self.duration(0).seconds
            self.expect(")", "a duration")
        elif token.kind in {"number", "duration"}:
            seconds = _value(token)
            if seconds > _LONGEST_SECONDS:
                raise PromqlError("the duration is out of range", token.start)
        elif token.kind == "name" and word in {"step", "range"}:
            self.expect("(", "a duration")
            self.expect(")", "a duration")
        elif token.kind == "name" and word in {"max_of", "min_of"}:
            self.expect("(", "a duration")
            self.duration(0)
            self.expect(",", "a duration")
            self.duration(0)
            self.expect(")", "a duration")
        elif token.kind not in {"variable", "mixed"}:
            self.index -= 1
            self.unexpected("a range, expected a duration such as 5m")
        return Duration(text=self.text[token.start : self.tokens[self.index - 1].end], seconds=seconds)


_POSTFIX: dict[str, Callable[[_Parser, Node, Token], Node]] = {
    "[": _Parser.range,
    "offset": _Parser.offset,
    "@": _Parser.at,
    "anchored": _Parser.extended,
    "smoothed": _Parser.extended,
}


def _operation_fault(op: str, types: set[Type], matching: Matching, *, return_bool: bool) -> str:  # noqa: PLR0911 - one for each fault
    if return_bool and op not in {*COMPARISONS, "</", ">/"} and not op.startswith("$"):
        return "bool is only allowed after a comparison"
    if op in COMPARISONS and not return_bool and types == {Type.SCALAR}:
        return "a comparison of two scalars needs bool"
    if matching.on and matching.labels and set(matching.labels) & set(matching.include):
        return "a label must not be both in on and in group_left or group_right"
    if Type.SCALAR in types:
        if op in SETS:
            return f"the set operator {op!r} is not allowed with a scalar"
        if matching.labels:
            return "matching is only allowed between two instant vectors"
        if matching.fill:
            return "fill is only allowed between two instant vectors"
    if op in SETS and (matching.group or matching.fill):
        return f"{matching.group or 'fill'} is not allowed with the set operator {op!r}"
    return ""


def _value(token: Token) -> float:
    return _seconds(token) if token.kind == "duration" else _number(token)


def _number(token: Token) -> float:
    text = token.text.lower()
    try:
        if text.startswith("0x"):
            return float(int(text, 16))
        if re.fullmatch(r"0_?[0-7_]+", text):
            return float(int(text, 8))
        value = float(text)
    except (ValueError, OverflowError):
        value = math.inf
    if math.isinf(value) or ("_" in text and not re.fullmatch(r"[1-9]\d*(?:_\d+)*", text)):
        raise PromqlError(f"bad number {token.text[:40]!r}", token.start)
    return value


def _seconds(token: Token) -> float:
    total, units = 0.0, list(_UNIT_SECONDS)
    last = -1
    for number, unit in re.findall(r"(\d+)(ms|[a-z])", token.text):
        position = units.index(unit)
        if position <= last:
            raise PromqlError(
                f"bad duration {token.text!r}: units must go from the largest to the smallest", token.start
            )
        last = position
        total += float(number) * _UNIT_SECONDS[unit]
    if total > _LONGEST_SECONDS:
        raise PromqlError(f"the duration {token.text[:40]!r} is out of range", token.start)
    return total


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
    "^": math.pow,
}


def _computed(op: str, left: float | None, right: float | None) -> float | None:
    if left is None or right is None or op not in _ARITHMETIC:
        return None
    try:
        return _ARITHMETIC[op](left, right)
    except (ArithmeticError, ValueError):
        return None
