"""Parses each PromQL expression once."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from alerts.promql import parse

if TYPE_CHECKING:
    from alerts.promql import Node


_LOGQL = re.compile(r"[}\"`]\s*(?:\|[=~>]|!=\s*[\"`]|!~\s*[\"`]|\|\s*[a-z_]+)")


@lru_cache(20_000)
def parsed(expression: str, *, variables: bool = False) -> Node:
    """The syntax tree of an expression, which must not be changed.

    Args:
        expression: PromQL.
        variables: Whether it may contain Grafana's variables.

    Raises:
        PromqlError: Prometheus refuses the expression.
        TooDeepError: It is nested too deeply to be checked.
    """
    return parse(expression, variables=variables)


def is_logql(expression: str) -> bool:
    """Whether an expression that is not PromQL looks like a query of Loki.

    >>> is_logql('sum(rate({app="shop"} |= "error" [5m]))'), is_logql("sum(rate(foo[5m])")
    (True, False)
    """
    return _LOGQL.search(expression) is not None
