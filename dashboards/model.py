"""What a dashboard shows, as frozen data that knows nothing of Grafana's JSON."""

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
    """How a panel draws; the values are Grafana's panel types."""

    TIME_SERIES = "timeseries"
    STAT = "stat"
    TABLE = "table"
    HEATMAP = "heatmap"
    BARS = "bargauge"


class Unit(StrEnum):
    """Grafana's names for units of values."""

    COUNT = "short"
    SECONDS = "s"
    RATIO = "percentunit"
    REQUESTS_PER_SECOND = "reqps"
    PER_SECOND = "cps"
    BYTES = "bytes"
    USD = "currencyUSD"


@dataclass(frozen=True, kw_only=True)
class Coloring:
    """Which colour a value gets; on a graph, where its lines stand.

    Attributes:
        base: The colour of what is below every step.
        above: From which value on, to the colour.
    """

    base: str = "text"
    above: Mapping[float, str] = field(default_factory=dict)


def traffic_light(levels: Levels) -> Coloring:
    """Green, yellow from the warning on, red from the critical level on."""
    given = ((levels.warning, "yellow"), (levels.critical, "red"))
    return Coloring(base="green", above={value: color for value, color in given if value is not None})


def said(levels: Levels, unit: str = "%") -> str:
    """The levels as a sentence.

    >>> from instrumentation.settings import Thresholds
    >>> said(Thresholds().error_ratio), said(Thresholds().latency_p95_seconds, "s")
    ('Warning above 1 %, critical above 5 %.', 'Warning above 0.5 s, critical above 1 s.')
    """
    scale = 100 if unit == "%" else 1
    given = [(level, getattr(levels, level)) for level in ("warning", "critical")]
    return f"{', '.join(f'{level} above {value * scale:g} {unit}' for level, value in given)}.".capitalize()


@dataclass(frozen=True, kw_only=True)
class Column:
    """How a table of several queries shows the value of one.

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
        expr: PromQL; Grafana's variables may stand in it.
        legend: How its series are named, such as ``{{job}} p95``.
        instant: True for one value at the end of the time range instead of a line through it.
        min_step: The smallest step of a line, a Prometheus duration; empty for the scrape interval.
        column: How its value is shown, in a table of several queries.
    """

    expr: str
    legend: str = ""
    instant: bool = False
    min_step: str = ""
    column: Column | None = None

    @property
    def reads(self) -> frozenset[Metric]:
        """The catalog rows whose series stand in the expression."""
        words = set(_NAME.findall(self.expr))
        return frozenset(metric for metric in catalog.METRICS if words.intersection(metric.series))


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        title: Unique in its dashboard, since the panel's stable id comes from it.
        description: What the panel shows and how to read it.
        view: How it draws.
        unit: The unit of its values.
        queries: What it shows.
        coloring: Colours by value; drawn as lines on graphs.
        stacked: True where the sum of the series has a meaning.
        colors: Series name to colour, where a colour means something.
        columns: A table's columns from left to right: label, or ``Value``, to heading.
        leads_to: A table's label to the uid of the dashboard that its values lead to.
        since: Grafana's relative time where the panel shows another span than the dashboard, such as ``now/d``.
        empty: Shown where there is no value.
    """

    title: str
    description: str
    view: View
    unit: Unit
    queries: tuple[Query, ...]
    coloring: Coloring = Coloring()
    stacked: bool = False
    colors: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    leads_to: Mapping[str, str] = field(default_factory=dict)
    since: str | None = None
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
        per_line: How many panels stand side by side at most.
        height: Of each panel, in Grafana's units of about 36 pixels.
    """

    title: str
    panels: tuple[Panel, ...]
    per_line: int = 3
    height: int = 8


@dataclass(frozen=True, kw_only=True)
class Page:
    """One dashboard.

    Attributes:
        slug: Names the file and, after ``sidelight-``, the uid.
        title: For people.
        description: For whom it is and what it answers.
        since: Start of the time range on opening, such as ``now-1h``.
        variables: Names of the variables beyond the data source.
        rows: Its rows, from the settings.
    """

    slug: str
    title: str
    description: str
    since: str
    variables: tuple[str, ...]
    rows: Callable[[Settings], tuple[Row, ...]]

    @property
    def uid(self) -> str:
        """Stable, so that links to the dashboard stay good."""
        return f"sidelight-{self.slug}"
