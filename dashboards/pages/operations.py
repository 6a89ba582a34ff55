"""The Operations dashboard: which services are healthy and which are not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from alerts.conditions.error_budget import BURNS
from alerts.errors import CALLED
from alerts.recording.services import recorded as names
from alerts.recording.users import active_users
from dashboards import expressions as promql
from dashboards.expressions import RANGE, RATE, ROUTE, legend, rate, select, total
from dashboards.model import Coloring, Page, Panel, Query, Row, Unit, graph, heatmap, said, stat, table, traffic_light
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.catalog import Metric
    from instrumentation.settings import Levels, Override, Settings

_P95 = 0.95
_QUANTILES = (0.5, _P95, 0.99)
_LISTED = 10
_CLASS_COLORS = {"1xx": "purple", "2xx": "green", "3xx": "blue", "4xx": "yellow", "5xx": "red"}
_NO_REQUESTS = "no requests"
_UNLIMITED = "no container limit"
_TROUBLE = 'kind!="event"'  # without completed deployments


def _rows(settings: Settings) -> tuple[Row, ...]:
    return (
        Row(title="Now", panels=_now(settings), per_line=5, height=4),
        Row(title="Requests", panels=_requests(settings)),
        *(_by_label(settings, name) for name, label in settings.http.labels.items() if label.dashboard),
        *(_own_thresholds(settings, override) for override in settings.thresholds.overrides),
        Row(title="Error budget", panels=_error_budget(settings)),
        Row(title="Routes", panels=_routes(settings)),
        Row(title="Dependencies and queues", panels=_dependencies(settings)),
        Row(title="Resources of each instance", panels=_resources(settings)),
        Row(title="Alerts and versions", panels=_watchers(settings)),
        Row(title="Health and audit", panels=_health_and_audit(settings)),
        Row(title="Sidelight itself", panels=_itself()),
    )


PAGE = Page(
    slug="operations",
    title="Operations",
    description="For people on call: which services are healthy and which are not.",
    since="now-1h",
    variables=("job", "instance", "route"),
    rows=_rows,
)


def _now(settings: Settings) -> tuple[Panel, ...]:
    by, thresholds = promql.service(settings), settings.thresholds
    return (
        stat(
            title="Request rate now",
            description="Requests per second of all selected services.",
            unit=Unit.REQUESTS_PER_SECOND,
            queries=(Query(expr=total(_rate())),),
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
            title="Instances up now",
            description="Instances that Prometheus can scrape.",
            unit=Unit.COUNT,
            queries=(Query(expr=total(select(promql.UP))),),
            coloring=Coloring(base="red", above={1: "green"}),
        ),
        stat(
            title="Alerts firing now",
            description="Firing alerts of the selected jobs on any instance, without completed deployments.",
            unit=Unit.COUNT,
            queries=(Query(expr=f"{promql.number(promql.firing(_TROUBLE))} or vector(0)"),),
            coloring=Coloring(base="green", above={1: "red"}),
        ),
        stat(
            title="Active users now",
            description=(
                f"Distinct users of each service within {settings.alerting.window}, over all instances."
                " Estimated to about 3 %."
            ),
            unit=Unit.COUNT,
            queries=(Query(expr=total(promql.recorded(active_users(settings)))),),
            empty="no users are counted",
        ),
    )


def _requests(settings: Settings) -> tuple[Panel, ...]:
    by, thresholds = promql.service(settings), settings.thresholds
    duration = catalog.HTTP_SERVER_REQUEST_DURATION
    return (
        graph(
            title="Request rate",
            description="Requests per second, by service.",
            unit=Unit.REQUESTS_PER_SECOND,
            queries=(Query(expr=total(_rate(), *by), legend=legend(*by)),),
        ),
        _error_graph("Error ratio", by, thresholds.error_ratio),
        _latency_graph("Latency", by, thresholds.latency_p95_seconds),
        graph(
            title="Responses by status class",
            description="Responses per second, by the first digit of the status that was sent.",
            unit=Unit.REQUESTS_PER_SECOND,
            queries=(Query(expr=_status_classes(), legend=legend("status_class")),),
            stacked=True,
            colors=_CLASS_COLORS,
        ),
        heatmap(
            title="Latency heatmap",
            description="Number of requests by latency. Two bands mean two kinds of requests behind one percentile.",
            unit=Unit.SECONDS,
            queries=(
                Query(expr=total(promql.increase(promql.bucket(duration), RATE, ROUTE), "le"), legend=legend("le")),
            ),
        ),
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
        graph(
            title="Active connections",
            description="Requests in progress at the time of a scrape, by service, over all routes.",
            unit=Unit.COUNT,
            queries=(Query(expr=total(select(catalog.HTTP_SERVER_ACTIVE_REQUESTS.name), *by), legend=legend(*by)),),
        ),
        *(_active_by_route() if settings.http.active_requests_by_route else ()),
        graph(
            title="Active websockets",
            description="Open websocket connections at the time of a scrape, by service.",
            unit=Unit.COUNT,
            queries=(
                Query(
                    expr=total(select(catalog.WEBSOCKET_SERVER_ACTIVE_CONNECTIONS.name, ROUTE), *by),
                    legend=legend(*by),
                ),
            ),
        ),
        graph(
            title="Websocket duration p95",
            description="p95 of the duration of closed websocket connections, by service.",
            unit=Unit.SECONDS,
            queries=(Query(expr=_p95(catalog.WEBSOCKET_SERVER_CONNECTION_DURATION, by), legend=legend(*by)),),
        ),
        graph(
            title="Active streams",
            description="Open streamed responses, such as server-sent events, at the time of a scrape, by service.",
            unit=Unit.COUNT,
            queries=(
                Query(expr=total(select(catalog.HTTP_SERVER_ACTIVE_STREAMS.name, ROUTE), *by), legend=legend(*by)),
            ),
        ),
        graph(
            title="Stream duration p95",
            description="p95 of the duration of streamed responses that ended, by service.",
            unit=Unit.SECONDS,
            queries=(Query(expr=_p95(catalog.HTTP_SERVER_STREAM_DURATION, by), legend=legend(*by)),),
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
    )


def _p95(metric: Metric, by: tuple[str, ...]) -> str:
    return promql.quantile(_P95, rate(promql.bucket(metric), ROUTE), *by)


def _active_by_route() -> tuple[Panel, ...]:
    return (
        graph(
            title="Active requests by route",
            description="Requests in progress at the time of a scrape, by the route that their path matches.",
            unit=Unit.COUNT,
            queries=(
                Query(
                    expr=total(select(catalog.HTTP_SERVER_ACTIVE_REQUESTS_BY_ROUTE.name, ROUTE), "http_route"),
                    legend=legend("http_route"),
                ),
            ),
        ),
    )


def _own_thresholds(settings: Settings, override: Override) -> Row:
    by, base = promql.service(settings), settings.thresholds
    name = " ".join(f"{label} {value}" for label, value in override.match.items())
    matchers = tuple(promql.equals(label, value) for label, value in override.match.items())
    panels = (
        (title, draw, getattr(base, threshold), getattr(override, threshold))
        for threshold, (title, draw) in _JUDGED.items()
    )
    return Row(
        title=f"Thresholds of {name}",
        panels=tuple(
            draw(f"{title} of {name}", by, _merged(for_all, own), *matchers)
            for title, draw, for_all, own in panels
            if _merged(for_all, own) != for_all
        ),
    )


def _merged(base: Levels, own: Levels) -> Levels:
    return base.model_copy(update=own.model_dump(exclude_none=True))


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
    route = {**_headings(*by), "http_route": "Route"}
    slow = promql.increase(promql.bucket(duration), RANGE, ROUTE)
    failed = promql.failed(promql.count(duration), RANGE, ROUTE, of="increase")
    # Where the SDK says no error_type, the status says how.
    failed = f'label_replace({failed}, "error_type", "$1", "http_response_status_code", "(5..)")'
    slowest = promql.top(_LISTED, promql.quantile(_P95, slow, *by, "http_route"))
    failing = promql.top(_LISTED, f"{total(failed, *by, 'http_route', 'error_type')} > 0")
    return (
        table(
            title="Slowest routes",
            description=f"The {_LISTED} routes with the highest p95 latency in the time range shown.",
            unit=Unit.SECONDS,
            queries=(Query(expr=slowest, instant=True),),
            coloring=traffic_light(settings.thresholds.latency_p95_seconds),
            columns={**route, "Value": "p95"},
            empty=_NO_REQUESTS,
        ),
        table(
            title="Most failing routes",
            description=f"The {_LISTED} routes with the most failed requests in the time range shown, by error type.",
            unit=Unit.COUNT,
            queries=(Query(expr=failing, instant=True),),
            columns={**route, "error_type": "Error", "Value": "Failed"},
            empty="no request failed",
        ),
    )


def _dependencies(settings: Settings) -> tuple[Panel, ...]:
    by, calls = promql.service(settings), catalog.HTTP_CLIENT_REQUEST_DURATION
    to, thresholds = (*by, "server_address"), settings.thresholds
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
        _queue_graph("Queue depth", by, thresholds.queue_depth),
        _age_graph("Oldest item in queue", by, thresholds.queue_oldest_age_seconds),
        _counted("Queue read failures", "Failed reads of queues per second.", by, catalog.QUEUE_READ_FAILURES),
        _counted("Retries", "Retries after a transient failure, per second.", by, catalog.RETRIES),
        _counted("Errors by code", "AppErrors raised by the service, per second.", by, catalog.APP_ERRORS),
    )


def _counted(title: str, description: str, by: tuple[str, ...], metric: catalog.Metric) -> Panel:
    each = (*by, *metric.labels)
    query = Query(expr=total(rate(metric.name), *each), legend=legend(*each))
    return graph(title=title, description=description, unit=Unit.PER_SECOND, queries=(query,))


def _resources(settings: Settings) -> tuple[Panel, ...]:
    by, thresholds = promql.service(settings), settings.thresholds
    cpu, memory = catalog.PROCESS_CPU, catalog.PROCESS_RESIDENT_MEMORY
    throttled = catalog.CONTAINER_CPU_THROTTLED
    return (
        _by_instance("CPU", "CPU cores in use.", Unit.COUNT, total(rate(cpu.name), "instance")),
        _cpu_graph("CPU usage", by, thresholds.cpu_used_ratio),
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
            total(rate(throttled.name), "instance"),
            empty=_UNLIMITED,
        ),
        _by_instance("Memory", "Resident memory.", Unit.BYTES, total(select(memory.name), "instance")),
        _memory_graph("Memory usage", by, thresholds.memory_used_ratio),
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


def _watchers(settings: Settings) -> tuple[Panel, ...]:
    by = promql.service(settings)
    version, alert = (*by, "service_version"), (*by, "alertname", "severity")
    return (
        table(
            title="Firing alerts",
            description="Firing alerts of the selected jobs, on any instance.",
            unit=Unit.COUNT,
            queries=(Query(expr=promql.largest(promql.firing(_TROUBLE), *alert), instant=True),),
            columns={**_headings(*by), "alertname": "Alert", "severity": "Severity"},
            empty="no alerts firing",
        ),
        graph(
            title="Running versions",
            description="Number of instances by version. During a deployment, the new version replaces the old one.",
            unit=Unit.COUNT,
            queries=(Query(expr=promql.number(select(catalog.TARGET_INFO.name), *version), legend=legend(*version)),),
            stacked=True,
        ),
    )


def _health_and_audit(settings: Settings) -> tuple[Panel, ...]:
    by = promql.service(settings)
    check = (*by, "check")
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
        ),
        _counted("Audit entries", "Audit entries written per second.", by, catalog.AUDIT_EVENTS),
        _counted("Audit failures", "Audit entries lost per second.", by, catalog.AUDIT_FAILURES),
        _by_instance(
            "Audit trail length",
            "Number of the last entry. If it decreases, the trail was truncated.",
            Unit.COUNT,
            promql.largest(select(catalog.AUDIT_ENTRIES.name), "instance"),
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
        _by_instance(
            "Spans",
            "Sampled spans per second, by outcome. Spans that were not exported are missing from traces.",
            Unit.PER_SECOND,
            total(rate(catalog.SIDELIGHT_SPANS.name), "instance", "outcome"),
            "outcome",
        ),
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
}
"""Thresholds that are drawn as lines on a graph: threshold to the graph's title and the function that makes it."""


def _headings(*labels: str) -> dict[str, str]:
    return {label: label.capitalize() for label in labels}


def _rate(*matchers: str) -> str:
    return rate(promql.count(catalog.HTTP_SERVER_REQUEST_DURATION), ROUTE, *matchers)


def _error_ratio(by: tuple[str, ...], *matchers: str) -> str:
    failed = promql.failed(promql.count(catalog.HTTP_SERVER_REQUEST_DURATION), RATE, ROUTE, *matchers)
    return promql.share(failed, _rate(*matchers), *by)


def _latency(ratio: float, by: tuple[str, ...], *matchers: str) -> str:
    buckets = promql.bucket(catalog.HTTP_SERVER_REQUEST_DURATION)
    return promql.quantile(ratio, rate(buckets, ROUTE, *matchers), *by)


def _status_classes() -> str:
    # The capture group is numbered, not named, because Grafana would read $class as a variable.
    relabelled = f'label_replace({_rate()}, "status_class", "${{1}}xx", "http_response_status_code", "(.).+")'
    return total(relabelled, "status_class")
