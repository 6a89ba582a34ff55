"""The series computed ahead, one level for all services; alerts and panels for many services read these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alerts.model import RecordingRule
from instrumentation import catalog
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from instrumentation.catalog import Metric
    from instrumentation.settings import Settings

MEMORY = "1d"  # how far back rules look for what is no more, such as a service or a version

_DURATION = catalog.HTTP_SERVER_REQUEST_DURATION.name
_COST = catalog.WORKFLOW_COST.name


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The names of the recorded series.

    Attributes:
        level: The labels every series keeps, as the first part of its name, such as ``job``.
        by: The same labels as they stand in ``by (...)`` and ``on (...)``.
        window: The range of every rate, such as ``5m``.
        workflow_window: The range of rates of workflows, such as ``1h``.
        workflow_recent: Its recent half.
    """

    level: str
    by: str
    window: str
    workflow_window: str
    workflow_recent: str

    def by_with(self, label: str) -> str:
        """The labels as they stand in ``by (...)``, and one more."""
        return f"{self.by}, {label}"

    @property
    def requests(self) -> str:
        """Requests per second."""
        return f"{self.level}:http_server_requests:rate{self.window}"

    @property
    def errors(self) -> str:
        """Requests with an error per second; 0, not absent, where there are none."""
        return f"{self.level}:http_server_request_errors:rate{self.window}"

    @property
    def error_ratio(self) -> str:
        """Share of requests with an error, 0 to 1; absent while there are no requests."""
        return f"{self.level}:http_server_request_errors_per_requests:ratio_rate{self.window}"

    @property
    def buckets(self) -> str:
        """Requests per second at or below each bucket edge."""
        return f"{self.level}_le:{_DURATION}_bucket:rate{self.window}"

    @property
    def p95(self) -> str:
        """The duration in seconds that 95 % of requests stay within; absent while there are no requests."""
        return f"{self.level}:{_DURATION}:p95_rate{self.window}"

    @property
    def objective(self) -> str:
        """The share of requests that must be good, 0 to 1, of each objective."""
        return f"{self.level}_slo:objective:ratio"

    @property
    def slo_bad(self) -> str:
        """Requests per second that count against each objective."""
        return f"{self.level}_slo:http_server_requests_bad:rate{self.window}"

    @property
    def slo_bad_quarters(self) -> str:
        """The same, averaged over a quarter of an hour, so that days are read with few points."""
        return f"{self.level}_slo:http_server_requests_bad:avg15m"

    @property
    def request_quarters(self) -> str:
        """Requests per second, averaged over a quarter of an hour."""
        return f"{self.level}:http_server_requests:avg15m"

    def budget_burn(self, window: str) -> str:
        """How many times as fast as it may each objective's error budget was spent; absent where there was no request."""
        return f"{self.level}_slo:error_budget_burn:ratio_rate{window}"

    @property
    def budget_left(self) -> str:
        """What is left of each objective's error budget, 1 and less; below 0 it is overspent."""
        return f"{self.level}_slo:error_budget_left:ratio"

    @property
    def versions(self) -> str:
        """Instances of each version."""
        return f"{self.level}_service_version:{catalog.TARGET_INFO.name}:count"

    @property
    def alone(self) -> str:
        """When each version was the only one, in seconds since 1970; absent while it is not."""
        return f"{self.level}_service_version:{catalog.TARGET_INFO.name}:time_alone"

    @property
    def replaced(self) -> str:
        """When a version that runs no more was the only one for the last time; absent where none was."""
        return f"{self.level}:{catalog.TARGET_INFO.name}:time_replaced"

    @property
    def queue_depth(self) -> str:
        """Items waiting in each queue; every instance sees the same queue."""
        return f"{self.level}_queue:{catalog.QUEUE_DEPTH.name}:max"

    @property
    def queue_age(self) -> str:
        """For how many seconds the oldest item of each queue has waited."""
        return f"{self.level}_queue:{catalog.QUEUE_OLDEST_AGE.name}:max"

    @property
    def cpu_used(self) -> str:
        """Share of the CPU cores that an instance may use, 0 to 1."""
        return f"{self.level}_instance:cpu_used_per_available:ratio_rate{self.window}"

    @property
    def memory_used(self) -> str:
        """Share of its memory limit that each container uses, 0 to 1; absent where there is no limit."""
        return f"{self.level}_instance:container_memory_used_per_limit:ratio"

    @property
    def disk_used(self) -> str:
        """Share of each file system that is used, 0 to 1."""
        return f"{self.level}_instance_path:disk_used_per_size:ratio"

    @property
    def workflow_failures(self) -> str:
        """Failed executions per second of each workflow; 0, not absent, where there are none."""
        return f"{self.level}_workflow:workflow_failures:rate{self.workflow_window}"

    @property
    def workflow_failure_ratio(self) -> str:
        """Share of a workflow's executions that failed, 0 to 1; absent while there are none."""
        return f"{self.level}_workflow:workflow_failures_per_executions:ratio_rate{self.workflow_window}"

    @property
    def workflow_failure_ratio_recent(self) -> str:
        """The same of late."""
        return f"{self.level}_workflow:workflow_failures_per_executions:ratio_rate{self.workflow_recent}"

    @property
    def cost(self) -> str:
        """What the workflows of each instance have cost in US dollars since it started; 0, not absent, at first."""
        return f"{self.level}_instance:{_COST}:sum"

    @property
    def cost_by_day(self) -> str:
        """The same, as another series each day: its increase is what the day cost."""
        return f"{self.level}_instance_day:{_COST}:sum"

    @property
    def cost_today(self) -> str:
        """US dollars since midnight, UTC."""
        return f"{self.level}:{_COST.removesuffix('_total')}:increase_today"

    @property
    def budget_spent(self) -> str:
        """Share of the day's budget that is spent, 0 to 1 and beyond; absent where there is none."""
        return f"{self.level}:{_COST.removesuffix('_total')}_per_budget:ratio_today"

    @property
    def cost_forecast(self) -> str:
        """What today will have cost at its end: what it cost so far, and the rest of the day as it was yesterday.

        Which is what the last 24 hours cost.
        """
        return f"{self.level}:{_COST.removesuffix('_total')}:increase1d"


def recorded(settings: Settings) -> Recorded:
    """The names for these settings."""
    group_by, alerting = settings.alerting.group_by, settings.alerting
    return Recorded(
        level="_".join(group_by),
        by=", ".join(group_by),
        window=alerting.window,
        workflow_window=alerting.workflow_window,
        workflow_recent=Duration.of(alerting.workflow_window.seconds // 2),
    )


def http_rules(settings: Settings) -> list[RecordingRule]:
    """Rates, error ratio and p95. The buckets are read once; what follows is computed from what was recorded."""
    of = recorded(settings)
    return [
        RecordingRule(
            record=of.requests,
            expr=f"sum by ({of.by}) (rate({_DURATION}_count[{of.window}]))",
            shown=True,
        ),
        RecordingRule(
            record=of.errors,
            expr=f'sum by ({of.by}) (rate({_DURATION}_count{{error_type!=""}}[{of.window}]))\nor\n0 * {of.requests}',
        ),
        RecordingRule(record=of.error_ratio, expr=f"{of.errors} / ({of.requests} > 0)", shown=True),
        RecordingRule(
            record=of.buckets,
            expr=f"sum by ({of.by}, le) (rate({_DURATION}_bucket[{of.window}]))",
        ),
        # Without requests the quantile is NaN, which no comparison holds for: this one drops it.
        RecordingRule(record=of.p95, expr=f"histogram_quantile(0.95, {of.buckets}) >= 0", shown=True),
    ]


def deployment_rules(settings: Settings) -> list[RecordingRule]:
    """Which versions run, and which were the only one when."""
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
        ),
    ]


def queue_rules(settings: Settings) -> list[RecordingRule]:
    """How long queues are, and since when their oldest item waits."""
    of = recorded(settings)
    read = {of.queue_depth: catalog.QUEUE_DEPTH, of.queue_age: catalog.QUEUE_OLDEST_AGE}
    by = of.by_with("queue")
    return [RecordingRule(record=record, expr=f"max by ({by}) ({metric.name})") for record, metric in read.items()]


def resource_rules(settings: Settings) -> list[RecordingRule]:
    """What instances use of what they may use."""
    of = recorded(settings)
    by, by_path = of.by_with("instance"), of.by_with("instance, path")

    def rate(metric: Metric) -> str:
        return f"sum by ({by}) (rate({metric.name}[{of.window}]))"

    def share(used: Metric, whole: Metric, by: str) -> str:
        return f"sum by ({by}) ({used.name}) / (sum by ({by}) ({whole.name}) > 0)"

    # Without a cgroup that counts, what the processes use is all that is known.
    cpu = f"({rate(catalog.CONTAINER_CPU_USAGE)} or {rate(catalog.PROCESS_CPU)})"
    return [
        RecordingRule(record=of.cpu_used, expr=f"{cpu}\n/ (sum by ({by}) ({catalog.CPU_AVAILABLE.name}) > 0)"),
        RecordingRule(
            record=of.memory_used,
            expr=share(catalog.CONTAINER_MEMORY_WORKING_SET, catalog.CONTAINER_MEMORY_LIMIT, by),
        ),
        RecordingRule(record=of.disk_used, expr=share(catalog.DISK_USED, catalog.DISK_SIZE, by_path)),
    ]


def workflow_rules(settings: Settings) -> list[RecordingRule]:
    """How many of its executions each workflow fails."""
    of = recorded(settings)
    by, name = of.by_with("workflow"), catalog.WORKFLOW_EXECUTIONS.name

    def rate(window: str, matcher: str = "") -> str:
        return f"sum by ({by}) (rate({name}{matcher}[{window}]))"

    def ratio(failures: str, window: str) -> str:
        return f"{failures} / ({rate(window)} > 0)"

    failed, recent = '{outcome="failure"}', of.workflow_recent
    return [
        RecordingRule(
            record=of.workflow_failures,
            expr=f"{rate(of.workflow_window, failed)}\nor\n0 * {rate(of.workflow_window)}",
        ),
        RecordingRule(record=of.workflow_failure_ratio, expr=ratio(of.workflow_failures, of.workflow_window)),
        RecordingRule(record=of.workflow_failure_ratio_recent, expr=ratio(rate(recent, failed), recent)),
    ]
