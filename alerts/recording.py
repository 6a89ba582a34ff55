"""The series computed ahead, one level for all services; alerts and panels for many services read these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alerts.rules import RecordingRule
from instrumentation import catalog

if TYPE_CHECKING:
    from instrumentation.settings import Settings

_DURATION = catalog.HTTP_SERVER_REQUEST_DURATION.name


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The names of the recorded series.

    Attributes:
        level: The labels every series keeps, as the first part of its name, such as ``job``.
        by: The same labels as they stand in ``by (...)`` and ``on (...)``.
        window: The range of every rate, such as ``5m``.
    """

    level: str
    by: str
    window: str

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
    def versions(self) -> str:
        """Instances of each version."""
        return f"{self.level}_service_version:{catalog.TARGET_INFO.name}:count"


def recorded(settings: Settings) -> Recorded:
    """The names for these settings."""
    group_by = settings.alerting.group_by
    return Recorded(level="_".join(group_by), by=", ".join(group_by), window=settings.alerting.window)


def http_rules(settings: Settings) -> list[RecordingRule]:
    """Rates, error ratio and p95. The buckets are read once; what follows is computed from what was recorded."""
    of = recorded(settings)
    return [
        RecordingRule(
            record=of.requests,
            expr=f"sum by ({of.by}) (rate({_DURATION}_count[{of.window}]))",
        ),
        RecordingRule(
            record=of.errors,
            expr=f'sum by ({of.by}) (rate({_DURATION}_count{{error_type!=""}}[{of.window}]))\nor\n0 * {of.requests}',
        ),
        RecordingRule(record=of.error_ratio, expr=f"{of.errors} / ({of.requests} > 0)"),
        RecordingRule(
            record=of.buckets,
            expr=f"sum by ({of.by}, le) (rate({_DURATION}_bucket[{of.window}]))",
        ),
        # Without requests the quantile is NaN, which no comparison holds for: this one drops it.
        RecordingRule(record=of.p95, expr=f"histogram_quantile(0.95, {of.buckets}) >= 0"),
    ]


def deployment_rules(settings: Settings) -> list[RecordingRule]:
    """Which versions run."""
    of = recorded(settings)
    expr = f"count by ({of.by}, service_version) ({catalog.TARGET_INFO.name})"
    return [RecordingRule(record=of.versions, expr=expr)]
