"""Builds PromQL from catalog rows. Every selector is limited to the dashboard's jobs and instances."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from alerts.errors import ANSWERED, errors

if TYPE_CHECKING:
    from instrumentation.catalog import Metric
    from instrumentation.settings import Settings

# Prometheus' own series, which are not in the catalog.
UP = "up"
ALERTS = "ALERTS"
_ALERTS_SINCE = "ALERTS_FOR_STATE"  # Unix seconds since which the condition of each pending or firing alert has held

RATE = "$__rate_interval"
STEP = "$__interval"
RANGE = "$__range"

_TARGET = ('job=~"$job"', 'instance=~"$instance"')
MATCHED = 'http_route!=""'
SUCCESS = 'outcome="success"'
FAILURE = 'outcome="failure"'


def select(series: str, *matchers: str) -> str:
    """A selector of one series within the selected jobs and instances.

    >>> select("up")
    'up{job=~"$job",instance=~"$instance"}'
    """
    return _braced(series, (*_TARGET, *matchers))


def firing(*matchers: str) -> str:
    """Firing alerts of the selected jobs, of all instances: most alerts are about a service and have no instance."""
    return _braced(ALERTS, ('alertstate="firing"', _TARGET[0], *matchers))


def firing_since(*matchers: str, by: tuple[str, ...]) -> str:
    """Unix milliseconds since which the conditions of firing alerts have held, the earliest by labels."""
    since = _aggregated("min", _braced(_ALERTS_SINCE, (_TARGET[0], *matchers)), by)
    return f"1000 * {since} and on ({', '.join(by)}) {firing(*matchers)}"


def today(totals: str, settings: Settings) -> str:
    """The increase since midnight UTC of counters that are summed by instance, on the day of the evaluation.

    PromQL has no range that begins at midnight. A series that is another one each day has: its increase over a day is what it
    grew by since its own day began. So the value does not depend on the time range shown.

    Args:
        totals: Totals by ``job`` and ``instance`` and further labels.
        settings: The settings; the series is read as often as rules are evaluated.
    """
    day = 'count_values("day", day_of_month())'
    return f"increase(({totals} * on () group_left (day) {day})[1d:{settings.alerting.evaluation_interval}]) and on (day) {day}"


def rate_within_step(series: str, *matchers: str) -> str:
    """The rate per second within each step."""
    return f"rate({select(series, *matchers)}[{STEP}])"


def or_zero(expr: str, known: str) -> str:
    """0 if there is nothing to count, but absent if nothing is known: then nobody looked."""
    return f"{expr} or 0 * {known}"


def recorded(series: str) -> str:
    """A selector of a series of the selected jobs, without instance: recorded series are about a service.

    >>> recorded("job:active_users:estimate5m")
    'job:active_users:estimate5m{job=~"$job"}'
    """
    return _braced(series, _TARGET[:1])


def rate(series: str, *matchers: str) -> str:
    """The rate per second, over a window that fits the zoom level."""
    return f"rate({select(series, *matchers)}[{RATE}])"


def increase(series: str, window: str, *matchers: str) -> str:
    """The increase of a counter within a window."""
    return f"increase({select(series, *matchers)}[{window}])"


def total(expr: str, *by: str) -> str:
    """The sum by labels."""
    return _aggregated("sum", expr, by)


def largest(expr: str, *by: str) -> str:
    """The largest value by labels."""
    return _aggregated("max", expr, by)


def number(expr: str, *by: str) -> str:
    """The number of series by labels."""
    return _aggregated("count", expr, by)


def top(limit: int, expr: str) -> str:
    """The series with the highest values."""
    return f"topk({limit}, {expr})"


def highest(limit: int, series: str, *by: str) -> str:
    """The series with the highest maxima in the time range shown. ``topk`` alone would select others at each point."""
    return _outermost("max", "topk", limit, series, by)


def lowest(limit: int, series: str, *by: str) -> str:
    """The series with the lowest minima in the time range shown."""
    return _outermost("min", "bottomk", limit, series, by)


def quantile(ratio: float, histogram: str, *by: str) -> str:
    """A quantile of a histogram's buckets, absent rather than NaN if nothing was observed.

    Args:
        ratio: The quantile, from 0 to 1.
        histogram: Rates or increases of its buckets.
        by: Labels to keep.
    """
    return f"histogram_quantile({ratio:g}, {total(histogram, *by, 'le')}) >= 0"


def share(part: str, whole: str, *by: str) -> str:
    """One sum divided by another: 0 (not absent) without the part, absent (not NaN) without the whole."""
    return f"({total(part, *by)} or 0 * {total(whole, *by)}) / ({total(whole, *by)} > 0)"


def failed(series: str, window: str, *matchers: str, of: str = "rate", statuses: str = ANSWERED) -> str:
    """The requests of one series that are errors, per second, or as an increase within a window.

    >>> failed("a", "5m", of="increase").partition(" or ")[0]
    'increase(a{job=~"$job",instance=~"$instance",error_type!=""}[5m])'

    Args:
        series: A counter of requests.
        window: The range.
        matchers: What else the requests must match.
        of: ``rate`` or ``increase``.
        statuses: As for ``errors``.
    """
    return errors(lambda *which: f"{of}({select(series, *matchers, *which)}[{window}])", statuses)


def per(amount: str, whole: str, *by: str) -> str:
    """One sum divided by another, absent without the whole."""
    return f"{total(amount, *by)} / ({total(whole, *by)} > 0)"


def of_limit(used: Metric, limit: Metric, *by: str, matchers: tuple[str, ...] = ()) -> str:
    """A gauge as a share of the gauge that holds its limit."""
    return f"{total(select(used.name, *matchers), *by)} / {total(select(limit.name, *matchers), *by)}"


def equals(label: str, value: str) -> str:
    """A matcher for one value of a label.

    >>> equals("job", "search")
    'job="search"'
    """
    return f"{label}={json.dumps(value, ensure_ascii=False)}"


def service(settings: Settings) -> tuple[str, ...]:
    """The labels that identify a service, as in the alerts."""
    return ("job", *identity(settings))


def identity(settings: Settings) -> tuple[str, ...]:
    """The labels that tell services with the same job apart."""
    return tuple(label for label in settings.alerting.group_by if label != "job")


def limited(text: str, settings: Settings) -> str:
    """A query or a definition of a variable, limited to the selected clusters, namespaces and so on."""
    every = ",".join(filter(None, [chosen(settings), _TARGET[0]]))
    return text.replace(_TARGET[0], every)


def chosen(settings: Settings) -> str:
    """The matchers for the selected clusters, namespaces and so on; empty if a service is only a job."""
    return ",".join(f'{label}=~"${label}"' for label in identity(settings))


def legend(*labels: str) -> str:
    """A legend with the values of labels.

    >>> legend("job", "http_route")
    '{{job}} {{http_route}}'
    """
    return " ".join(f"{{{{{label}}}}}" for label in labels)


def bucket(metric: Metric) -> str:
    """The series of a histogram's buckets."""
    return f"{metric.name}_bucket"


def count(metric: Metric) -> str:
    """The series that counts a histogram's observations."""
    return f"{metric.name}_count"


def busiest(limit: int, counter: str, *by: str) -> str:
    """The end of an expression that keeps only what counted most in the time range shown, the same at each point."""
    labels = ", ".join(by)
    counted = _aggregated("sum", f"increase({select(counter)}[{RANGE}] @ end())", by)
    return f"and on ({labels}) topk({limit}, {counted})"


def _braced(series: str, matchers: tuple[str, ...]) -> str:
    return f"{series}{{{','.join(matchers)}}}"


def _outermost(of: str, choose: str, limit: int, series: str, by: tuple[str, ...]) -> str:
    extreme = _aggregated(of, f"{of}_over_time({series}[{RANGE}] @ end())", by)
    return f"{series} and on ({', '.join(by)}) {choose}({limit}, {extreme})"


def _aggregated(operator: str, expr: str, by: tuple[str, ...]) -> str:
    return f"{operator} by ({', '.join(by)}) ({expr})" if by else f"{operator}({expr})"
