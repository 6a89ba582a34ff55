"""Whether every panel of the dashboards shows something: its queries, asked as Grafana asks them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from dashboards import DASHBOARDS
from instrumentation.catalog import METRICS
from sidelight.demo.scenario import SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from instrumentation.settings import Settings
    from sidelight.demo.prometheus_queries import Watch

SECONDS = 60.0  # until all of them have had something to show; a busy machine needs as long
_FILLED = {
    "$__rate_interval": "4s",  # four scrapes
    "$__interval": "1h",  # the least of the graphs that read it
    "$__range": "1h",
    "$job": SERVICE,
    "$instance": ".+",
    "$route": ".*",
}
_OF_CONTAINERS = tuple(metric.name for metric in METRICS if metric.name.startswith("container_"))


class Query(NamedTuple):
    """A query of a panel, or of what is marked on all of them.

    Attributes:
        panel: Dashboard and title.
        expression: PromQL without Grafana's variables.
        instant: Whether it is asked for this moment alone.
    """

    panel: str
    expression: str
    instant: bool = False


class Seen(NamedTuple):
    """What the panels show.

    Attributes:
        shown: How many queries give numbers.
        silent: The panels that have one that does not.
        unlimited: Those of them that show what limits a container, where nothing limits this one.
    """

    shown: int
    silent: tuple[str, ...]
    unlimited: tuple[str, ...]

    @property
    def faults(self) -> list[str]:
        """One sentence for each panel that should show something and does not."""
        return [f"The panel {panel} shows nothing." for panel in self.silent if panel not in self.unlimited]

    def __str__(self) -> str:
        rest = f", but for {', '.join(self.unlimited)}: nothing limits a container here" if self.unlimited else ""
        return f"All panels show something{rest}; they ask {self.shown} queries."


def seen(watch: Watch, settings: Settings, *, pause: Callable[[float], None] = time.sleep) -> Seen:
    """Look at every panel until all that can show something have, or the time is up.

    Args:
        watch: Reads from Prometheus.
        settings: What the dashboards are made from.
        pause: Waits some seconds.

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
    for page, build in DASHBOARDS.items():
        dashboard: Any = build(settings)
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                name = f"{page}/{panel['title']}"
                yield Query(name, filled(target["expr"]), instant=target.get("instant", False))
        for annotation in dashboard["annotations"]["list"][1:]:  # the first is Grafana's own
            yield Query(f"{page}/{annotation['name']}", filled(annotation["target"]["expr"]))


def filled(expression: str) -> str:
    """An expression as Grafana would ask it, at the demo's pace."""
    for variable, value in _FILLED.items():
        expression = expression.replace(variable, value)
    return expression
