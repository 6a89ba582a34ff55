"""All settings, and the checks that concern several sections."""

from hashlib import blake2b
from typing import Annotated, Self

from pydantic import Field, model_validator

from instrumentation.settings.alerting import Alerting
from instrumentation.settings.audit import Audit
from instrumentation.settings.budget import Budget
from instrumentation.settings.collector import Collector
from instrumentation.settings.dashboards import LONGEST_OWNER, Dashboards
from instrumentation.settings.databases import Databases
from instrumentation.settings.duration import Duration
from instrumentation.settings.faults import Allowed, fault, shown
from instrumentation.settings.health import Health
from instrumentation.settings.http import Http
from instrumentation.settings.logging import Logging
from instrumentation.settings.metrics import Metrics
from instrumentation.settings.process import Process
from instrumentation.settings.resources import Resources
from instrumentation.settings.service import Service
from instrumentation.settings.signals import Signal, check_together
from instrumentation.settings.slo import Slo
from instrumentation.settings.thresholds import Thresholds
from instrumentation.settings.tracing import Tracing
from instrumentation.settings.types import FilePath, Section
from instrumentation.settings.users import Users


class Settings(Section):
    """All settings. ``Settings()`` has the defaults; ``load_settings()`` reads file and environment."""

    enabled: Annotated[bool, Allowed(text="give true or false")] = True  # false: instrument() does not change the app
    service: Service = Service.model_construct()
    thresholds: Thresholds = Thresholds.model_construct()
    alerting: Alerting = Alerting.model_construct()
    slo: Slo = Slo.model_construct()
    budget: Budget = Budget.model_construct()
    http: Http = Http.model_construct()
    databases: Databases = Databases.model_construct()
    metrics: Metrics = Metrics.model_construct()
    process: Process = Process.model_construct()
    resources: Resources = Resources.model_construct()
    users: Users = Users.model_construct()
    logging: Logging = Logging.model_construct()
    audit: Audit = Audit.model_construct()
    tracing: Tracing = Tracing.model_construct()
    health: Health = Health.model_construct()
    collector: Collector = Collector.model_construct()
    dashboards: Dashboards = Dashboards.model_construct()
    signals: Annotated[tuple[Signal, ...], Field(strict=False), Allowed(text="give a list of signals")] = ()
    include: Annotated[
        tuple[FilePath, ...], Field(strict=False), Allowed(text="give paths of files, relative to this file")
    ] = ()  # files with more signals, such as one for each team

    @property
    def has_budget(self) -> bool:
        """Whether any service has a budget."""
        budgets = (self.budget.daily_usd, *(override.daily_usd for override in self.thresholds.overrides))
        return any(usd is not None for usd in budgets)

    @property
    def owner(self) -> str:
        """The owner of the dashboards: ``dashboards.owner``, otherwise ``service.name``; empty if neither is set."""
        name = self.service.name
        default = "" if name == Service().name else name
        if len(default) > LONGEST_OWNER:
            default = f"{default[:27]}-{blake2b(default.encode(), digest_size=6).hexdigest()}"
        return self.dashboards.owner or default

    @property
    def users_window(self) -> Duration:
        """``users.window``, but at least two scrape intervals."""
        return Duration(f"{max(self.users.window.seconds, 2 * self.metrics.scrape_interval.seconds)}s")

    @property
    def duration_edges(self) -> tuple[float, ...]:
        """Bucket edges of request durations in seconds, including every latency threshold.

        A quantile is compared exactly with a value if and only if the value is an edge.
        """
        latencies = self.thresholds.latencies | self.slo.latencies
        edges = sorted({*self.http.duration_buckets, *latencies})
        if edges[-1] in latencies:  # a quantile never reads above the last edge, so no threshold may be the last
            edges.append(2 * edges[-1])
        return tuple(edges)

    @model_validator(mode="after")
    def _signals_fit_together(self) -> Self:
        check_together(self.signals, self.alerting.group_by, self.dashboards.pages)
        return self

    @model_validator(mode="after")
    def _overridden_routes_are_pages(self) -> Self:
        metrics = self.metrics.path if self.metrics.port is None else None
        pages = [path for path in (metrics, self.health.live_path, self.health.ready_path) if path is not None]
        for index, path in enumerate(self.http.overridden_routes):
            if path not in pages:
                raise fault(
                    f"give one of {', '.join(pages)}" if pages else "leave it out, because Sidelight answers no page",
                    key=f"http.overridden_routes.{index}",
                    problem=f"got {shown(path)}, which is not a page of Sidelight",
                )
        return self

    @model_validator(mode="after")
    def _window_holds_four_scrapes(self) -> Self:
        window, interval = self.alerting.window, self.metrics.scrape_interval
        if window.seconds < 4 * interval.seconds:
            raise fault(
                f"give at least four scrape intervals, that is {4 * interval.seconds}s",
                key="alerting.window",
                problem=f"got {shown(window)} with metrics.scrape_interval {shown(interval)}",
            )
        return self

    @model_validator(mode="after")
    def _users_window_holds_two_scrapes(self) -> Self:
        window, interval = self.users.window, self.metrics.scrape_interval
        if "window" in self.users.model_fields_set and window.seconds < 2 * interval.seconds:
            raise fault(
                f"give at least two scrape intervals, that is {2 * interval.seconds}s, or a lost scrape loses users",
                key="users.window",
                problem=f"got {shown(window)} with metrics.scrape_interval {shown(interval)}",
            )
        return self

    @model_validator(mode="after")
    def _overrides_match_grouped_labels(self) -> Self:
        thresholds = [("thresholds", override.match, override.labels) for override in self.thresholds.overrides]
        objectives = [("slo", override.match, frozenset[str]()) for override in self.slo.overrides]
        for overrides in (thresholds, objectives):
            for index, (section, match, labels) in enumerate(overrides):
                allowed = [*self.alerting.group_by, *sorted(labels)]
                for label in match:
                    if label not in allowed:
                        raise fault(
                            f"give one of {', '.join(allowed)}",
                            key=f"{section}.overrides.{index}.match.{label}",
                            problem="got a label that alerting.group_by does not keep",
                        )
        return self
