"""Section ``thresholds``: the warning and critical thresholds of alerts, and overrides for some services."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from instrumentation.settings.faults import Allowed, fault, shown
from instrumentation.settings.types import (
    BudgetRatio,
    Count,
    LatencySeconds,
    Match,
    Ratio,
    Seconds,
    Section,
    Usd,
    check_each_match_once,
)


def _check_order(warning: float | None, critical: float | None, *, key: str = "", among: str = "") -> None:
    if warning is not None and critical is not None and warning > critical:
        problem = f"got warning {shown(warning)} above critical {shown(critical)}{among}"
        raise fault("give a warning at or below critical, since a warning comes first", key=key, problem=problem)


class Levels(Section):
    """A warning and a critical threshold, or one of them."""

    warning: float | None = None
    critical: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(getattr(self, "warning", None), getattr(self, "critical", None))
        return self


class RatioLevels(Levels):
    """Shares of requests, 0 to 1."""

    warning: Ratio = 0.01
    critical: Ratio = 0.05


class SecondsLevels(Levels):
    """Times in seconds. Each becomes a bucket edge, which makes the comparison exact."""

    warning: LatencySeconds = 0.5
    critical: LatencySeconds = 1.0


class CpuLevels(Levels):
    """Shares of the CPU cores that an instance may use."""

    warning: Ratio = 0.8
    critical: Ratio = 0.95


class MemoryLevels(Levels):
    """Shares of the memory that a container may use."""

    warning: Ratio = 0.85
    critical: Ratio = 0.95


class DiskLevels(Levels):
    """Shares of a file system."""

    warning: Ratio = 0.8
    critical: Ratio = 0.9


class DepthLevels(Levels):
    """Items in a queue."""

    warning: Count = 100
    critical: Count = 1000


class AgeLevels(Levels):
    """Seconds that the oldest item of a queue has waited."""

    warning: Seconds = 600
    critical: Seconds = 3600


class WorkflowLevels(Levels):
    """Shares of a workflow's executions."""

    warning: Ratio = 0.05
    critical: Ratio = 0.2


class BudgetLevels(Levels):
    """Shares of the daily budget."""

    warning: BudgetRatio = 0.8
    critical: BudgetRatio = 1.0


class DependencyLevels(Levels):
    """Shares of the calls to another service."""

    warning: Ratio = 0.1
    critical: Ratio = 0.5


class PoolLevels(Levels):
    """Shares of the connections that a pool may open."""

    warning: Ratio = 0.8
    critical: Ratio = 0.95


class RatioOverride(Levels):
    """Thresholds for some services; what is left out is as for all services."""

    warning: Ratio | None = None
    critical: Ratio | None = None


class SecondsOverride(Levels):
    """Thresholds for some services; what is left out is as for all services."""

    warning: Seconds | None = None
    critical: Seconds | None = None


class LatencyOverride(Levels):
    """Thresholds for some services; what is left out is as for all services."""

    warning: LatencySeconds | None = None
    critical: LatencySeconds | None = None


class CountOverride(Levels):
    """Thresholds for some services; what is left out is as for all services."""

    warning: Count | None = None
    critical: Count | None = None


# What tells the series of a threshold apart within a service, so that an override may name it.
_LABELS_OF = {
    "disk_used_ratio": "path",
    "queue_depth": "queue",
    "queue_oldest_age_seconds": "queue",
    "workflow_failure_ratio": "workflow",
    "dependency_error_ratio": "server_address",
    "pool_used_ratio": "db_client_connection_pool_name",
}


class Override(Section):
    """Thresholds for services whose labels equal those of ``match``; the first override that matches applies."""

    match: Match
    error_ratio: RatioOverride = RatioOverride.model_construct()
    latency_p95_seconds: LatencyOverride = LatencyOverride.model_construct()
    cpu_used_ratio: RatioOverride = RatioOverride.model_construct()
    memory_used_ratio: RatioOverride = RatioOverride.model_construct()
    disk_used_ratio: RatioOverride = RatioOverride.model_construct()
    queue_depth: CountOverride = CountOverride.model_construct()
    queue_oldest_age_seconds: SecondsOverride = SecondsOverride.model_construct()
    workflow_failure_ratio: RatioOverride = RatioOverride.model_construct()
    dependency_error_ratio: RatioOverride = RatioOverride.model_construct()
    pool_used_ratio: RatioOverride = RatioOverride.model_construct()
    daily_usd: Usd | None = None

    @property
    def labels(self) -> frozenset[str]:
        """The labels that ``match`` may name in addition to those of a service: every threshold set here has them."""
        parts = [{_LABELS_OF[name]} if name in _LABELS_OF else set[str]() for name in self.model_fields_set - {"match"}]
        return frozenset(set.intersection(*parts) if parts else ())


class Thresholds(Section):
    """The thresholds of warning and critical alerts."""

    error_ratio: RatioLevels = RatioLevels.model_construct()
    latency_p95_seconds: SecondsLevels = SecondsLevels.model_construct()
    cpu_used_ratio: CpuLevels = CpuLevels.model_construct()  # above about 80 %, requests wait for a core
    memory_used_ratio: MemoryLevels = MemoryLevels.model_construct()
    disk_used_ratio: DiskLevels = DiskLevels.model_construct()
    disk_full_ratio: Ratio = 0.95  # a single large file fills the rest, however slowly the disk filled so far
    queue_depth: DepthLevels = DepthLevels.model_construct()
    queue_oldest_age_seconds: AgeLevels = (
        AgeLevels.model_construct()
    )  # a few items that no worker takes are a backlog too
    workflow_failure_ratio: WorkflowLevels = WorkflowLevels.model_construct()
    dependency_error_ratio: DependencyLevels = (
        DependencyLevels.model_construct()
    )  # retries and fallbacks absorb a few failures
    # if a pool is full, the next request waits, by default for 30 s in SQLAlchemy
    pool_used_ratio: PoolLevels = PoolLevels.model_construct()
    repeated_queries_growth: Count = (
        1  # more repeated queries per request than before a deployment; see databases.repeated_queries
    )
    overrides: Annotated[tuple[Override, ...], Field(strict=False), Allowed(text="give a list of overrides")] = ()

    @property
    def latencies(self) -> frozenset[float]:
        """Every latency threshold in seconds, including those of overrides."""
        levels = (self.latency_p95_seconds, *(override.latency_p95_seconds for override in self.overrides))
        return frozenset(
            seconds for level in levels for seconds in (level.warning, level.critical) if seconds is not None
        )

    @model_validator(mode="after")
    def _each_match_once(self) -> Self:
        check_each_match_once([override.match for override in self.overrides])
        return self

    @model_validator(mode="after")
    def _full_is_critical(self) -> Self:
        critical = self.disk_used_ratio.critical
        if self.disk_full_ratio < critical:
            raise fault(
                "give a ratio at or above it, since a disk that is full needs no trend",
                key="disk_full_ratio",
                problem=f"got {shown(self.disk_full_ratio)} below disk_used_ratio.critical {shown(critical)}",
            )
        return self

    @model_validator(mode="after")
    def _overrides_in_order(self) -> Self:
        names = [name for name, value in self if isinstance(value, Levels)]
        for index, override in enumerate(self.overrides):
            for name in names:
                base, own = getattr(self, name), getattr(override, name)
                _check_order(
                    base.warning if own.warning is None else own.warning,
                    base.critical if own.critical is None else own.critical,
                    key=f"overrides.{index}.{name}",
                    among=", together with the thresholds for all",
                )
        return self
