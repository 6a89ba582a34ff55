"""Recording rules of services. Alerts, and panels about many services, read the series recorded here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alerts.errors import errors
from alerts.model import RecordingRule
from alerts.recording.counting import added, once_a_quarter, totals, within
from alerts.thresholds import matchers
from instrumentation import catalog
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from instrumentation.catalog import Metric
    from instrumentation.settings import Settings

SERVICE = (
    "job"  # the level in names of recorded series, whichever labels identify a service, so that queries work everywhere
)
MEMORY = "1d"  # how far back rules look for services and versions that no longer exist

_DURATION = catalog.HTTP_SERVER_REQUEST_DURATION.name
_INFO = catalog.TARGET_INFO.name
_COST = catalog.WORKFLOW_COST.name


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The names of the recorded series.

    Attributes:
        level: The first part of the name of every series.
        by: The labels of a service, as written in ``by (...)`` and ``on (...)``.
        window: The range of every rate, such as ``5m``.
        workflow_window: The range of rates of workflows, such as ``1h``.
        workflow_recent: The more recent half of that range.
    """

    level: str
    by: str
    window: Duration
    workflow_window: Duration
    workflow_recent: Duration

    def by_with(self, label: str) -> str:
        """The labels as written in ``by (...)``, and one more."""
        return f"{self.by}, {label}"

    @property
    def request_totals(self) -> str:
        """Requests of each instance since it started; 0, not absent, before the first request."""
        return f"{self.level}_instance:http_server_requests:sum"

    @property
    def error_totals(self) -> str:
        """Requests with an error of each instance since it started; 0, not absent, before the first error."""
        return f"{self.level}_instance:http_server_request_errors:sum"

    @property
    def bucket_totals(self) -> str:
        """Requests of each instance since it started, at or below each bucket edge."""
        return f"{self.level}_instance_le:{_DURATION}_bucket:sum"

    @property
    def new_requests(self) -> str:
        """Requests since the previous evaluation."""
        return f"{self.level}:http_server_requests:increase"

    @property
    def new_errors(self) -> str:
        """Requests with an error since the previous evaluation."""
        return f"{self.level}:http_server_request_errors:increase"

    @property
    def new_in_buckets(self) -> str:
        """Requests since the previous evaluation, at or below each bucket edge."""
        return f"{self.level}_le:{_DURATION}_bucket:increase"

    @property
    def requests(self) -> str:
        """Requests within the window."""
        return f"{self.level}:http_server_requests:increase{self.window}"

    @property
    def errors(self) -> str:
        """Requests with an error within the window; 0, not absent, if no request failed."""
        return f"{self.level}:http_server_request_errors:increase{self.window}"

    @property
    def buckets(self) -> str:
        """Requests within the window, at or below each bucket edge."""
        return f"{self.level}_le:{_DURATION}_bucket:increase{self.window}"

    @property
    def request_rate(self) -> str:
        """Requests per second."""
        return f"{self.level}:http_server_requests:rate{self.window}"

    @property
    def error_ratio(self) -> str:
        """Error ratio: the share of requests with an error, 0 to 1; absent while there are no requests."""
        return f"{self.level}:http_server_request_errors_per_requests:ratio_rate{self.window}"

    @property
    def p95(self) -> str:
        """p95 latency in seconds: 95 % of requests are at most this slow; absent while there are no requests."""
        return f"{self.level}:{_DURATION}:p95_rate{self.window}"

    @property
    def objective(self) -> str:
        """The share of requests that must be good, 0 to 1, of each objective."""
        return f"{self.level}_slo:objective:ratio"

    @property
    def new_bad(self) -> str:
        """Requests since the previous evaluation that count against each objective."""
        return f"{self.level}_slo:http_server_requests_bad:increase"

    @property
    def bad_by_quarter(self) -> str:
        """The same for each quarter of an hour, recorded once per quarter, so that days have few samples."""
        return f"{self.level}_slo:http_server_requests_bad:sum15m"

    @property
    def requests_by_quarter(self) -> str:
        """Requests of each quarter of an hour, recorded once per quarter."""
        return f"{self.level}:http_server_requests:sum15m"

    def budget_burn(self, window: str) -> str:
        """The burn rate of each objective within a window; absent if there was no request."""
        return f"{self.level}_slo:error_budget_burn:ratio_rate{window}"

    @property
    def budget_left(self) -> str:
        """The share of each objective's error budget that is left: at most 1, below 0 if it is overspent."""
        return f"{self.level}_slo:error_budget_left:ratio"

    @property
    def versions(self) -> str:
        """The number of instances of each version."""
        return f"{self.level}_service_version:{catalog.TARGET_INFO.name}:count"

    @property
    def alone(self) -> str:
        """The last time at which each version was the only one, in seconds since 1970; absent while others run too."""
        return f"{self.level}_service_version:{catalog.TARGET_INFO.name}:time_alone"

    @property
    def replaced(self) -> str:
        """The last time at which a version that no longer runs was the only one; absent if there was none."""
        return f"{self.level}:{catalog.TARGET_INFO.name}:time_replaced"

    @property
    def queue_depth(self) -> str:
        """Items waiting in each queue. All instances report the same queue, so this is the maximum."""
        return f"{self.level}_queue:{catalog.QUEUE_DEPTH.name}:max"

    @property
    def queue_age(self) -> str:
        """Age of the oldest item of each queue in seconds."""
        return f"{self.level}_queue:{catalog.QUEUE_OLDEST_AGE.name}:max"

    @property
    def cpu_used(self) -> str:
        """CPU usage of each instance as a share of the cores that it may use, 0 to 1."""
        return f"{self.level}_instance:cpu_used_per_available:ratio_rate{self.window}"

    @property
    def service_cpu_used(self) -> str:
        """The same of the median instance of each service that is older than the window; the median outlives each of them."""
        return f"{self.level}:cpu_used_per_available:p50_rate{self.window}"

    @property
    def memory_used(self) -> str:
        """Memory usage of each container as a share of its limit, 0 to 1; absent without a limit."""
        return f"{self.level}_instance:container_memory_used_per_limit:ratio"

    @property
    def disk_used(self) -> str:
        """Usage of each file system, 0 to 1."""
        return f"{self.level}_instance_path:disk_used_per_size:ratio"

    @property
    def execution_totals(self) -> str:
        """Executions of all workflows of each instance since it started; 0, not absent, before the first execution."""
        return f"{self.level}_instance:workflow_executions:sum"

    @property
    def workflow_totals(self) -> str:
        """Executions of each workflow of each instance since it started."""
        return f"{self.level}_instance_workflow:workflow_executions:sum"

    @property
    def failure_totals(self) -> str:
        """Failed executions of each workflow of each instance since it started; 0, not absent, if none failed."""
        return f"{self.level}_instance_workflow:workflow_failures:sum"

    @property
    def new_executions(self) -> str:
        """Executions of each workflow since the previous evaluation."""
        return f"{self.level}_workflow:workflow_executions:increase"

    @property
    def new_failures(self) -> str:
        """Failed executions of each workflow since the previous evaluation."""
        return f"{self.level}_workflow:workflow_failures:increase"

    @property
    def executions_by_quarter(self) -> str:
        """Executions of each workflow in each quarter of an hour, recorded once per quarter, so that days have few samples."""
        return f"{self.level}_workflow:workflow_executions:sum15m"

    @property
    def failures_by_quarter(self) -> str:
        """Failed executions of each workflow in each quarter of an hour, recorded once per quarter."""
        return f"{self.level}_workflow:workflow_failures:sum15m"

    @property
    def workflow_failures(self) -> str:
        """Failed executions of each workflow within its window; 0, not absent, if none failed."""
        return f"{self.level}_workflow:workflow_failures:increase{self.workflow_window}"

    @property
    def workflow_failure_ratio(self) -> str:
        """Failure ratio: the share of a workflow's executions that failed, 0 to 1; absent while there are no executions."""
        return f"{self.level}_workflow:workflow_failures_per_executions:ratio_rate{self.workflow_window}"

    @property
    def workflow_failure_ratio_recent(self) -> str:
        """The failure ratio of the more recent half of the window."""
        return f"{self.level}_workflow:workflow_failures_per_executions:ratio_rate{self.workflow_recent}"

    @property
    def cost(self) -> str:
        """Cost of the workflows of each instance since it started, in US dollars; 0, not absent, at first."""
        return f"{self.level}_instance:{_COST}:sum"

    @property
    def cost_by_day(self) -> str:
        """The same with the day as a label. Each day is a new series, whose increase is the cost of that day."""
        return f"{self.level}_instance_day:{_COST}:sum"

    @property
    def cost_today(self) -> str:
        """Cost since midnight UTC, in US dollars."""
        return f"{self.level}:{_COST.removesuffix('_total')}:increase_today"

    @property
    def budget_spent(self) -> str:
        """Share of the daily budget that is spent; above 1 if it is exceeded, absent without a budget."""
        return f"{self.level}:{_COST.removesuffix('_total')}_per_budget:ratio_today"

    @property
    def cost_forecast(self) -> str:
        """Expected cost of today: the cost so far, and for the rest of the day the cost of the same hours of yesterday.

        That is the cost of the last 24 hours.
        """
        return f"{self.level}:{_COST.removesuffix('_total')}:increase1d"


def recorded(settings: Settings) -> Recorded:
    """The names of recorded series for these settings."""
    group_by, alerting = settings.alerting.group_by, settings.alerting
    return Recorded(
        level=SERVICE,
        by=", ".join(group_by),
        window=alerting.window,
        workflow_window=alerting.workflow_window,
        workflow_recent=Duration.of(alerting.workflow_window.seconds // 2),
    )


def slower(settings: Settings, buckets: str, edge: str, *which: str) -> str:
    """The exact number of requests that took longer than a bucket edge.

    The total is taken from the ``+Inf`` bucket, because all buckets of a histogram appear and reset together.

    Args:
        settings: The settings.
        buckets: A recorded series of requests by bucket.
        edge: The edge in seconds.
        which: Matchers that select services.
    """
    by = recorded(settings).by
    # Clients write the edge 1 as "1.0" or "1"; Prometheus 3 stores "1.0" for both, older versions keep the original.
    every, within = (matchers({}, *which, le) for le in ('le="+Inf"', f'le=~"{edge}(|.0)"'))
    return f"sum by ({by}) ({buckets}{every}) - sum by ({by}) ({buckets}{within})"


def http_rules(settings: Settings) -> list[RecordingRule]:
    """Counts, rates, error ratio and p95. Each histogram is read once; the other series are computed from recorded ones."""
    of = recorded(settings)
    requests = f"{totals(settings, f'{_DURATION}_count')}\nor\n0 * max by ({of.by_with('instance')}) ({_INFO})"
    return _http_rules(settings, of, requests)


def http_label_rules(settings: Settings, label: str) -> list[RecordingRule]:
    """The same for each value of a label in ``http.labels``."""
    of = recorded(settings)
    by_label = replace(of, level=f"{of.level}_{label}", by=of.by_with(label))
    return _http_rules(settings, by_label, totals(settings, f"{_DURATION}_count", label), label)


def _http_rules(settings: Settings, of: Recorded, requests: str, *labels: str) -> list[RecordingRule]:
    seen = recorded(settings).request_totals
    failed = errors(lambda *which: f"{_DURATION}_count{matchers({}, *which)}")
    return [
        RecordingRule(record=of.request_totals, expr=requests, shown=not labels),
        RecordingRule(
            record=of.error_totals,
            expr=f"{totals(settings, failed, *labels)}\nor\n0 * {of.request_totals}",
        ),
        RecordingRule(record=of.bucket_totals, expr=totals(settings, f"{_DURATION}_bucket", *labels, "le")),
        RecordingRule(
            record=of.new_requests, expr=added(settings, of.request_totals, *labels, seen=seen if labels else "")
        ),
        RecordingRule(
            record=of.new_errors, expr=added(settings, of.error_totals, *labels, seen=seen if labels else "")
        ),
        RecordingRule(record=of.new_in_buckets, expr=added(settings, of.bucket_totals, *labels, "le", seen=seen)),
        RecordingRule(record=of.requests, expr=within(of.new_requests, of.window)),
        RecordingRule(record=of.errors, expr=within(of.new_errors, of.window)),
        RecordingRule(record=of.buckets, expr=within(of.new_in_buckets, of.window)),
        RecordingRule(record=of.request_rate, expr=f"{of.requests} / {of.window.seconds}", shown=True),
        RecordingRule(record=of.error_ratio, expr=f"{of.errors} / ({of.requests} > 0)", shown=True),
        # Without requests the quantile is NaN. No comparison is true for NaN, so this one drops it.
        RecordingRule(record=of.p95, expr=f"histogram_quantile(0.95, {of.buckets}) >= 0", shown=True),
    ]


def deployment_rules(settings: Settings) -> list[RecordingRule]:
    """Which versions run, and when each was the only one."""
    of = recorded(settings)
    is_alone = f"{of.versions} and on ({of.by}) count by ({of.by}) ({of.versions}) == 1"
    return [
        RecordingRule(
            record=of.versions,
            expr=f"count by ({of.by_with('service_version')}) ({catalog.TARGET_INFO.name})",
        ),
        RecordingRule(record=of.alone, expr=f"0 * ({is_alone}) + time()"),
        RecordingRule(
            record=of.replaced,
            expr=f"max by ({of.by}) (max_over_time({of.alone}[{MEMORY}]) unless {of.versions})",
            shown=True,
        ),
    ]


def queue_rules(settings: Settings) -> list[RecordingRule]:
    """The depth of queues and the age of their oldest item."""
    of = recorded(settings)
    read = {of.queue_depth: catalog.QUEUE_DEPTH, of.queue_age: catalog.QUEUE_OLDEST_AGE}
    by = of.by_with("queue")
    return [RecordingRule(record=record, expr=f"max by ({by}) ({metric.name})") for record, metric in read.items()]


def resource_rules(settings: Settings) -> list[RecordingRule]:
    """Usage of CPU, memory and disks as shares of the limits."""
    of = recorded(settings)
    by, by_path = of.by_with("instance"), of.by_with("instance, path")

    def rate(metric: Metric) -> str:
        return f"sum by ({by}) (rate({metric.name}[{of.window}]))"

    def share(used: Metric, whole: Metric, by: str) -> str:
        return f"sum by ({by}) ({used.name}) / (sum by ({by}) ({whole.name}) > 0)"

    # Without a cgroup with CPU accounting, only the CPU usage of the processes is known.
    cpu = f"({rate(catalog.CONTAINER_CPU_USAGE)} or {rate(catalog.PROCESS_CPU)})"
    return [
        RecordingRule(record=of.cpu_used, expr=f"{cpu}\n/ (sum by ({by}) ({catalog.CPU_AVAILABLE.name}) > 0)"),
        # rate() reads too little of an instance that is younger than its range.
        RecordingRule(
            record=of.service_cpu_used,
            expr=f"quantile by ({of.by}) (0.5, {of.cpu_used} and {of.cpu_used} offset {of.window})",
        ),
        RecordingRule(
            record=of.memory_used,
            expr=share(catalog.CONTAINER_MEMORY_WORKING_SET, catalog.CONTAINER_MEMORY_LIMIT, by),
        ),
        RecordingRule(record=of.disk_used, expr=share(catalog.DISK_USED, catalog.DISK_SIZE, by_path)),
    ]


def workflow_rules(settings: Settings) -> list[RecordingRule]:
    """Executions, failures and failure ratio of each workflow."""
    of, name = recorded(settings), catalog.WORKFLOW_EXECUTIONS.name
    part, failed = "workflow", '{outcome="failure"}'

    def ratio(window: Duration) -> str:
        return f"{within(of.new_failures, window)} / ({within(of.new_executions, window)} > 0)"

    return [
        RecordingRule(
            record=of.execution_totals,
            expr=f"{totals(settings, name)}\nor\n0 * max by ({of.by_with('instance')}) ({_INFO})",
            shown=True,
        ),
        RecordingRule(record=of.workflow_totals, expr=totals(settings, name, part)),
        RecordingRule(
            record=of.failure_totals, expr=f"{totals(settings, name + failed, part)}\nor\n0 * {of.workflow_totals}"
        ),
        RecordingRule(
            record=of.new_executions, expr=added(settings, of.workflow_totals, part, seen=of.execution_totals)
        ),
        RecordingRule(record=of.new_failures, expr=added(settings, of.failure_totals, part, seen=of.execution_totals)),
        RecordingRule(record=of.executions_by_quarter, expr=once_a_quarter(settings, of.new_executions)),
        RecordingRule(record=of.failures_by_quarter, expr=once_a_quarter(settings, of.new_failures)),
        RecordingRule(record=of.workflow_failures, expr=within(of.new_failures, of.workflow_window)),
        RecordingRule(record=of.workflow_failure_ratio, expr=ratio(of.workflow_window)),
        RecordingRule(record=of.workflow_failure_ratio_recent, expr=ratio(of.workflow_recent)),
    ]
