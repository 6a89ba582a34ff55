"""The catalog: every metric, one frozen row each. Recorders, rules, panels and reference pages read this table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


_COMBINED: MappingProxyType[str, Callable[..., float]] = MappingProxyType({"sum": sum, "max": max, "min": min})


class Kind(StrEnum):
    """The type of a metric, named as in Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Unit(StrEnum):
    """The unit of a metric's value; the enum values are human-readable."""

    SECONDS = "seconds"
    BYTES = "bytes"
    USD = "US dollars"
    CORES = "CPU cores"
    RATIO = "ratio"
    COUNT = "count"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric.

    Attributes:
        name: The name in Prometheus; for a histogram, without ``_bucket``, ``_sum`` and ``_count``.
        kind: The Prometheus type.
        unit: The unit of the value.
        help: One sentence, shown as ``# HELP``.
        labels: Label names, in the order in which values are given.
        buckets: Upper bucket edges of a histogram; empty if they come from the settings.
        folded: Labels whose value is replaced once the series limit is reached, so that memory stays bounded.
        combine: How the values of several workers become one: ``sum``, ``max`` or ``min``.
        outlives_worker: Whether the value of a gauge still counts when its worker has ended, such as the time of a success.
    """

    name: str
    kind: Kind
    unit: Unit
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    folded: tuple[str, ...] = ()
    combine: str = "sum"
    outlives_worker: bool = False

    def extended(self, *labels: str) -> Metric:
        """The same metric with additional labels; the same object for the same labels.

        >>> HTTP_SERVER_ACTIVE_REQUESTS.extended("tenant").labels
        ('http_request_method', 'tenant')
        """
        return _extended(self, labels) if labels else self

    @property
    def merge(self) -> Callable[..., float]:
        """The function for ``combine``."""
        return _COMBINED[self.combine]

    @property
    def series(self) -> dict[str, tuple[str, ...]]:
        """Series name to label names, as on the metrics page.

        >>> Metric(name="a_seconds", kind=Kind.HISTOGRAM, unit=Unit.SECONDS, help="A.", labels=("job",)).series
        {'a_seconds_bucket': ('job', 'le'), 'a_seconds_sum': ('job',), 'a_seconds_count': ('job',)}
        """
        if self.kind is not Kind.HISTOGRAM:
            return {self.name: self.labels}
        return {
            f"{self.name}_bucket": (*self.labels, "le"),
            f"{self.name}_sum": self.labels,
            f"{self.name}_count": self.labels,
        }


@cache
def _extended(metric: Metric, labels: tuple[str, ...]) -> Metric:
    folded = (*metric.folded, *labels) if metric.folded else ()
    return replace(metric, labels=(*metric.labels, *labels), folded=folded)


_HTTP_SERVER = ("http_request_method", "http_route", "http_response_status_code", "error_type")
# The edges recommended by OpenTelemetry's semantic conventions for http.server.request.duration and
# http.client.request.duration.
HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
# The conventions recommend no edges for sizes. Powers of 4 from 64 B to 64 MiB separate a packet, a page of JSON and an
# upload. 0 is a separate edge, because most requests have no body and a median of 32 bytes would be wrong.
BODY_BYTES = (0.0, *(64.0 * 4**power for power in range(11)))
# How an execution of a workflow, or a run of a job, ends.
OUTCOMES = ("success", "failure", "cancelled")
# Streams and websockets stay open for a fraction of a second to a day.
_CONNECTION_SECONDS = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)

# OpenTelemetry semantic conventions, HTTP metrics: names, labels and units.
HTTP_SERVER_REQUEST_DURATION = Metric(
    name="http_server_request_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit=Unit.SECONDS,
    help="Time from the first byte of a request to the last byte of its response. For a stream, to its first byte.",
    labels=_HTTP_SERVER,
    folded=("http_route",),
)
HTTP_SERVER_ACTIVE_REQUESTS = Metric(
    name="http_server_active_requests",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Requests in progress.",
    labels=("http_request_method",),
)
HTTP_SERVER_ACTIVE_REQUESTS_BY_ROUTE = Metric(
    name="http_server_active_requests_by_route",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Requests in progress by the route that their path matches, if http.active_requests_by_route is true.",
    labels=("http_route",),
    folded=("http_route",),
)
HTTP_SERVER_ACTIVE_STREAMS = Metric(
    name="http_server_active_streams",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Open streamed responses, such as server-sent events. They are active requests as well.",
    labels=("http_route",),
    folded=("http_route",),
)
HTTP_SERVER_STREAM_DURATION = Metric(
    name="http_server_stream_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit=Unit.SECONDS,
    help="Time from the start of a streamed response to its end.",
    labels=("http_route",),
    buckets=_CONNECTION_SECONDS,
    folded=("http_route",),
)
HTTP_SERVER_REQUEST_BODY_SIZE = Metric(
    name="http_server_request_body_size_bytes",
    kind=Kind.HISTOGRAM,
    unit=Unit.BYTES,
    help="Bytes of request bodies that were actually received.",
    labels=_HTTP_SERVER,
    buckets=BODY_BYTES,
    folded=("http_route",),
)
HTTP_SERVER_RESPONSE_BODY_SIZE = Metric(
    name="http_server_response_body_size_bytes",
    kind=Kind.HISTOGRAM,
    unit=Unit.BYTES,
    help="Bytes of response bodies that were actually sent.",
    labels=_HTTP_SERVER,
    buckets=BODY_BYTES,
    folded=("http_route",),
)
WEBSOCKET_SERVER_ACTIVE_CONNECTIONS = Metric(
    name="websocket_server_active_connections",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Open websocket connections.",
    labels=("http_route",),
    folded=("http_route",),
)
WEBSOCKET_SERVER_CONNECTION_DURATION = Metric(
    name="websocket_server_connection_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit=Unit.SECONDS,
    help="Time from accepting a websocket connection to its end.",
    labels=("http_route",),
    buckets=_CONNECTION_SECONDS,
    folded=("http_route",),
)
HTTP_CLIENT_REQUEST_DURATION = Metric(
    name="http_client_request_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit=Unit.SECONDS,
    help="Time from the start of a call to another service until its response headers arrive. Each attempt counts.",
    labels=("server_address", "http_request_method", "http_response_status_code", "error_type"),
    buckets=(*HTTP_SECONDS, 30.0, 60.0),  # language models take longer than 10 s
    folded=("server_address",),
)
# OpenTelemetry semantic conventions, database metrics: names, labels, units and, for operations, bucket edges.
_POOL = ("db_client_connection_pool_name",)
DB_CLIENT_OPERATION_DURATION = Metric(
    name="db_client_operation_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit=Unit.SECONDS,
    help="Duration of queries and other operations of database clients, by summary of the statement.",
    labels=("db_system_name", "db_namespace", "db_query_summary", "error_type"),
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0),
    folded=("db_query_summary",),
)
DB_CLIENT_SLOW_QUERIES = Metric(
    name="db_client_slow_queries_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Queries that took at least databases.slow_query_seconds, by summary of the statement.",
    labels=("db_system_name", "db_namespace", "db_query_summary"),
    folded=("db_query_summary",),
)
DB_CLIENT_QUERIES_PER_REQUEST = Metric(
    name="db_client_queries_per_request",
    kind=Kind.HISTOGRAM,
    unit=Unit.COUNT,
    help="Queries that a request ran. Requests without queries are not counted.",
    labels=("http_route",),
    buckets=(1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0),
    folded=("http_route",),
)
DB_CLIENT_REPEATED_QUERIES = Metric(
    name="db_client_repeated_queries_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Queries beyond databases.repeated_queries with the same statement in one request, which are N+1 queries.",
    labels=("http_route",),
    folded=("http_route",),
)
DB_CLIENT_CONNECTION_COUNT = Metric(
    name="db_client_connection_count",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Open connections of a connection pool by state: idle or used.",
    labels=(*_POOL, "db_client_connection_state"),
)
DB_CLIENT_CONNECTION_MAX = Metric(
    name="db_client_connection_max",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Maximum number of open connections of a connection pool.",
    labels=_POOL,
)
DB_CLIENT_CONNECTION_PENDING_REQUESTS = Metric(
    name="db_client_connection_pending_requests",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Callers that wait for a connection of a connection pool.",
    labels=_POOL,
)
DB_CLIENT_CONNECTION_TIMEOUTS = Metric(
    name="db_client_connection_timeouts_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Callers that got no connection of a connection pool in time.",
    labels=_POOL,
)
DATABASE_MIGRATIONS_PENDING = Metric(
    name="database_migrations_pending",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Migrations of the code that a database does not have yet, when it was checked last.",
    labels=("db_namespace",),
    combine="max",
)
CACHE_REQUESTS = Metric(
    name="cache_requests_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Look-ups in a cache by outcome: hit or miss.",
    labels=("cache", "outcome"),
)
CACHE_ENTRIES = Metric(
    name="cache_entries",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Entries in a cache. Each worker has its own, unless the cache is a server.",
    labels=("cache",),
)
CACHE_EVICTIONS = Metric(
    name="cache_evictions_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Entries that a cache dropped because it was full.",
    labels=("cache",),
)
CACHE_READ_FAILURES = Metric(
    name="cache_read_failures_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Failed reads of the statistics of a cache server: an error or a timeout.",
    labels=("cache",),
)
ACTIVE_USER_REGISTER = Metric(
    name="active_user_register",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Largest rank of a HyperLogLog register. The number of users is estimated from the maxima of all registers.",
    labels=("register",),
    combine="max",
)
WORKFLOWS_CREATED = Metric(
    name="workflows_created_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Workflows created.",
    labels=("workflow",),
    folded=("workflow",),
)
WORKFLOW_EXECUTIONS = Metric(
    name="workflow_executions_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Completed workflow executions by outcome: success, failure or cancelled.",
    labels=("workflow", "outcome"),
    folded=("workflow",),
)
WORKFLOW_DURATION = Metric(
    name="workflow_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit=Unit.SECONDS,
    help="Duration of workflow executions.",
    labels=("workflow", "outcome"),
    folded=("workflow",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0),
)
WORKFLOW_WAIT = Metric(
    name="workflow_wait_seconds",
    kind=Kind.HISTOGRAM,
    unit=Unit.SECONDS,
    help="Time from the creation of a workflow, or from when it was to start, until its execution started.",
    labels=("workflow",),
    folded=("workflow",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0),
)
WORKFLOW_COST = Metric(
    name="workflow_cost_usd_total",
    kind=Kind.COUNTER,
    unit=Unit.USD,
    help="Cost of workflow executions.",
    labels=("workflow",),
    folded=("workflow",),
)
QUEUE_DEPTH = Metric(
    name="queue_depth",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Items waiting in a queue.",
    labels=("queue",),
)
QUEUE_OLDEST_AGE = Metric(
    name="queue_oldest_age_seconds",
    kind=Kind.GAUGE,
    unit=Unit.SECONDS,
    help="Age of the oldest item in a queue.",
    labels=("queue",),
)
QUEUE_READ_FAILURES = Metric(
    name="queue_read_failures_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Failed reads of a queue: an error, a timeout or an invalid number.",
    labels=("queue",),
)
# The standard process metrics of every Prometheus client library; prometheus_client records these on Linux.
PROCESS_CPU = Metric(
    name="process_cpu_seconds_total",
    kind=Kind.COUNTER,
    unit=Unit.SECONDS,
    help="User and system CPU time spent.",
)
PROCESS_RESIDENT_MEMORY = Metric(
    name="process_resident_memory_bytes",
    kind=Kind.GAUGE,
    unit=Unit.BYTES,
    help="Resident memory.",
)
PROCESS_VIRTUAL_MEMORY = Metric(
    name="process_virtual_memory_bytes",
    kind=Kind.GAUGE,
    unit=Unit.BYTES,
    help="Virtual memory.",
)
PROCESS_START_TIME = Metric(
    name="process_start_time_seconds",
    kind=Kind.GAUGE,
    unit=Unit.SECONDS,
    help="Start time of the process, in seconds since 1970.",
)
PROCESS_OPEN_FDS = Metric(
    name="process_open_fds",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Open file descriptors.",
)
PROCESS_MAX_FDS = Metric(
    name="process_max_fds",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Limit on open file descriptors.",
)
CPU_AVAILABLE = Metric(
    name="cpu_available_cores",
    kind=Kind.GAUGE,
    unit=Unit.CORES,
    help="CPU cores that the service may use: its CPU affinity, or the container's limit if that is smaller.",
)
CONTAINER_CPU_USAGE = Metric(
    name="container_cpu_usage_seconds_total",
    kind=Kind.COUNTER,
    unit=Unit.SECONDS,
    help="CPU time used by the container, from its cgroup.",
)
CONTAINER_CPU_LIMIT = Metric(
    name="container_cpu_limit_cores",
    kind=Kind.GAUGE,
    unit=Unit.CORES,
    help="CPU limit of the container, from its cgroup.",
)
CONTAINER_CPU_THROTTLED = Metric(
    name="container_cpu_throttled_seconds_total",
    kind=Kind.COUNTER,
    unit=Unit.SECONDS,
    help="Time during which the container was throttled by its CPU limit.",
)
CONTAINER_MEMORY_WORKING_SET = Metric(
    name="container_memory_working_set_bytes",
    kind=Kind.GAUGE,
    unit=Unit.BYTES,
    help="Memory of the container that the kernel cannot reclaim at once.",
)
CONTAINER_MEMORY_LIMIT = Metric(
    name="container_memory_limit_bytes",
    kind=Kind.GAUGE,
    unit=Unit.BYTES,
    help="Memory limit of the container.",
)
DISK_USED = Metric(
    name="disk_used_bytes",
    kind=Kind.GAUGE,
    unit=Unit.BYTES,
    help="Bytes used on the file system of a path.",
    labels=("path",),
)
DISK_SIZE = Metric(
    name="disk_size_bytes",
    kind=Kind.GAUGE,
    unit=Unit.BYTES,
    help="Size of the file system of a path as seen by the service: used and free bytes, without those reserved for root.",
    labels=("path",),
)
DISK_READ_FAILURES = Metric(
    name="disk_read_failures_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Failed reads of the file system of a path: an error or a timeout.",
    labels=("path",),
)
EVENT_LOOP_LAG = Metric(
    name="python_event_loop_lag_seconds",
    kind=Kind.HISTOGRAM,
    unit=Unit.SECONDS,
    help="Event loop lag: delay before a due callback runs.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
GC_PAUSE = Metric(
    name="python_gc_pause_seconds",
    kind=Kind.HISTOGRAM,
    unit=Unit.SECONDS,
    help="Pause of the process for a garbage collection, by generation.",
    labels=("generation",),
    buckets=(0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
TARGET_INFO = Metric(
    name="target_info",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Always 1. The labels hold the service, version and environment of this instance, and its other attributes.",
    labels=("service_name", "service_version", "deployment_environment_name"),
    combine="max",
)
LOG_EVENTS = Metric(
    name="log_events_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Log records written, by level.",
    labels=("level",),
)
LOG_LINES_LOST = Metric(
    name="log_lines_lost_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Log lines lost because their reader was too slow or gone, or because the disk was full.",
)
APP_ERRORS = Metric(
    name="app_errors_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Responses made from an AppError, by code.",
    labels=("code",),
    folded=("code",),
)
RETRIES = Metric(
    name="retries_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Retries after a transient failure.",
    labels=("callable",),
    folded=("callable",),
)
HEALTH_CHECK_UP = Metric(
    name="health_check_up",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="1 if a readiness check passes, 0 if it fails in any worker.",
    labels=("check",),
    combine="min",
)
SIGNAL_READ_FAILURES = Metric(
    name="signal_read_failures_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Failed reads of a gauge that is read at each scrape: an error, a timeout or an invalid number.",
    labels=("signal",),
)
AUDIT_EVENTS = Metric(
    name="audit_events_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Entries written to the audit trail.",
    labels=("event",),
    folded=("event",),
)
AUDIT_FAILURES = Metric(
    name="audit_failures_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Audit entries that were lost or may not be on disk, by reason: disk_full, locked, unwritable, no_path; or changed, if "
    "somebody else has shortened, emptied or deleted the trail.",
    labels=("reason",),
)
AUDIT_ENTRIES = Metric(
    name="audit_entries",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Number of the last entry in the audit trail. If it decreases, the trail was truncated.",
)
SIDELIGHT_SERIES = Metric(
    name="sidelight_series",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Series in the worker with the most series. Each worker may have metrics.series_limit.",
)
SIDELIGHT_SERIES_LIMIT = Metric(
    name="sidelight_series_limit",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="The setting metrics.series_limit.",
)
SIDELIGHT_SERIES_FOLDED = Metric(
    name="sidelight_series_folded_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="New series that were folded into an overflow series because the series limit was reached.",
)
SIDELIGHT_SCRAPE = Metric(
    name="sidelight_scrape_seconds",
    kind=Kind.HISTOGRAM,
    unit=Unit.SECONDS,
    help="Time to build the metrics page, including compression.",
    buckets=(0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),  # Prometheus' default scrape timeout is 10 s
)
SIDELIGHT_WORKERS = Metric(
    name="sidelight_workers",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="Live worker processes of this instance.",
)
SIDELIGHT_STORE_DEGRADED = Metric(
    name="sidelight_store_degraded",
    kind=Kind.GAUGE,
    unit=Unit.COUNT,
    help="1 if the workers of this instance cannot count together, so that only the requests of one worker are shown.",
)
SIDELIGHT_SPANS = Metric(
    name="sidelight_spans_total",
    kind=Kind.COUNTER,
    unit=Unit.COUNT,
    help="Sampled spans by outcome: exported, failed (the collector did not accept them) or dropped (the queue was full).",
    labels=("outcome",),
)
SIDELIGHT_STORE_BYTES = Metric(
    name="sidelight_store_bytes",
    kind=Kind.GAUGE,
    unit=Unit.BYTES,
    help="Size of the store in memory, or of the files of all workers.",
)

METRICS: tuple[Metric, ...] = tuple(row for row in tuple(globals().values()) if isinstance(row, Metric))
"""Every row, in the order of this file."""

BY_NAME = MappingProxyType({metric.name: metric for metric in METRICS})
"""Metric name to row."""
