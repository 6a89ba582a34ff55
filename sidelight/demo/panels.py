"""Checks that every panel of the dashboards has data, by running its queries as Grafana does."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from dashboards import every_dashboard, panels_of
from instrumentation.catalog import METRICS
from sidelight.demo.scenario import SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from instrumentation.settings import Settings
    from sidelight.demo.prometheus_queries import Watch

SECONDS = 60.0  # until all of them have data; a busy machine needs that long
_FILLED = {
    "$__rate_interval": "4s",  # four scrapes
    "$__interval": "1h",  # the smallest step of the graphs that use it
    "$__range": "1h",
    "$job": SERVICE,
    "$instance": ".+",
    **dict.fromkeys(("$cluster", "$namespace", "$environment"), ".*"),  # a service may lack these labels
}
_OF_CONTAINERS = tuple(metric.name for metric in METRICS if metric.name.startswith("container_"))


class Query(NamedTuple):
    """A query of a panel or of an annotation.

    Attributes:
        panel: Dashboard and title.
        expression: PromQL without Grafana's variables.
        instant: Whether it is an instant query.
    """

    panel: str
    expression: str
    instant: bool = False


class Seen(NamedTuple):
    """Which panels have data.

    Attributes:
        shown: The number of queries that return data.
        silent: The panels with a query that returns none.
        unlimited: Those of them that show a container's limits, if this container has none.
    """

    shown: int
    silent: tuple[str, ...]
    unlimited: tuple[str, ...]

    @property
    def faults(self) -> list[str]:
        """One sentence for each panel that should have data but has none."""
        return [f"The panel {panel} has no data." for panel in self.silent if panel not in self.unlimited]

    def __str__(self) -> str:
        rest = f", except {', '.join(self.unlimited)}: there is no container limit here" if self.unlimited else ""
        return f"All panels have data{rest}; they run {self.shown} queries."


def seen(watch: Watch, settings: Settings, *, pause: Callable[[float], None] = time.sleep) -> Seen:
    """Check every panel until all that can have data have some, or the time is up.

    Args:
        watch: Queries Prometheus.
        settings: The settings of the dashboards.
        pause: Sleeps for some seconds.

    Raises:
        DemoError: Prometheus does not answer.
    """
    queries = list(_queries(settings))
    waiting, deadline = queries, time.monotonic() + SECONDS
    while True:
        waiting = [query for query in waiting if not watch.shows(query.expression, now=query.instant)]
        unlimited = [query for query in waiting if _is_unlimited(query, watch)]
        if len(unlimited) == len(waiting) or time.monotonic() > deadline:
            return Seen(len(queries) - len(waiting), _panels(waiting), _panels(unlimited))
        pause(1.0)


def _is_unlimited(query: Query, watch: Watch) -> bool:
    return any(name in query.expression and not watch.shows(name) for name in _OF_CONTAINERS)


def _panels(queries: list[Query]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(query.panel for query in queries))


def _queries(settings: Settings) -> Iterator[Query]:
    dashboards: dict[str, Any] = every_dashboard(settings)
    for page, dashboard in dashboards.items():
        for panel in panels_of(dashboard):
            for target in panel["targets"]:
                name = f"{page}/{panel['title']}"
                yield Query(name, filled(target["expr"]), instant=target.get("instant", False))
        for annotation in dashboard["annotations"]["list"][1:]:  # the first is Grafana's own
            yield Query(f"{page}/{annotation['name']}", filled(annotation["target"]["expr"]))


def filled(expression: str, variables: Mapping[str, str] = MappingProxyType({})) -> str:
    """An expression with Grafana's variables replaced; those that are not given, for the demo's scrape interval."""
    for variable, value in {**_FILLED, **variables}.items():
        expression = expression.replace(variable, value)
    return expression
