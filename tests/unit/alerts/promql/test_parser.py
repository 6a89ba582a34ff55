"""PromQL is read as Prometheus reads it, with positions, and with Grafana's variables if wanted."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.promql import (
    Aggregation,
    BinaryOperation,
    Node,
    NumberLiteral,
    PromqlError,
    Type,
    VectorSelector,
    formatted,
    nodes,
    parse,
)
from alerts.promql.tree import TooDeepError

WRITTEN = {
    "sum(rate(x[5m]))by(job)": "sum by (job) (rate(x[5m]))",
    "SUM BY (job) (x)": "sum by (job) (x)",
    "-x^2": "-x ^ 2",
    "a+b*c": "a + b * c",
    "x offset 5m": "x offset 5m",
    "x[5m] offset -1h @ end()": "x[5m] @ end() offset -1h",
    "max_over_time(up[1h:])": "max_over_time(up[1h:])",
    'x{b="2",a=~"1"}': 'x{a=~"1",b="2"}',
    '{"http.requests", "a.b"="c"}': '{"http.requests","a.b"="c"}',
    "x{a=`b\\d`}": 'x{a="b\\\\d"}',
    "x > 1_000_000": "x > 1_000_000",
    "rate(x[5m*2])": "rate(x[5m*2])",
    "x[max_of(5m, step())]": "x[max_of(5m, step())]",
    "x </ 5": "x </ 5",
    "x >/ 5": "x >/ 5",
    "a + on (job) group_left (team) fill_right(0) b": "a + on (job) group_left (team) fill_right (0) b",
    'info(x, {data=~".+"})': 'info(x, {data=~".+"})',
    "first_over_time(x[5m])": "first_over_time(x[5m])",
    "rate(x[5m] anchored)": "rate(x[5m] anchored)",
    "a == bool b": "a == bool b",
    "sum": "sum",
    "x # the rest is a comment": "x",
}


@pytest.mark.parametrize("expression", WRITTEN)
def test_an_expression_is_written_in_one_format(expression: str) -> None:
    assert formatted(parse(expression)) == WRITTEN[expression]
    assert formatted(parse(WRITTEN[expression])) == WRITTEN[expression]


def test_what_does_not_fit_into_a_line_is_indented() -> None:
    tree = parse('sum by (job) (rate(errors_total{code="a"}[5m])) / sum by (job) (rate(requests_total[5m])) > 3')
    assert formatted(tree, width=60) == (
        '    sum by (job) (rate(errors_total{code="a"}[5m]))\n  /\n    sum by (job) (rate(requests_total[5m]))\n>\n  3'
    )


BOUND = {
    "a + b * c": "+(a, *(b, c))",
    "a - b - c": "-(-(a, b), c)",
    "a ^ b ^ c": "^(a, ^(b, c))",
    "a or b and c": "or(a, and(b, c))",
    "a > b + c": ">(a, +(b, c))",
    "a % b atan2 c": "atan2(%(a, b), c)",
}


def shape(node: Node) -> str:
    if isinstance(node, BinaryOperation):
        return f"{node.op}({shape(node.lhs)}, {shape(node.rhs)})"
    assert isinstance(node, VectorSelector)
    return node.name


@pytest.mark.parametrize("expression", BOUND)
def test_operators_bind_as_in_prometheus(expression: str) -> None:
    assert shape(parse(expression)) == BOUND[expression]


REFUSED = {
    "": "no expression found",
    "sum(": "unexpected end of input",
    "rate(x)": "expected a range vector in the call of 'rate', got a instant vector",
    "sum(1)": "expected a instant vector in an aggregation, got a scalar",
    "nope(x)": "unknown function 'nope'",
    "clamp(x, 1)": "expected 3 arguments in the call of 'clamp', got 2",
    "1 > 2": "a comparison of two scalars needs bool",
    "a + bool b": "bool is only allowed after a comparison",
    "a and 1": "the set operator 'and' is not allowed with a scalar",
    "a and on (b) group_left c": "group_left is not allowed with the set operator 'and'",
    '{a=~".*"}': "a selector needs at least one matcher",
    'x{a=~"("}': "invalid regular expression: missing ): (",
    'x{__name__="y"}': "the metric name must not be set twice: 'x' and 'y'",
    "x[5m] offset 1m offset 2m": "offset must not be set twice",
    "(x)[5m]": "a range is only allowed after a selector",
    "x[0]": "a duration must be greater than 0",
    "x[5m1h]": "units must go from the largest to the smallest",
    'x{a="b': "unterminated string",
    r'x{a="\d"}': r"unknown escape sequence \d",
    "x > $limit": "unexpected character '$'",
    "x ? y": "unexpected character '?'",
}


@pytest.mark.parametrize("expression", REFUSED)
def test_what_prometheus_refuses_is_refused_with_the_reason(expression: str) -> None:
    with pytest.raises(PromqlError) as refused:
        parse(expression)
    assert REFUSED[expression] in refused.value.message
    assert 0 <= refused.value.start <= len(expression)


def test_a_fault_has_its_position() -> None:
    with pytest.raises(PromqlError) as refused:
        parse("sum by (job) (nope(x))")
    assert refused.value.start == len("sum by (job) (")


VARIABLES = {
    "sum by ($var) (up)": Type.VECTOR,
    "$metric{}": Type.VECTOR,
    "rate(${metric}_total[5m])": Type.VECTOR,
    "x * ${__range_ms}ms": Type.VECTOR,
    "${__range_s} * 2": Type.ANY,
    'x{a=~"${v:doublequote}", b=${v:doublequote}}': Type.VECTOR,
    "$agg by (job) (rate(x[$__rate_interval]))": Type.ANY,
    "$agg(rate(x[5m])) by (job)": Type.ANY,
    "topk($n, x)": Type.VECTOR,
    "x[${w}m]": Type.MATRIX,
    "max_over_time(x[$__range:${step}s])": Type.VECTOR,
    '{$filter, job="a"}': Type.VECTOR,
    'x{[[label]]="y"}': Type.VECTOR,
    "rate(x_total[[[interval]]])": Type.VECTOR,
    "sum(x)[[[range]]:[[step]]]": Type.MATRIX,
    "x $op y": Type.VECTOR,
    "$query": Type.ANY,
    "x offset $off": Type.VECTOR,
}


@pytest.mark.parametrize("expression", VARIABLES)
def test_grafanas_variables_may_stand_for_any_part(expression: str) -> None:
    assert parse(expression, variables=True).type is VARIABLES[expression]
    with pytest.raises(PromqlError):
        parse(expression)


def test_nodes_carry_their_positions() -> None:
    text = 'sum by (job) (rate(x{a="b"}[5m])) > 3'
    parts = {type(node).__name__: text[node.start : node.end] for node, _ in nodes(parse(text))}
    assert parts == {
        "BinaryOperation": text,
        "Aggregation": 'sum by (job) (rate(x{a="b"}[5m]))',
        "Call": 'rate(x{a="b"}[5m])',
        "MatrixSelector": 'x{a="b"}[5m]',
        "VectorSelector": 'x{a="b"}',
        "NumberLiteral": "3",
    }


def test_the_nodes_around_a_node_are_named_from_the_outside() -> None:
    found = {
        node.name: [type(each).__name__ for each in around]
        for node, around in nodes(parse("sum(rate(a[5m]) + b) and max(c)"))
        if isinstance(node, VectorSelector)
    }
    assert found == {
        "a": ["Aggregation", "Call", "MatrixSelector"],
        "b": ["Aggregation"],
        "c": ["BinaryOperation", "Aggregation"],
    }


def test_a_chain_of_thousands_of_operations_is_read() -> None:
    tree = parse(" + ".join(["x"] * 5_000))
    assert sum(isinstance(node, VectorSelector) for node, _ in nodes(tree)) == 5_000
    assert len(formatted(tree, width=10**9)) == 19_997


@pytest.mark.parametrize(
    "text",
    ["(" * 3_000 + "x" + ")" * 3_000, "-" * 3_000 + "x", "x^" * 3_000 + "x", "x[" + "(" * 3_000, "sum(" * 3_000],
)
def test_a_deeply_nested_expression_is_given_up_at_once(text: str) -> None:
    begin = time.process_time()
    with pytest.raises(TooDeepError, match="nested more than 100 levels deep"):
        parse(text)
    assert time.process_time() - begin < 1


PIECES = st.sampled_from(
    [
        "x",
        "sum",
        "rate",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        "=",
        "=~",
        "!=",
        "+",
        "-",
        "*",
        "/",
        "^",
        "==",
        ">",
        "and",
        "or",
        "unless",
        "by",
        "on",
        "group_left",
        "offset",
        "@",
        "bool",
        "5m",
        "1",
        "0x1F",
        "1e9",
        '"a"',
        "`b`",
        "$v",
        "${v}",
        ":",
        "#",
        "inf",
        "nan",
        "start()",
        "step()",
        "fill(0)",
        "</",
        "histogram_quantile",
        "absent",
        "[[v]]",
        "~",
        "!",
        "\\",
        "\x00",
        "é",
    ]
)


@settings(max_examples=400, deadline=None)
@given(pieces=st.lists(PIECES, max_size=30), variables=st.booleans())
def test_no_text_makes_the_parser_fall(pieces: list[str], variables: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    text = " ".join(pieces)
    try:
        tree = parse(text, variables=variables)
    except (PromqlError, TooDeepError):
        return
    again = parse(formatted(tree), variables=variables)
    assert formatted(again) == formatted(tree)
    assert all(0 <= node.start <= node.end <= len(text) for node, _ in nodes(tree))


def test_a_number_with_a_sign_is_a_number() -> None:
    tree = parse("-3")
    assert isinstance(tree, NumberLiteral)
    assert tree.value == -3


def test_an_aggregation_has_its_parameter() -> None:
    tree = parse("topk by (job) (3, x)")
    assert isinstance(tree, Aggregation)
    assert (tree.op, tree.labels, formatted(tree.param or tree)) == ("topk", ("job",), "3")
