"""The functions, aggregations and operators of PromQL, as Prometheus 3 defines them."""

from __future__ import annotations

from typing import NamedTuple

from alerts.promql.tree import Type

S, V, M, T = Type.SCALAR, Type.VECTOR, Type.MATRIX, Type.STRING


class Function(NamedTuple):
    """A function's signature.

    Attributes:
        args: The types of its arguments.
        least: How many arguments it needs.
        most: How many it accepts; None if there is no limit.
        returns: What it returns.
    """

    args: tuple[Type, ...]
    least: int
    most: int | None
    returns: Type = V


def _fixed(*args: Type, returns: Type = V) -> Function:
    return Function(args, len(args), len(args), returns)


_OF_A_VECTOR = (
    "abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor histogram_avg histogram_count histogram_sum "
    "histogram_stddev histogram_stdvar ln log10 log2 rad sgn sin sinh sort sort_desc sqrt start_timestamp tan tanh timestamp"
)
_OF_A_RANGE = (
    "absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase irate last_over_time "
    "mad_over_time max_over_time min_over_time present_over_time rate resets stddev_over_time stdvar_over_time sum_over_time "
    "ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time"
)
_OF_TIME = "day_of_month day_of_week day_of_year days_in_month hour minute month year"

FUNCTIONS: dict[str, Function] = {
    **dict.fromkeys(_OF_A_VECTOR.split(), _fixed(V)),
    **dict.fromkeys(_OF_A_RANGE.split(), _fixed(M)),
    **dict.fromkeys(_OF_TIME.split(), Function((V,), 0, 1)),
    **dict.fromkeys(["end", "pi", "range", "start", "step", "time"], _fixed(returns=S)),
    **dict.fromkeys(("max_of", "min_of"), _fixed(S, S, returns=S)),
    **dict.fromkeys(("clamp_max", "clamp_min"), _fixed(V, S)),
    **dict.fromkeys(("double_exponential_smoothing", "holt_winters"), _fixed(M, S, S)),
    **dict.fromkeys(("sort_by_label", "sort_by_label_desc"), Function((V, T), 1, None)),
    "clamp": _fixed(V, S, S),
    "histogram_fraction": _fixed(S, S, V),
    "histogram_quantile": _fixed(S, V),
    "histogram_quantiles": Function((V, T, S, S), 3, 12),
    "info": Function((V, V), 1, 2),
    "label_join": Function((V, T, T, T), 3, None),
    "label_replace": _fixed(V, T, T, T, T),
    "predict_linear": _fixed(M, S),
    "quantile_over_time": _fixed(S, M),
    "round": Function((V, S), 1, 2),
    "scalar": _fixed(V, returns=S),
    "vector": _fixed(S),
}
EXPERIMENTAL = {
    "double_exponential_smoothing", "end", "histogram_quantiles", "info", "limit_ratio", "limitk", "mad_over_time", "max_of",
    "min_of", "range", "sort_by_label", "sort_by_label_desc", "start", "start_timestamp", "step", "ts_of_first_over_time",
    "ts_of_last_over_time", "ts_of_max_over_time", "ts_of_min_over_time",
}  # fmt: skip
"""Functions and aggregations that need ``--enable-feature=promql-experimental-functions``."""
REMOVED = {"holt_winters": "double_exponential_smoothing"}
"""Functions that Prometheus 3 no longer has, and what replaces them."""
AGGREGATIONS: dict[str, Type | None] = {
    **dict.fromkeys(["avg", "count", "group", "max", "min", "stddev", "stdvar", "sum"], None),
    **dict.fromkeys(["bottomk", "limit_ratio", "limitk", "quantile", "topk"], S),
    "count_values": T,
}
"""Aggregation to the type of its parameter, if it has one."""
PRECEDENCE = {
    "or": 1,
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">=", "</", ">/"), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 6,
}
"""Binary operator to how strongly it binds."""
SETS = {"and", "or", "unless"}
COMPARISONS = {"==", "!=", "<", ">", "<=", ">="}
