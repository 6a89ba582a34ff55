"""PromQL from catalog rows: every selector is scoped to the dashboard's job and instance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instrumentation.catalog import Metric
    from instrumentation.settings import Settings

# Prometheus' own series, which are in no catalog.
UP = "up"
ALERTS = "ALERTS"

RATE = "$__rate_interval"
STEP = "$__interval"
RANGE = "$__range"

_TARGET = ('job=~"$job"', 'instance=~"$instance"')
ROUTE = 'http_route=~"$route"'
MATCHED = 'http_route!=""'
ERROR = 'error_type!=""'
SUCCESS = 'outcome="success"'
FAILURE = 'outcome="failure"'


def select(series: str, *matchers: str) -> str:
    """A selector of one series within the chosen jobs and instances.

    >>> select("up")
    'up{job=~"$job",instance=~"$instance"}'
    """
    return _braced(series, (*_TARGET, *matchers))


def firing(*matchers: str) -> str:
    """Firing alerts of the chosen jobs; alerts are about a service, so they carry no instance."""
    return _braced(ALERTS, ('alertstate="firing"', _TARGET[0], *matchers))


def recorded(series: str) -> str:
    """A selector of what the rules record of the chosen jobs; it is about a service, so it carries no instance.

    >>> recorded("job:active_users:estimate5m")
    'job:active_users:estimate5m{job=~"$job"}'
    """
    return _braced(series, _TARGET[:1])


def rate(series: str, *matchers: str) -> str:
    """Per second, over a window that suits the zoom."""
    return f"rate({select(series, *matchers)}[{RATE}])"


def increase(series: str, window: str, *matchers: str) -> str:
    """How much a counter grew within a window."""
    return f"increase({select(series, *matchers)}[{window}])"


def total(expr: str, *by: str) -> str:
    """A sum, kept apart by labels."""
    return _aggregated("sum", expr, by)


def largest(expr: str, *by: str) -> str:
    """The largest value, kept apart by labels."""
    return _aggregated("max", expr, by)


def number(expr: str, *by: str) -> str:
    """How many series there are, kept apart by labels."""
    return _aggregated("count", expr, by)


def top(limit: int, expr: str) -> str:
    """The series with the highest values."""
    return f"topk({limit}, {expr})"


def highest(limit: int, series: str, *by: str) -> str:
    """Those that were highest at any time of the range shown, over all of it; ``topk`` alone would choose anew at each point."""
    return _outermost("max", "topk", limit, series, by)


def lowest(limit: int, series: str, *by: str) -> str:
    """Those that were lowest at any time of the range shown, over all of it."""
    return _outermost("min", "bottomk", limit, series, by)


def quantile(ratio: float, histogram: str, *by: str) -> str:
    """A quantile of a histogram's buckets, absent rather than NaN where nothing was observed.

    Args:
        ratio: Which one, 0 to 1.
        histogram: Rates or increases of its buckets.
        by: Labels to keep apart.
    """
    return f"histogram_quantile({ratio:g}, {total(histogram, *by, 'le')}) >= 0"


def share(part: str, whole: str, *by: str) -> str:
    """One sum over another: 0, not absent, where there is no part; absent, not NaN, where there is no whole."""
    return f"({total(part, *by)} or 0 * {total(whole, *by)}) / ({total(whole, *by)} > 0)"


def per(amount: str, whole: str, *by: str) -> str:
    """One sum over another, absent where there is no whole."""
    return f"{total(amount, *by)} / ({total(whole, *by)} > 0)"


def of_limit(used: Metric, limit: Metric, *by: str, matchers: tuple[str, ...] = ()) -> str:
    """A gauge as a share of the gauge that bounds it."""
    return f"{total(select(used.name, *matchers), *by)} / {total(select(limit.name, *matchers), *by)}"


def equals(label: str, value: str) -> str:
    """A matcher for one value of a label.

    >>> equals("job", "search")
    'job="search"'
    """
    return f"{label}={json.dumps(value, ensure_ascii=False)}"


def service(settings: Settings) -> tuple[str, ...]:
    """The labels that make a service, as the alerts see it."""
    return settings.alerting.group_by


def legend(*labels: str) -> str:
    """Names a series by its labels.

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


def _braced(series: str, matchers: tuple[str, ...]) -> str:
    return f"{series}{{{','.join(matchers)}}}"


def _outermost(of: str, choose: str, limit: int, series: str, by: tuple[str, ...]) -> str:
    extreme = _aggregated(of, f"{of}_over_time({series}[{RANGE}] @ end())", by)
    return f"{series} and on ({', '.join(by)}) {choose}({limit}, {extreme})"


def _aggregated(operator: str, expr: str, by: tuple[str, ...]) -> str:
    return f"{operator} by ({', '.join(by)}) ({expr})" if by else f"{operator}({expr})"
