"""The Fleet dashboard: all services at a glance, each linked to its Operations dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.recording.services import recorded
from dashboards import expressions as promql
from dashboards import links
from dashboards.expressions import legend, total
from dashboards.model import Coloring, Column, Page, Panel, Query, Row, Unit, graph, said, stat, table, traffic_light
from instrumentation import catalog

if TYPE_CHECKING:
    from instrumentation.settings import Settings

_NO_REQUESTS = "no requests"
_TROUBLE = 'kind!="event"'  # without completed deployments
_BUDGET = Coloring(base="red", above={0: "yellow", 0.25: "green"})
_LISTED = 10
_SHOWN = f"by service. The {_LISTED} worst in the time range shown."
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
    description="For teams with many services: which of them need attention.",
    since="now-3h",
    variables=("job",),
    rows=_rows,
)


def _known(settings: Settings) -> str:
    """Instances of each service."""
    return promql.number(promql.recorded(catalog.TARGET_INFO.name), *promql.service(settings))


def _all(settings: Settings) -> tuple[Panel, ...]:
    of, thresholds = recorded(settings), settings.thresholds
    firing = promql.number(promql.firing(_TROUBLE))
    return (
        stat(
            title="Services",
            description="Services with at least one instance in Prometheus.",
            unit=Unit.COUNT,
            queries=(Query(expr=promql.number(_known(settings))),),
            empty="no services",
        ),
        stat(
            title="Alerts firing",
            description=(
                "Firing alerts of the selected jobs, without completed deployments. 0 means that the rules were evaluated and"
                " none fires."
            ),
            unit=Unit.COUNT,
            queries=(Query(expr=promql.or_zero(firing, promql.number(promql.recorded(of.request_rate)))),),
            coloring=_FIRING,
            empty="no rules are evaluated",
        ),
        stat(
            title="Worst error ratio",
            description=f"Share of failed requests in the service with the largest share. {said(thresholds.error_ratio)}",
            unit=Unit.RATIO,
            queries=(Query(expr=promql.largest(promql.recorded(of.error_ratio))),),
            coloring=traffic_light(thresholds.error_ratio),
            empty=_NO_REQUESTS,
        ),
        stat(
            title="Slowest p95",
            description=(f"p95 latency of the slowest service. {said(thresholds.latency_p95_seconds, 's')}"),
            unit=Unit.SECONDS,
            queries=(Query(expr=promql.largest(promql.recorded(of.p95))),),
            coloring=traffic_light(thresholds.latency_p95_seconds),
            empty=_NO_REQUESTS,
        ),
        stat(
            title="Least budget left",
            description=f"Objective with the least error budget left in its {settings.slo.period} period. Below 0 % it is exhausted.",
            unit=Unit.RATIO,
            queries=(Query(expr=f"min({promql.recorded(of.budget_left)})"),),
            coloring=_BUDGET,
            empty=_NO_REQUESTS,
        ),
    )


def _each(settings: Settings) -> Panel:
    of, thresholds, by = recorded(settings), settings.thresholds, promql.service(settings)
    firing = promql.or_zero(promql.number(promql.firing(_TROUBLE), *by), total(promql.recorded(of.request_rate), *by))
    headings = {label: "Service" if label == "job" else label.replace("_", " ").capitalize() for label in by}
    # Each query is aggregated, so that no series has a name: Grafana does not merge rows with different names.
    return table(
        title="Services at a glance",
        description="One row per service, those with alerts first. The name links to the service's Operations dashboard.",
        unit=Unit.COUNT,
        queries=(
            Query(expr=firing, instant=True, column=Column(heading="Alerts", coloring=_FIRING)),
            Query(expr=_known(settings), instant=True, column=Column(heading="Instances")),
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
        columns=headings,
        links_of={"job": links.of_service(settings, links.of_row(headings))},
    )


def _over_time(settings: Settings) -> tuple[Panel, ...]:
    of, thresholds, by = recorded(settings), settings.thresholds, promql.service(settings)
    leads = {"job": links.of_service(settings, links.of_series)}
    return (
        graph(
            title="Request rate",
            description=f"Requests per second, by service. The {_LISTED} highest in the time range shown.",
            unit=Unit.REQUESTS_PER_SECOND,
            queries=(Query(expr=promql.highest(_LISTED, promql.recorded(of.request_rate), *by), legend=legend(*by)),),
            links_of=leads,
            empty=_NO_REQUESTS,
        ),
        graph(
            title="Error ratio",
            description=f"Share of failed requests, {_SHOWN} {said(thresholds.error_ratio)}",
            unit=Unit.RATIO,
            queries=(Query(expr=promql.highest(_LISTED, promql.recorded(of.error_ratio), *by), legend=legend(*by)),),
            coloring=traffic_light(thresholds.error_ratio),
            links_of=leads,
            empty=_NO_REQUESTS,
        ),
        graph(
            title="Latency p95",
            description=f"p95 latency, {_SHOWN} {said(thresholds.latency_p95_seconds, 's')}",
            unit=Unit.SECONDS,
            queries=(Query(expr=promql.highest(_LISTED, promql.recorded(of.p95), *by), legend=legend(*by)),),
            coloring=traffic_light(thresholds.latency_p95_seconds),
            links_of=leads,
            empty=_NO_REQUESTS,
        ),
        graph(
            title="Error budget left",
            description=(
                f"Error budget left in the {settings.slo.period} period by objective, {_SHOWN} Below 0 % it is exhausted."
            ),
            unit=Unit.RATIO,
            queries=(
                Query(expr=promql.lowest(_LISTED, promql.recorded(of.budget_left), *by), legend=legend(*by, "slo")),
            ),
            coloring=_BUDGET,
            links_of=leads,
            empty=_NO_REQUESTS,
        ),
    )
