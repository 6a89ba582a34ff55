"""Section ``alerting``: windows, grouping, waiting times and trends."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from instrumentation.settings.duration import Duration
from instrumentation.settings.faults import Allowed, fault, shown
from instrumentation.settings.receivers import MuteTime, Notification, Receivers, Team
from instrumentation.settings.types import (
    Count,
    LabelName,
    LabelValue,
    Match,
    PrometheusDuration,
    Ratio,
    RunbookPattern,
    Seconds,
    Section,
    Text,
    WorkloadPattern,
)


class For(Section):
    """How long a condition must hold before its alert fires."""

    critical: PrometheusDuration = Duration("2m")
    warning: PrometheusDuration = Duration("5m")
    info: PrometheusDuration = Duration("1m")


class Severities(Section):
    """The value of the label ``severity`` for each severity, for teams that use other names, such as page and ticket."""

    critical: LabelValue = "critical"
    warning: LabelValue = "warning"
    info: LabelValue = "info"
    none: LabelValue = "none"  # Watchdog, which a dead man's switch receives

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        given = dict(self)
        for name, value in given.items():
            if list(given.values()).count(value) > 1:
                raise fault("give each severity a value of its own", key=name, problem=f"got {shown(value)} twice")
        return self


class Ahead(Section):
    """How far ahead a trend is extrapolated, so that a distant problem does not page."""

    warning: PrometheusDuration = Duration("4h")
    critical: PrometheusDuration = Duration("1h")

    @model_validator(mode="after")
    def _warning_looks_further(self) -> Self:
        if self.warning.seconds < self.critical.seconds:
            raise fault(
                "give a warning at or above critical, since a warning looks further ahead",
                problem=f"got warning {shown(self.warning)} below critical {shown(self.critical)}",
            )
        return self


class DiskAhead(Ahead):
    """How far ahead the trend of a disk is extrapolated."""

    warning: PrometheusDuration = Duration("1d")
    critical: PrometheusDuration = Duration("4h")


class Trend(Section):
    """Trends, which the alerts on queues, CPU, memory and disks consider in addition to thresholds."""

    window: PrometheusDuration = Duration("30m")  # a batch job's peak is shorter
    queue_drained_within: PrometheusDuration = Duration("1h")
    memory_full_within: Ahead = Ahead.model_construct()
    disk_window: PrometheusDuration = Duration("6h")  # rotated logs and temporary files come and go within it
    disk_full_within: DiskAhead = DiskAhead.model_construct()


class Restarts(Section):
    """How many restarts of an instance within a window are too many."""

    window: PrometheusDuration = Duration(
        "2h"
    )  # a container that runs out of memory every half hour restarts four times in it
    minimum: Count = 3  # two deployments and a moved pod are not a fault


class LeftOut(Section):
    """Alerts that are left out for some services, such as ServiceAbsent for a service that scales to zero."""

    alerts: Annotated[
        tuple[Text, ...],
        Field(strict=False, min_length=1),
        Allowed(text="give a list of alerts, such as [ServiceAbsent]"),
    ]
    match: Match


class Alerting(Section):
    """How thresholds become alerts, and how alerts become messages."""

    group_by: Annotated[
        tuple[LabelName, ...],
        Field(strict=False, min_length=1),
        Allowed(text="give a list of target labels, such as [namespace, job]"),
    ] = (
        "cluster",
        "namespace",
        "environment",
        "job",
    )  # the identity of a service; labels that targets do not have are harmless
    window: PrometheusDuration = Duration("5m")
    workflow_window: PrometheusDuration = Duration("1h")  # workflows are rarer than requests
    trend: Trend = Trend.model_construct()
    restarts: Restarts = Restarts.model_construct()
    minimum_bad_events: Count = 3  # one failed request at night does not page; five of five do
    severities: Severities = Severities.model_construct()
    for_: Annotated[For, Field(alias="for")] = For.model_construct()
    keep_firing_for: PrometheusDuration = Duration("2m")  # a short dip below the threshold is not a recovery
    evaluation_interval: PrometheusDuration = Duration("30s")
    deployment_lookback: PrometheusDuration = Duration("15m")
    collector_queue_ratio: Ratio = 0.5  # the queue of a healthy collector is nearly empty
    slow_scrape_seconds: Seconds = 2.5  # a quarter of the 10 s after which Prometheus gives up
    left_out: Annotated[
        tuple[LeftOut, ...], Field(strict=False), Allowed(text="give a list of alerts and matches")
    ] = ()
    workload_job: WorkloadPattern | None = (
        "{workload}"  # whose replicas say that a service is scaled to zero; null: none
    )
    runbook_url: RunbookPattern | None = None  # without it alerts have no link to a runbook
    labels: Annotated[dict[LabelName, Text], Allowed(text="give labels and their values, such as {team: shop}")] = (
        Field(default_factory=dict)
    )  # added to every alert
    external_labels: Annotated[
        tuple[LabelName, ...], Field(strict=False), Allowed(text="give a list of labels, such as [region]")
    ] = ()  # labels that Prometheus adds to the alerts that it sends; teams may match them
    notification: Notification = Notification.model_construct()
    receivers: Receivers = Receivers.model_construct()
    teams: Annotated[tuple[Team, ...], Field(strict=False), Allowed(text="give a list of teams")] = ()
    mute_times: Annotated[tuple[MuteTime, ...], Field(strict=False), Allowed(text="give a list of mute times")] = ()

    @model_validator(mode="after")
    def _each_name_once(self) -> Self:
        for section, entries in (("teams", self.teams), ("mute_times", self.mute_times)):
            names = [entry.name for entry in entries]
            for index, name in enumerate(names):
                if name in names[:index]:
                    raise fault("give each name once", key=f"{section}.{index}.name")
        return self

    @model_validator(mode="after")
    def _job_is_grouped(self) -> Self:
        if "job" not in self.group_by or len(set(self.group_by)) != len(self.group_by):
            raise fault("give each label once and job among them, since a service is a job", key="group_by")
        return self

    @model_validator(mode="after")
    def _each_half_of_a_trend_holds_a_window(self) -> Self:
        trends = {"trend.window": self.trend.window, "trend.disk_window": self.trend.disk_window}
        for key, given in {**trends, "workflow_window": self.workflow_window}.items():
            if given.seconds < 2 * self.window.seconds:
                raise fault(
                    f"give at least twice that, {Duration.of(2 * self.window.seconds)}",
                    key=key,
                    problem=f"got {shown(given)} with alerting.window {shown(self.window)}",
                )
        return self
