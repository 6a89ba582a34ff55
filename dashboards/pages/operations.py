"""The Operations dashboard: which services are healthy and which are not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from alerts.conditions.connection_pool import NAME as CONNECTION_POOL_NEAR_LIMIT
from alerts.conditions.cpu import NAME as CPU_SATURATED
from alerts.conditions.dependency import NAME as DEPENDENCY_FAILING
from alerts.conditions.disk import NAME as DISK_FILLING_UP
from alerts.conditions.error_budget import BURNS
from alerts.conditions.error_budget import NAME as ERROR_BUDGET_BURN
from alerts.conditions.error_rate import NAME as HIGH_ERROR_RATE
from alerts.conditions.latency import NAME as HIGH_LATENCY
from alerts.conditions.memory import NAME as MEMORY_NEAR_LIMIT
from alerts.conditions.queue_backlog import NAME as QUEUE_BACKLOG
from alerts.conditions.repeated_queries import NAME as REPEATED_QUERIES_GROWING
from alerts.conditions.service_down import NAME as SERVICE_DOWN
from alerts.errors import CALLED
from alerts.recording.override_thresholds import override_threshold_rules
from alerts.recording.services import recorded as names
from alerts.recording.users import active_users
from dashboards import expressions as promql
from dashboards import links
from dashboards.expressions import RANGE, RATE, legend, rate, select, total
from dashboards.model import (
    Coloring,
    Page,
    Panel,
    Query,
    Row,
    Unit,
    View,
    graph,
    heatmap,
    said,
    stat,
    table,
    traffic_light,
)
from dashboards.pages.caches import cache_panels
from dashboards.pages.databases import database_panels, pool_graph
from dashboards.pages.signals import signal_rows
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.catalog import Metric
    from instrumentation.settings import Levels, Settings

_P95 = 0.95
_QUANTILES = (0.5, _P95, 0.99)
_LISTED = 10
_CLASS_COLORS = {"1xx": "purple", "2xx": "green", "3xx": "blue", "4xx": "yellow", "5xx": "red"}
_NO_REQUESTS = "no requests"
_UNLIMITED = "no container limit"
_NO_OVERRIDE = "no override"
_TROUBLE = 'kind!="event"'  # without completed deployments


def _rows(settings: Settings) -> tuple[Row, ...]:
    rows = (
        Row(title="Is it broken?", panels=_now(settings), per_line=6, height=4),
        Row(title="Which alerts, since when, and which requests", panels=_trouble(settings), per_line=2, height=7),
        Row(title="Since when, and what changed", panels=_course(settings), per_line=4, height=8),
        *(_by_label(settings, name) for name, label in settings.http.labels.items() if label.dashboard),
        *signal_rows(settings, "operations"),
        *_override_thresholds(settings),
        *_details(settings),
    )
    return tuple(replace(row, panels=tuple(_linked(settings, panel) for panel in row.panels)) for row in rows)


def _linked(settings: Settings, panel: Panel) -> Panel:
    """A panel with links to the runbook of its alert, and from each service's line to its logs and traces."""
    alert = next((alert for title, alert in _RUNBOOKS.items() if panel.title.startswith(title)), None)
    header = links.runbook(settings, alert) if alert else ()
    is_by_job = panel.view is View.TIME_SERIES and all("{{job}}" in query.legend for query in panel.queries)
    failed = alert == HIGH_ERROR_RATE
    lines = {"job": links.elsewhere(settings, links.of_series, failed=failed)} if is_by_job else panel.links_of
    return replace(panel, links=header, links_of=lines)


_RUNBOOKS: Mapping[str, str] = {
    "Error ratio": HIGH_ERROR_RATE,
    "Most failing routes": HIGH_ERROR_RATE,
    "Latency": HIGH_LATENCY,
    "Slowest routes": HIGH_LATENCY,
    "Instances down": SERVICE_DOWN,
    "Error budget": ERROR_BUDGET_BURN,
    "Queue depth": QUEUE_BACKLOG,
    "Oldest item in queue": QUEUE_BACKLOG,
    "CPU usage": CPU_SATURATED,
    "Memory usage": MEMORY_NEAR_LIMIT,
    "Disk usage": DISK_FILLING_UP,
    "Connection pool usage": CONNECTION_POOL_NEAR_LIMIT,
    "Repeated queries": REPEATED_QUERIES_GROWING,
    "Dependency error ratio": DEPENDENCY_FAILING,
}
"""The alert that the panels with such titles are about."""


def _details(settings: Settings) -> tuple[Row, ...]:
    """Rows that stay closed until someone asks, so that a service without queues has no empty panels of queues."""
    rows = {
        "Error budget": _error_budget(settings),
        "Routes": _routes(settings),
        "Responses and connections": _responses(settings),
        "Users": _users(settings),
        "Websockets and streams": _streams(settings),
        "Dependencies": _dependencies(settings),
        "Databases": database_panels(settings),
        "Caches": cache_panels(settings),
        "Queues": _queues(settings),
        "CPU, memory and disk of each instance": _resources(settings),
        "Container limits": _limits(settings),
        "Health": _health(settings),
        "Audit trail": _audit(settings),
        "Logs and traces": _logs_and_traces(),
        "Sidelight itself": _itself(),
    }
    return tuple(Row(title=title, panels=panels, collapsed=True) for title, panels in rows.items())


PAGE = Page(
    slug="operations",
    title="Operations",
    description=(
        "For people on call. The first screen says whether something is broken, since when, for which routes, what changed and"
        " which alerts fire. The closed rows below it show the details; Grafana runs their queries once they are opened."
    ),
    since="now-1h",
    variables=("job", "instance"),
    rows=_rows,
)


def _now(settings: Settings) -> tuple[Panel, ...]:
    of, by, thresholds = names(settings), promql.service(settings), settings.thresholds
    up = select(promql.UP)
    evaluated = promql.number(promql.recorded(of.request_rate))
    return (
        stat(
            title="Alerts firing now",
            description=(
                "Firing alerts of the selected jobs on any instance, without completed deployments. 0 means that the rules"
                " were evaluated and none fires."
            ),
            unit=Unit.COUNT,
            queries=(Query(expr=promql.or_zero(promql.number(promql.firing(_TROUBLE)), evaluated)),),
            coloring=Coloring(base="green", above={1: "red"}),
            empty="no rules are evaluated",
        ),
        stat(
            title="Error ratio now",
            description=f"Share of failed requests in the selected service with the largest share. {said(thresholds.error_ratio)}",
            unit=Unit.RATIO,
            queries=(Query(expr=promql.largest(_error_ratio(by))),),
            coloring=traffic_light(thresholds.error_ratio),
            empty=_NO_REQUESTS,
        ),
        stat(
            title="Latency p95 now",
            description=(f"p95 latency of the slowest selected service. {said(thresholds.latency_p95_seconds, 's')}"),
            unit=Unit.SECONDS,
            queries=(Query(expr=promql.largest(_latency(_P95, by))),),
            coloring=traffic_light(thresholds.latency_p95_seconds),
            empty=_NO_REQUESTS,
        ),
        stat(
            title="Request rate now",
            description="Requests per second of all selected services.",
            unit=Unit.REQUESTS_PER_SECOND,
            queries=(Query(expr=total(_rate())),),
            empty=_NO_REQUESTS,
        ),
        stat(
            title="Instances down",
            description="Instances that Prometheus cannot scrape.",
            unit=Unit.COUNT,
            queries=(Query(expr=promql.or_zero(promql.number(f"{up} == 0"), promql.number(up))),),
            coloring=Coloring(base="green", above={1: "red"}),
            empty="no instances",
        ),
        stat(
            title="Last deployment",
            description="When the last deployment of a selected service began, if it was within 24 hours.",
            unit=Unit.SINCE,
            queries=(Query(expr=f"1000 * {promql.largest(promql.recorded(of.replaced))}", instant=True),),
            empty="none in 24 h",
        ),
    )


def _trouble(settings: Settings) -> tuple[Panel, ...]:
    by = promql.service(settings)
    alert, failing = (*by, "alertname", "severity"), (*by, "http_route", "error_type")
    alerts, routes = _headings(*by, alertname="Alert"), _headings(*by, http_route="Route", error_type="Error")
    duration = catalog.HTTP_SERVER_REQUEST_DURATION
    failed = promql.failed(promql.count(duration), RANGE, of="increase")
    # Where the SDK says no error_type, the status says how.
    failed = f'label_replace({failed}, "error_type", "$1", "http_response_status_code", "(5..)")'
    return (
        table(
            title="Firing alerts",
            description=(
                "Firing alerts of the selected jobs on any instance, and since when their conditions hold."
                + (" The name leads to the runbook." if settings.alerting.runbook_url else "")
            ),
            unit=Unit.SINCE,
            queries=(Query(expr=promql.firing_since(_TROUBLE, by=alert), instant=True),),
            columns={**alerts, "severity": "Severity", "Value": "Since"},
            colors={settings.alerting.severities.critical: "red", settings.alerting.severities.warning: "yellow"},
            links_of={
                "alertname": links.runbook_of_cell(settings),
                "job": links.of_service(settings, links.of_row(alerts)),
            },
            empty="no alerts firing",
        ),
        table(
            title="Most failing routes",
            description=f"The {_LISTED} routes with the most failed requests in the time range shown, by error type.",
            unit=Unit.COUNT,
            queries=(Query(expr=promql.top(_LISTED, f"{total(failed, *failing)} > 0"), instant=True),),
            columns={**routes, "Value": "Failed"},
            links_of={"job": links.of_service(settings, links.of_row(routes))},
            empty="no request failed",
        ),
    )


def _course(settings: Settings) -> tuple[Panel, ...]:
    by, thresholds = promql.service(settings), settings.thresholds
    version = (*by, "service_version")
    return (
        _error_graph("Error ratio", by, thresholds.error_ratio),
        _latency_graph("Latency", by, thresholds.latency_p95_seconds),
        graph(
            title="Request rate",
            description="Requests per second, by service.",
            unit=Unit.REQUESTS_PER_SECOND,
            queries=(Query(expr=total(_rate(), *by), legend=legend(*by)),),
            empty=_NO_REQUESTS,
        ),
        graph(
            title="Running versions",
            description="Number of instances by version. During a deployment, the new version replaces the old one.",
            unit=Unit.COUNT,
            queries=(Query(expr=promql.number(select(catalog.TARGET_INFO.name), *version), legend=legend(*version)),),
        ),
    )


def _responses(settings: Settings) -> tuple[Panel, ...]:
    by = promql.service(settings)
    duration = catalog.HTTP_SERVER_REQUEST_DURATION
    return (
        graph(
            title="Responses by status class",
            description="Responses per second, by the first digit of the status that was sent.",
            unit=Unit.REQUESTS_PER_SECOND,
            queries=(Query(expr=_status_classes(), legend=legend("status_class")),),
            stacked=True,
            colors=_CLASS_COLORS,
            empty=_NO_REQUESTS,
        ),
        heatmap(
            title="Latency heatmap",
            description="Number of requests by latency. Two bands mean two kinds of requests behind one percentile.",
            unit=Unit.SECONDS,
            queries=(Query(expr=total(promql.increase(promql.bucket(duration), RATE), "le"), legend=legend("le")),),
        ),
        _counted("Errors by code", "AppErrors raised by the service, per second.", by, catalog.APP_ERRORS),
        graph(
            title="Active connections",
            description="Requests in progress at the time of a scrape, by service, over all routes.",
            unit=Unit.COUNT,
            queries=(Query(expr=total(select(catalog.HTTP_SERVER_ACTIVE_REQUESTS.name), *by), legend=legend(*by)),),
        ),
        *(_active_by_route() if settings.http.active_requests_by_route else ()),
        graph(
            title="Request and response sizes",
            description="p95 of body sizes received and sent, for services with http.body_sizes turned on.",
            unit=Unit.BYTES,
            queries=(
                Query(expr=_p95(catalog.HTTP_SERVER_REQUEST_BODY_SIZE, by), legend=f"{legend(*by)} in"),
                Query(expr=_p95(catalog.HTTP_SERVER_RESPONSE_BODY_SIZE, by), legend=f"{legend(*by)} out"),
            ),
            empty="http.body_sizes is off",
        ),
    )


def _users(settings: Settings) -> tuple[Panel, ...]:
    by = promql.service(settings)
    return (
        graph(
            title="Active users",
            description=(
                f"Distinct users of each service within {settings.alerting.window}, over all instances."
                " Estimated to about 3 %."
            ),
            unit=Unit.COUNT,
            queries=(Query(expr=total(promql.recorded(active_users(settings)), *by), legend=legend(*by)),),
            empty="no users are counted",
        ),
    )


def _streams(settings: Settings) -> tuple[Panel, ...]:
    by = promql.service(settings)
    return (
        graph(
            title="Active websockets",
            description="Open websocket connections at the time of a scrape, by service.",
            unit=Unit.COUNT,
            queries=(
                Query(
                    expr=total(select(catalog.WEBSOCKET_SERVER_ACTIVE_CONNECTIONS.name), *by),
                    legend=legend(*by),
                ),
            ),
            empty="no websockets",
        ),
        graph(
            title="Websocket duration p95",
            description="p95 of the duration of closed websocket connections, by service.",
            unit=Unit.SECONDS,
            queries=(Query(expr=_p95(catalog.WEBSOCKET_SERVER_CONNECTION_DURATION, by), legend=legend(*by)),),
            empty="no websockets",
        ),
        graph(
            title="Active streams",
            description="Open streamed responses, such as server-sent events, at the time of a scrape, by service.",
            unit=Unit.COUNT,
            queries=(Query(expr=total(select(catalog.HTTP_SERVER_ACTIVE_STREAMS.name), *by), legend=legend(*by)),),
            empty="no streams",
        ),
        graph(
            title="Stream duration p95",
            description="p95 of the duration of streamed responses that ended, by service.",
            unit=Unit.SECONDS,
            queries=(Query(expr=_p95(catalog.HTTP_SERVER_STREAM_DURATION, by), legend=legend(*by)),),
            empty="no streams",
        ),
    )


def _by_label(settings: Settings, label: str) -> Row:
    """Requests by a label in ``http.labels``."""
    by, duration = (*promql.service(settings), label), catalog.HTTP_SERVER_REQUEST_DURATION
    return Row(
        title=f"Requests by {label}",
        panels=(
            graph(
                title=f"Request rate by {label}",
                description=f"Requests per second, by service and {label}.",
                unit=Unit.REQUESTS_PER_SECOND,
                queries=(Query(expr=total(_rate(), *by), legend=legend(*by)),),
            ),
            graph(
                title=f"Error ratio by {label}",
                description=f"Share of failed requests, by service and {label}.",
                unit=Unit.RATIO,
                queries=(Query(expr=_error_ratio(by), legend=legend(*by)),),
            ),
            graph(
                title=f"Latency p95 by {label}",
                description=f"p95 latency, by service and {label}.",
                unit=Unit.SECONDS,
                queries=(Query(expr=_p95(duration, by), legend=legend(*by)),),
            ),
        ),
        collapsed=True,
    )


def _p95(metric: Metric, by: tuple[str, ...]) -> str:
    return promql.quantile(_P95, rate(promql.bucket(metric)), *by)


def _active_by_route() -> tuple[Panel, ...]:
    return (
        graph(
            title="Active requests by route",
            description="Requests in progress at the time of a scrape, by the route that their path matches.",
            unit=Unit.COUNT,
            queries=(
                Query(
                    expr=total(select(catalog.HTTP_SERVER_ACTIVE_REQUESTS_BY_ROUTE.name), "http_route"),
                    legend=legend("http_route"),
                ),
            ),
        ),
    )


def _override_thresholds(settings: Settings) -> tuple[Row, ...]:
    """One row for all overrides: each measured value beside the thresholds that apply only to the selected services."""
    by = promql.service(settings)
    lines = {name: rules for name, rules in override_threshold_rules(settings).items() if name in _JUDGED}
    panels = []
    for name, rules in lines.items():
        title, draw = _JUDGED[name]
        panel = draw(f"{title} and own thresholds", by, getattr(settings.thresholds, name))
        own = tuple(
            Query(expr=promql.recorded(rule.record), legend=f"{legend(*by)} {rule.record.rpartition(':')[2]}")
            for rule in rules
            if rule.shown
        )
        panels.append(replace(panel, queries=(*panel.queries, *own), coloring=Coloring(), empty=_NO_OVERRIDE))
    return (Row(title="Services with thresholds of their own", panels=tuple(panels), collapsed=True),) if panels else ()


def _error_budget(settings: Settings) -> tuple[Panel, ...]:
    of, period = names(settings), settings.slo.period
    objective = (*promql.service(settings), "slo")
    left, pace = promql.recorded(of.budget_left), promql.recorded(of.budget_burn("1h"))
    paces = sorted({burn.factor(period) for burn in BURNS if burn.severity == "critical"})
    return (
        graph(
            title="Error budget left",
            description=f"Error budget left in the {period} period, by objective. Below 0 % it is exhausted.",
            unit=Unit.RATIO,
            queries=(Query(expr=left, legend=legend(*objective)),),
            coloring=Coloring(base="red", above={0: "yellow", 0.25: "green"}),
            empty=_NO_REQUESTS,
        ),
        graph(
            title="Error budget burn rate",
            description=(
                f"Burn rate over the last hour. At 1, the budget lasts exactly {period}; above {paces[-1]:g} for an hour,"
                " the critical alert fires."
            ),
            unit=Unit.COUNT,
            queries=(Query(expr=pace, legend=legend(*objective)),),
            coloring=Coloring(base="green", above={1: "yellow", paces[-1]: "red"}),
            empty=_NO_REQUESTS,
        ),
        graph(
            title="Error budget time left",
            description=f"Time until the budget is exhausted at the burn rate of the last hour, at most {period}.",
            unit=Unit.SECONDS,
            queries=(
                Query(expr=f"clamp({left}, 0, 1) * {period.seconds} / clamp_min({pace}, 1)", legend=legend(*objective)),
            ),
            empty=_NO_REQUESTS,
        ),
    )


def _routes(settings: Settings) -> tuple[Panel, ...]:
    by, duration = promql.service(settings), catalog.HTTP_SERVER_REQUEST_DURATION
    route, headings = (*by, "http_route"), _headings(*by, http_route="Route")
    slow = promql.increase(promql.bucket(duration), RANGE)
    busiest = promql.busiest(_LISTED, promql.count(duration), *route)
    shown = f"for the {_LISTED} routes with the most requests in the time range shown."

    def each(title: str, description: str, unit: Unit, expr: str, levels: Levels | None = None) -> Panel:
        return graph(
            title=title,
            description=f"{description}, {shown}",
            unit=unit,
            queries=(Query(expr=f"{expr} {busiest}", legend=legend(*route)),),
            coloring=traffic_light(levels) if levels else Coloring(),
            empty=_NO_REQUESTS,
        )

    return (
        table(
            title="Slowest routes",
            description=f"The {_LISTED} routes with the highest p95 latency in the time range shown.",
            unit=Unit.SECONDS,
            queries=(Query(expr=promql.top(_LISTED, promql.quantile(_P95, slow, *route)), instant=True),),
            coloring=traffic_light(settings.thresholds.latency_p95_seconds),
            columns={**headings, "Value": "p95"},
            empty=_NO_REQUESTS,
        ),
        each("Request rate by route", "Requests per second", Unit.REQUESTS_PER_SECOND, total(_rate(), *route)),
        each(
            "Error ratio by route",
            "Share of failed requests",
            Unit.RATIO,
            _error_ratio(route),
            settings.thresholds.error_ratio,
        ),
        each(
            "Latency p95 by route",
            "p95 latency",
            Unit.SECONDS,
            _latency(_P95, route),
            settings.thresholds.latency_p95_seconds,
        ),
    )


def _dependencies(settings: Settings) -> tuple[Panel, ...]:
    by, calls = promql.service(settings), catalog.HTTP_CLIENT_REQUEST_DURATION
    to = (*by, "server_address")
    failed = promql.share(promql.failed(promql.count(calls), RATE, statuses=CALLED), rate(promql.count(calls)), *to)
    return (
        graph(
            title="Dependency call rate",
            description="Calls per second to other services, by called service.",
            unit=Unit.REQUESTS_PER_SECOND,
            queries=(Query(expr=total(rate(promql.count(calls)), *to), legend=legend(*to)),),
        ),
        graph(
            title="Dependency error ratio",
            description="Share of calls that got no response, 4xx or 5xx, by called service.",
            unit=Unit.RATIO,
            queries=(Query(expr=failed, legend=legend(*to)),),
        ),
        graph(
            title="Dependency latency p95",
            description="p95 of the time until response headers arrive, by called service.",
            unit=Unit.SECONDS,
            queries=(Query(expr=promql.quantile(_P95, rate(promql.bucket(calls)), *to), legend=legend(*to)),),
        ),
        _counted("Retries", "Retries after a transient failure, per second.", by, catalog.RETRIES),
    )


def _queues(settings: Settings) -> tuple[Panel, ...]:
    by, thresholds = promql.service(settings), settings.thresholds
    return (
        _queue_graph("Queue depth", by, thresholds.queue_depth),
        _age_graph("Oldest item in queue", by, thresholds.queue_oldest_age_seconds),
        _counted("Queue read failures", "Failed reads of queues per second.", by, catalog.QUEUE_READ_FAILURES),
        *(
            [_counted("Signal read failures", "Failed reads of gauges per second.", by, catalog.SIGNAL_READ_FAILURES)]
            if settings.signals
            else []
        ),
    )


def _counted(title: str, description: str, by: tuple[str, ...], metric: catalog.Metric) -> Panel:
    each = (*by, *metric.labels)
    query = Query(expr=total(rate(metric.name), *each), legend=legend(*each))
    return graph(title=title, description=description, unit=Unit.PER_SECOND, queries=(query,))


def _resources(settings: Settings) -> tuple[Panel, ...]:
    by, thresholds = promql.service(settings), settings.thresholds
    cpu, memory = catalog.PROCESS_CPU, catalog.PROCESS_RESIDENT_MEMORY
    return (
        _by_instance("CPU", "CPU cores in use.", Unit.COUNT, total(rate(cpu.name), "instance")),
        _cpu_graph("CPU usage", by, thresholds.cpu_used_ratio),
        _by_instance("Memory", "Resident memory.", Unit.BYTES, total(select(memory.name), "instance")),
        _by_instance(
            "File descriptor usage",
            "Open file descriptors as a share of their limit.",
            Unit.RATIO,
            promql.of_limit(catalog.PROCESS_OPEN_FDS, catalog.PROCESS_MAX_FDS, "instance"),
        ),
        _disk_graph("Disk usage", by, thresholds.disk_used_ratio),
        _counted("Disk read failures", "Failed reads of disks per second.", by, catalog.DISK_READ_FAILURES),
        _by_instance(
            "Event loop lag p95",
            "p95 of the delay before a due callback runs. Anything that blocks the event loop delays every request.",
            Unit.SECONDS,
            promql.quantile(_P95, rate(promql.bucket(catalog.EVENT_LOOP_LAG)), "instance"),
        ),
        _by_instance(
            "Garbage collection",
            "Share of time that Python spent on garbage collection.",
            Unit.RATIO,
            total(rate(f"{catalog.GC_PAUSE.name}_sum"), "instance"),
        ),
    )


def _limits(settings: Settings) -> tuple[Panel, ...]:
    by, thresholds = promql.service(settings), settings.thresholds
    return (
        _memory_graph("Memory usage", by, thresholds.memory_used_ratio),
        _by_instance(
            "CPU limit",
            "CPU limit of the container in cores. No line means no limit.",
            Unit.COUNT,
            total(select(catalog.CONTAINER_CPU_LIMIT.name), "instance"),
            empty=_UNLIMITED,
        ),
        _by_instance(
            "CPU throttled",
            "Seconds per second during which the container was throttled by its CPU limit.",
            Unit.RATIO,
            total(rate(catalog.CONTAINER_CPU_THROTTLED.name), "instance"),
            empty=_UNLIMITED,
        ),
    )


def _health(settings: Settings) -> tuple[Panel, ...]:
    check = (*promql.service(settings), "check")
    up = select(catalog.HEALTH_CHECK_UP.name)
    return (
        graph(
            title="Health checks",
            description=(
                "Share of instances on which a check passes, by check. An instance that fails a required check gets no"
                " requests."
            ),
            unit=Unit.RATIO,
            queries=(Query(expr=f"{total(up, *check)} / {promql.number(up, *check)}", legend=legend(*check)),),
            coloring=Coloring(base="red", above={1: "green"}),
            empty="no health checks",
        ),
    )


def _audit(settings: Settings) -> tuple[Panel, ...]:
    by = promql.service(settings)
    return (
        _counted("Audit entries", "Audit entries written per second.", by, catalog.AUDIT_EVENTS),
        _counted("Audit failures", "Audit entries lost per second.", by, catalog.AUDIT_FAILURES),
        _by_instance(
            "Audit trail length",
            "Number of the last entry. If it decreases, the trail was truncated.",
            Unit.COUNT,
            promql.largest(select(catalog.AUDIT_ENTRIES.name), "instance"),
            empty="no audit trail",
        ),
    )


def _logs_and_traces() -> tuple[Panel, ...]:
    return (
        graph(
            title="Log records",
            description="Log records written per second by level, including access lines.",
            unit=Unit.COUNT,
            queries=(Query(expr=total(rate(catalog.LOG_EVENTS.name), "level"), legend=legend("level")),),
        ),
        _by_instance(
            "Log lines lost",
            "Log lines per second that could not be written because their reader is slow or gone, or the disk is full.",
            Unit.COUNT,
            total(rate(catalog.LOG_LINES_LOST.name), "instance"),
        ),
        _by_instance(
            "Spans",
            "Sampled spans per second, by outcome. Spans that were not exported are missing from traces.",
            Unit.PER_SECOND,
            total(rate(catalog.SIDELIGHT_SPANS.name), "instance", "outcome"),
            "outcome",
            empty="no traces",
        ),
    )


def _itself() -> tuple[Panel, ...]:
    scrape = promql.quantile(_P95, rate(promql.bucket(catalog.SIDELIGHT_SCRAPE)), "instance")
    return (
        _by_instance(
            "Scrape duration p95",
            "p95 of the time to build the metrics page. Prometheus' default timeout is 10 s.",
            Unit.SECONDS,
            scrape,
        ),
        _by_instance(
            "Workers",
            "Live worker processes.",
            Unit.COUNT,
            total(select(catalog.SIDELIGHT_WORKERS.name), "instance"),
        ),
        _by_instance(
            "Store degraded",
            "1 if the workers of an instance cannot count together, so that only the requests of one worker are shown.",
            Unit.COUNT,
            promql.largest(select(catalog.SIDELIGHT_STORE_DEGRADED.name), "instance"),
        ),
        _by_instance(
            "Store size",
            "Size of the store in memory, or of the files of all workers.",
            Unit.BYTES,
            total(select(catalog.SIDELIGHT_STORE_BYTES.name), "instance"),
        ),
        _by_instance(
            "Series limit usage",
            "Series of the worker with the most series, as a share of metrics.series_limit. At 100 %, new series are folded.",
            Unit.RATIO,
            promql.of_limit(catalog.SIDELIGHT_SERIES, catalog.SIDELIGHT_SERIES_LIMIT, "instance"),
        ),
        _by_instance(
            "Series folded",
            "New series per second that lost a label because the series limit was reached.",
            Unit.COUNT,
            total(rate(catalog.SIDELIGHT_SERIES_FOLDED.name), "instance"),
        ),
    )


def _by_instance(title: str, description: str, unit: Unit, expr: str, *labels: str, empty: str = "no data") -> Panel:
    query = Query(expr=expr, legend=legend("instance", *labels))
    return graph(title=title, description=description, unit=unit, queries=(query,), empty=empty)


def _error_graph(title: str, by: tuple[str, ...], levels: Levels, *matchers: str) -> Panel:
    return graph(
        title=title,
        description=f"Share of failed requests by service: 0 without errors, a gap without requests. {said(levels)}",
        unit=Unit.RATIO,
        queries=(Query(expr=_error_ratio(by, *matchers), legend=legend(*by)),),
        coloring=traffic_light(levels),
    )


def _latency_graph(title: str, by: tuple[str, ...], levels: Levels, *matchers: str) -> Panel:
    return graph(
        title=title,
        description=f"p50, p95 and p99 latency by service. p95: {said(levels, 's')}",
        unit=Unit.SECONDS,
        queries=tuple(
            Query(expr=_latency(ratio, by, *matchers), legend=f"{legend(*by)} p{ratio * 100:g}") for ratio in _QUANTILES
        ),
        coloring=traffic_light(levels),
    )


def _queue_graph(title: str, by: tuple[str, ...], levels: Levels, *matchers: str) -> Panel:
    depth = promql.largest(select(catalog.QUEUE_DEPTH.name, *matchers), *by, "queue")
    description = f"Items waiting, by queue. {said(levels, 'items')}"
    return _judged(title, description, Unit.COUNT, Query(expr=depth, legend=legend(*by, "queue")), levels)


def _age_graph(title: str, by: tuple[str, ...], levels: Levels, *matchers: str) -> Panel:
    age = promql.largest(select(catalog.QUEUE_OLDEST_AGE.name, *matchers), *by, "queue")
    description = f"Age of the oldest waiting item, by queue. {said(levels, 's')}"
    return _judged(title, description, Unit.SECONDS, Query(expr=age, legend=legend(*by, "queue")), levels)


def _cpu_graph(title: str, _by: tuple[str, ...], levels: Levels, *matchers: str) -> Panel:
    container, processes = (
        total(rate(metric.name, *matchers), "instance") for metric in (catalog.CONTAINER_CPU_USAGE, catalog.PROCESS_CPU)
    )
    cores = total(select(catalog.CPU_AVAILABLE.name, *matchers), "instance")
    description = f"CPU usage as a share of the cores that the instance may use. {said(levels)}"
    query = Query(expr=f"({container} or {processes}) / {cores}", legend=legend("instance"))
    return _judged(title, description, Unit.RATIO, query, levels)


def _memory_graph(title: str, _by: tuple[str, ...], levels: Levels, *matchers: str) -> Panel:
    used, limit = catalog.CONTAINER_MEMORY_WORKING_SET, catalog.CONTAINER_MEMORY_LIMIT
    description = f"Memory that the kernel cannot reclaim at once, as a share of the container's limit. {said(levels)}"
    query = Query(expr=promql.of_limit(used, limit, "instance", matchers=matchers), legend=legend("instance"))
    return replace(_judged(title, description, Unit.RATIO, query, levels), empty=_UNLIMITED)


def _disk_graph(title: str, _by: tuple[str, ...], levels: Levels, *matchers: str) -> Panel:
    of_size = promql.of_limit(catalog.DISK_USED, catalog.DISK_SIZE, "instance", "path", matchers=matchers)
    description = f"Used bytes as a share of the file system's size. {said(levels)}"
    return _judged(title, description, Unit.RATIO, Query(expr=of_size, legend=legend("instance", "path")), levels)


def _judged(title: str, description: str, unit: Unit, query: Query, levels: Levels) -> Panel:
    return graph(title=title, description=description, unit=unit, queries=(query,), coloring=traffic_light(levels))


_JUDGED: Mapping[str, tuple[str, Callable[..., Panel]]] = {
    "error_ratio": ("Error ratio", _error_graph),
    "latency_p95_seconds": ("Latency", _latency_graph),
    "queue_depth": ("Queue depth", _queue_graph),
    "queue_oldest_age_seconds": ("Oldest item in queue", _age_graph),
    "cpu_used_ratio": ("CPU usage", _cpu_graph),
    "memory_used_ratio": ("Memory usage", _memory_graph),
    "disk_used_ratio": ("Disk usage", _disk_graph),
    "pool_used_ratio": ("Connection pool usage", pool_graph),
}
"""Thresholds that are drawn as lines on a graph: threshold to the graph's title and the function that makes it."""


def _headings(*labels: str, **others: str) -> dict[str, str]:
    return {**{label: label.replace("_", " ").capitalize() for label in labels}, **others}


def _rate(*matchers: str) -> str:
    return rate(promql.count(catalog.HTTP_SERVER_REQUEST_DURATION), *matchers)


def _error_ratio(by: tuple[str, ...], *matchers: str) -> str:
    failed = promql.failed(promql.count(catalog.HTTP_SERVER_REQUEST_DURATION), RATE, *matchers)
    return promql.share(failed, _rate(*matchers), *by)


def _latency(ratio: float, by: tuple[str, ...], *matchers: str) -> str:
    buckets = promql.bucket(catalog.HTTP_SERVER_REQUEST_DURATION)
    return promql.quantile(ratio, rate(buckets, *matchers), *by)


def _status_classes() -> str:
    # The capture group is numbered, not named, because Grafana would read $class as a variable.
    relabelled = f'label_replace({_rate()}, "status_class", "${{1}}xx", "http_response_status_code", "(.).+")'
    return total(relabelled, "status_class")
