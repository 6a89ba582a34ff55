"""Records the thresholds of overrides as series that alert rules join, so the size of the rules grows linearly with the overrides."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from alerts.model import RecordingRule, number
from alerts.recording.cost import daily_budget
from alerts.recording.databases import pool_used
from alerts.recording.dependencies import recorded_calls
from alerts.recording.services import recorded, slower
from alerts.thresholds import (
    SEVERITIES,
    any_of,
    disk_thresholds,
    matchers,
    override_numbers,
    override_series,
    thresholds_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from alerts.thresholds import Numbers
    from instrumentation.settings import Settings

    Pairs = Sequence[tuple[Mapping[str, str], float]]


def override_threshold_rules(settings: Settings) -> dict[str, list[RecordingRule]]:
    """The rules that record the numbers of overrides, by threshold; thresholds without overrides are left out."""
    of = recorded(settings)
    judged = {
        "error_ratio": of.requests,
        "latency_p95_seconds": of.requests,
        "cpu_used_ratio": of.cpu_used,
        "memory_used_ratio": of.memory_used,
        "disk_used_ratio": of.disk_used,
        "full_ratio": of.disk_used,
        "queue_depth": of.queue_depth,
        "queue_oldest_age_seconds": of.queue_depth,  # also for queues that report no age
        "workflow_failure_ratio": of.workflow_failures,
        "pool_used_ratio": pool_used(settings),
        "dependency_error_ratio": recorded_calls(settings).ratio,
    }
    numbers = {**{name: thresholds_of(settings, name) for name in judged}, **disk_thresholds(settings)}
    made = {name: _rules(settings, name, of_name, judged[name]) for name, of_name in numbers.items()}
    made["latency_p95_seconds"] += _slow_rules(settings)
    made["daily_usd"] = _rules(settings, "daily_usd", daily_budget(settings), of.cost_today)
    return {name: rules for name, rules in made.items() if rules}


def _rules(settings: Settings, name: str, numbers: Numbers, judged: str) -> list[RecordingRule]:
    return [
        RecordingRule(record=override_series(settings, name, severity)[0], expr=constants(judged, own), shown=True)
        for severity in SEVERITIES
        if (own := override_numbers(settings, numbers, severity))
    ]


def override_slow(settings: Settings, severity: str) -> str:
    """The recorded number of requests slower than the latency threshold of the service's override."""
    return f"{recorded(settings).level}:http_server_requests_slow:{severity}"


def _slow_rules(settings: Settings) -> list[RecordingRule]:
    buckets, numbers = recorded(settings).buckets, thresholds_of(settings, "latency_p95_seconds")
    return [
        RecordingRule(
            record=override_slow(settings, severity),
            expr=by_match(own, lambda which, edge: slower(settings, buckets, number(edge), *which)),
        )
        for severity in SEVERITIES
        if (own := override_numbers(settings, numbers, severity))
    ]


def constants(series: str, pairs: Pairs) -> str:
    """A series with the same labels as each given series, whose value is the number of the first match.

    >>> constants("a", [({"job": "x"}, 0.2), ({"job": "y"}, 0.2), ({"job": "z"}, 0.3)])
    '0 * a{job=~"x|y"} + 0.2 or 0 * a{job="z"} + 0.3'
    """
    return by_match(pairs, lambda which, value: f"0 * {series}{matchers({}, *which)} + {number(value)}")


def by_match(pairs: Pairs, term: Callable[[tuple[str, ...], float], str]) -> str:
    """One term for each number, joined by ``or``: the first match applies.

    Overrides with the same labels exclude each other, so those with the same number share a term. The terms are joined as a
    tree, because each ``or`` of a chain would copy the results of all terms before it.
    """
    return _tree([term(which, value) for which, value in _terms(pairs)])


def _terms(pairs: Pairs) -> Iterator[tuple[tuple[str, ...], float]]:
    for names, run in groupby(pairs, key=lambda pair: sorted(pair[0])):
        same = list(run)
        if not names:  # for all
            yield (), same[0][1]
            continue
        most = max(names, key=lambda name: len({match[name] for match, _ in same}))
        merged: dict[tuple[float, tuple[tuple[str, str], ...]], list[str]] = {}
        for match, value in same:
            rest = tuple((name, match[name]) for name in names if name != most)
            merged.setdefault((value, rest), []).append(match[most])
        for (value, rest), values in merged.items():
            yield (*(any_of(name, [one]) for name, one in rest), any_of(most, values)), value


def _tree(terms: Sequence[str]) -> str:
    if len(terms) <= 2:  # noqa: PLR2004 - a pair does not need brackets
        return " or ".join(terms)
    middle = len(terms) // 2
    return f"({_tree(terms[:middle])})\nor\n({_tree(terms[middle:])})"
