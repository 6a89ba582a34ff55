"""No value of a variable can change the query around it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.promql import VectorSelector, nodes, parse
from sidelight.view.errors import RequestError
from sidelight.view.interpolation import Choice, filled

QUERY = 'sum by (job) (rate(requests_total{job=~"$job",instance=~"${instance:regex}"}[$__rate_interval]))'
BUILT_IN = {"__rate_interval": "1m", "__interval": "15s"}
# Prometheus' own parser is a Go program; an address can contain neither NUL nor invalid UTF-8.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def matchers(expression: str) -> dict[str, str]:
    (selector,) = (node for node, _ in nodes(parse(expression)) if isinstance(node, VectorSelector))
    return {matcher.name: matcher.value for matcher in selector.matchers}


@given(st.lists(TEXTS, min_size=1, max_size=3), TEXTS)
def test_any_value_stays_inside_its_matcher(jobs: list[str], instance: str) -> None:
    expression = filled(QUERY, {"job": Choice(values=tuple(jobs)), "instance": Choice(values=(instance,))}, BUILT_IN)
    found = matchers(expression)
    assert set(found) == {"job", "instance"}
    assert all(re.fullmatch(found["job"], job) for job in jobs)
    assert re.fullmatch(found["instance"], instance)


@given(TEXTS)
def test_a_pattern_matches_nothing_but_its_values(value: str) -> None:
    found = matchers(filled(QUERY, {"job": Choice(values=(value,)), "instance": Choice(values=("a",))}, BUILT_IN))
    assert not re.fullmatch(found["job"], f"{value}x")


def test_all_is_the_dashboard_s_own_pattern() -> None:
    assert filled('up{job=~"$job"}', {"job": Choice(everything=".+")}, {}) == 'up{job=~".+"}'


def test_a_variable_with_one_value_is_not_a_pattern() -> None:
    assert filled('up{job="$job"}', {"job": Choice(values=("a.b",), several=False)}, {}) == 'up{job="a.b"}'


def test_all_spellings_of_a_variable_are_filled_and_other_dollars_stay() -> None:
    choices = {"job": Choice(values=("shop",))}
    expression = 'label_replace(a{x=~"$job",y=~"${job}",z=~"[[job]]"}, "class", "${1}xx", "code", "(.).+$")'
    assert filled(expression, choices, {}) == (
        'label_replace(a{x=~"shop",y=~"shop",z=~"shop"}, "class", "${1}xx", "code", "(.).+$")'
    )


@pytest.mark.parametrize("value", ["up) or vector(1", "5m]) or (up[5m", "a b", "", "a}"])
@pytest.mark.parametrize("expression", ["rate(a[$window])", "sum by ($window) (a)", "a{b=~`$window`}"])
def test_outside_a_quoted_string_only_a_word_is_accepted(expression: str, value: str) -> None:
    with pytest.raises(RequestError, match=r"window: got .*; give one value of letters"):
        filled(expression, {"window": Choice(values=(value,))}, {})
    assert "5m" in filled(expression, {"window": Choice(values=("5m",))}, {})
