"""The Fleet dashboard: all services at a glance, and from each one click to where its trouble is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.annotations import OPERATIONS_UID
from alerts.recording import recorded
from dashboards import expressions as promql
from dashboards.expressions import legend, select, total
from dashboards.model import Coloring, Column, Page, Panel, Query, Row, Unit, graph, said, stat, table, traffic_light
from instrumentation import catalog

if TYPE_CHECKING:
    from instrumentation.settings import Settings

_NO_REQUESTS = "no requests"
_TROUBLE = 'kind!="event"'  # a completed deployment is news, no trouble
_BUDGET = Coloring(base="red", above={0: "yellow", 0.25: "green"})
_LISTED = 10
_SHOWN = f"by service: the {_LISTED} that were worst in the time range shown."
_FIRING = Coloring(base="green", above={1: "red"})


def _rows(settings: Settings) -> tuple[Row, ...]:
    return (
        Row(title="All services", panels=_all(settings), per_line=5, height=4),
        Row(title="Each service", panels=(_each(settings),), height=12),
        Row(title="Over time", panels=_over_time(settings), per_line=2),
    )


PAGE = Page(
    slug="fleet",
    title="Fleet",
    description="For whoever looks after many services: which of them needs somebody?",
    since="now-3h",
    variables=("job", "instance"),
    rows=_rows,
)


def _all(settings: Settings) -> tuple[Panel, ...]:
    of, thresholds, by = recorded(settings), settings.thresholds, promql.service(settings)
    return (
        stat(
            title="Services",
            description="Services that Prometheus knows an instance of.",
            unit=Unit.COUNT,
            queries=(Query(expr=promql.number(promql.number(select(catalog.TARGET_INFO.name), *by))),),
        ),
        stat(
            title="Alerts firing",
            description="Alerts that fire for the jobs selected; completed deployments do not count.",
            unit=Unit.COUNT,
            queries=(Query(expr=f"{promql.number(promql.firing(_TROUBLE))} or vector(0)"),),
            coloring=_FIRING,
        ),
        stat(
            title="Worst error ratio",
            description=f"Share of failed requests in the worst service. {said(thresholds.error_ratio)}",
            unit=Unit.RATIO,
            queries=(Query(expr=promql.largest(promql.recorded(of.error_ratio))),),
            coloring=traffic_light(thresholds.error_ratio),
            empty=_NO_REQUESTS,
        ),
        stat(
            title="Slowest p95",
            description=(
                f"95 % of requests are faster, in the slowest service. {said(thresholds.latency_p95_seconds, 's')}"
            ),
            unit=Unit.SECONDS,
            queries=(Query(expr=promql.largest(promql.recorded(of.p95))),),
            coloring=traffic_light(thresholds.latency_p95_seconds),
            empty=_NO_REQUESTS,
        ),
        stat(
            title="Least budget left",
            description=f"Of the objective that has least left of its {settings.slo.period}; below 0 % it is overspent.",
            unit=Unit.RATIO,
            queries=(Query(expr=f"min({promql.recorded(of.budget_left)})"),),
            coloring=_BUDGET,
            empty=_NO_REQUESTS,
        ),
    )


def _each(settings: Settings) -> Panel:
    of, thresholds, by = recorded(settings), settings.thresholds, promql.service(settings)
    known = promql.number(select(catalog.TARGET_INFO.name), *by)
    firing = promql.number(promql.firing(_TROUBLE), *by)
    # Each query is aggregated, so that no series has a name: Grafana would not merge lines whose names differ.
    return table(
        title="Services at a glance",
        description="One line for each service, those with alerts first; its name leads to its Operations dashboard.",
        unit=Unit.COUNT,
        queries=(
            Query(expr=f"{firing} or 0 * {known}", instant=True, column=Column(heading="Alerts", coloring=_FIRING)),
            Query(expr=known, instant=True, column=Column(heading="Instances")),
            Query(
                expr=total(promql.recorded(of.request_rate), *by),
                instant=True,
                column=Column(heading="Requests", unit=Unit.REQUESTS_PER_SECOND),
            ),
            Query(
                expr=promql.largest(promql.recorded(of.error_ratio), *by),
                instant=True,
                column=Column(heading="Error ratio", unit=Unit.RATIO, coloring=traffic_light(thresholds.error_ratio)),
            ),
            Query(
                expr=promql.largest(promql.recorded(of.p95), *by),
                instant=True,
                column=Column(
                    heading="Latency p95", unit=Unit.SECONDS, coloring=traffic_light(thresholds.latency_p95_seconds)
                ),
            ),
            Query(
                expr=f"min by ({of.by}) ({promql.recorded(of.budget_left)})",
                instant=True,
                column=Column(heading="Error budget left", unit=Unit.RATIO, coloring=_BUDGET),
            ),
        ),
        columns={label: "Service" if label == "job" else label.replace("_", " ").capitalize() for label in by},
        leads_to={"job": OPERATIONS_UID},
    )


def _over_time(settings: Settings) -> tuple[Panel, ...]:
    of, thresholds, by = recorded(settings), settings.thresholds, promql.service(settings)
    return (
        graph(
            title="Request rate",
            description="Requests per second, by service.",
            unit=Unit.REQUESTS_PER_SECOND,
            queries=(Query(expr=total(promql.recorded(of.request_rate), *by), legend=legend(*by)),),
            stacked=True,
        ),
        graph(
            title="Error ratio",
            description=f"Share of failed requests, {_SHOWN} {said(thresholds.error_ratio)}",
            unit=Unit.RATIO,
            queries=(Query(expr=promql.highest(_LISTED, promql.recorded(of.error_ratio), *by), legend=legend(*by)),),
            coloring=traffic_light(thresholds.error_ratio),
            empty=_NO_REQUESTS,
        ),
        graph(
            title="Latency p95",
            description=f"95 % of requests are faster, {_SHOWN} {said(thresholds.latency_p95_seconds, 's')}",
            unit=Unit.SECONDS,
            queries=(Query(expr=promql.highest(_LISTED, promql.recorded(of.p95), *by), legend=legend(*by)),),
            coloring=traffic_light(thresholds.latency_p95_seconds),
            empty=_NO_REQUESTS,
        ),
        graph(
            title="Error budget left",
            description=f"What is left of what {settings.slo.period} allow, by objective, {_SHOWN} Below 0 % it is overspent.",
            unit=Unit.RATIO,
            queries=(
                Query(expr=promql.lowest(_LISTED, promql.recorded(of.budget_left), *by), legend=legend(*by, "slo")),
            ),
            coloring=_BUDGET,
            empty=_NO_REQUESTS,
        ),
    )
