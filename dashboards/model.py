"""Dashboards, rows, panels and queries as frozen data, independent of Grafana's JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.catalog import Metric
    from instrumentation.settings import Levels, Settings

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class View(StrEnum):
    """How a panel is drawn; the values are Grafana's panel types."""

    TIME_SERIES = "timeseries"
    STAT = "stat"
    TABLE = "table"
    HEATMAP = "heatmap"
    BARS = "bargauge"


class Unit(StrEnum):
    """Units of values, as Grafana names them."""

    COUNT = "short"
    SECONDS = "s"
    RATIO = "percentunit"
    REQUESTS_PER_SECOND = "reqps"
    PER_SECOND = "cps"
    BYTES = "bytes"
    USD = "currencyUSD"
    SINCE = "dateTimeFromNow"  # values are Unix milliseconds


@dataclass(frozen=True, kw_only=True)
class Coloring:
    """The colours of values; on a graph, also the position of the threshold lines.

    Attributes:
        base: The colour below every step.
        above: Value from which a colour applies, to the colour.
    """

    base: str = "text"
    above: Mapping[float, str] = field(default_factory=dict)


def traffic_light(levels: Levels) -> Coloring:
    """Green, yellow from the warning threshold, red from the critical threshold."""
    given = ((levels.warning, "yellow"), (levels.critical, "red"))
    return Coloring(base="green", above={value: color for value, color in given if value is not None})


def said(levels: Levels, unit: str = "%") -> str:
    """The thresholds as a sentence.

    >>> from instrumentation.settings import Thresholds
    >>> said(Thresholds().error_ratio), said(Thresholds().latency_p95_seconds, "s")
    ('Warning above 1 %, critical above 5 %.', 'Warning above 0.5 s, critical above 1 s.')
    """
    scale = 100 if unit == "%" else 1
    given = [(level, getattr(levels, level)) for level in ("warning", "critical")]
    return f"{', '.join(f'{level} above {value * scale:g} {unit}' for level, value in given)}.".capitalize()


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link to another page.

    Attributes:
        title: What it leads to.
        url: Its address; may contain Grafana's variables.
    """

    title: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Column:
    """The column for one query, in a table of several queries.

    Attributes:
        heading: Its heading.
        unit: The unit of its values.
        coloring: Colours by value.
    """

    heading: str
    unit: Unit = Unit.COUNT
    coloring: Coloring = Coloring()


@dataclass(frozen=True, kw_only=True)
class Query:
    """One PromQL expression.

    Attributes:
        expr: PromQL; may contain Grafana's variables.
        legend: The name of its series, such as ``{{job}} p95``.
        instant: True for a single value at the end of the time range instead of a line.
        min_step: The smallest step of a line, a Prometheus duration; empty for the scrape interval.
        column: Its column, in a table of several queries.
    """

    expr: str
    legend: str = ""
    instant: bool = False
    min_step: str = ""
    column: Column | None = None

    @property
    def reads(self) -> frozenset[Metric]:
        """The catalog rows whose series the expression reads."""
        words = set(_NAME.findall(self.expr))
        return frozenset(metric for metric in catalog.METRICS if words.intersection(metric.series))


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        title: Unique in its dashboard, because the panel's stable id is derived from it.
        description: What the panel shows and how to read it.
        view: How it is drawn.
        unit: The unit of its values.
        queries: Its queries.
        coloring: Colours by value; drawn as lines on graphs.
        stacked: True if the sum of the series is meaningful.
        in_steps: True if each value is about one whole step, such as an hour; a graph then shows bars.
        colors: Name of a series, or text of a table's cell, to colour, if colours have a meaning.
        columns: A table's columns from left to right: label, or ``Value``, to heading.
        links: Links in the panel's header.
        links_of: Label to links, with which its values in a table, and the series of a graph, lead to other pages.
        empty: Text shown if there is no value.
    """

    title: str
    description: str
    view: View
    unit: Unit
    queries: tuple[Query, ...]
    coloring: Coloring = Coloring()
    stacked: bool = False
    in_steps: bool = False
    colors: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    links_of: Mapping[str, tuple[Link, ...]] = field(default_factory=dict)
    empty: str = "no data"


graph = partial(Panel, view=View.TIME_SERIES)
stat = partial(Panel, view=View.STAT)
table = partial(Panel, view=View.TABLE)
bars = partial(Panel, view=View.BARS)
heatmap = partial(Panel, view=View.HEATMAP)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A heading and the panels below it.

    Attributes:
        title: The heading.
        panels: From left to right, then downwards.
        per_line: The maximum number of panels side by side.
        height: Height of each panel, in Grafana's units of 38 pixels.
        collapsed: True if only the heading is shown until someone opens it; Grafana then does not run its queries.
    """

    title: str
    panels: tuple[Panel, ...]
    per_line: int = 3
    height: int = 8
    collapsed: bool = False


@dataclass(frozen=True, kw_only=True)
class Page:
    """One dashboard.

    Attributes:
        slug: The name of the file; the uid is ``sidelight-`` and this.
        title: The title.
        description: Who it is for and which questions it answers.
        since: Default start of the time range, such as ``now-1h``.
        variables: Names of the variables in addition to the data source.
        rows: Makes its rows from the settings.
    """

    slug: str
    title: str
    description: str
    since: str
    variables: tuple[str, ...]
    rows: Callable[[Settings], tuple[Row, ...]]

    @property
    def uid(self) -> str:
        """The uid without the owner, which ``alerts.links.dashboard_uid`` adds. It is stable, so that links keep working."""
        return f"sidelight-{self.slug}"
