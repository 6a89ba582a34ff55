"""sidelight.yaml and the environment, read into one frozen, validated Settings."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar
from urllib.parse import unquote

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationError,
    model_validator,
)

from instrumentation.catalog import HTTP_SECONDS
from instrumentation.errors import Fault, SettingsError
from instrumentation.redaction import allowed as redaction
from instrumentation.settings_faults import Allowed, as_faults, fault, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DEFAULT_FILE = "sidelight.yaml"
FILE_VARIABLE = "SIDELIGHT_CONFIG"
LARGEST_FILE_BYTES = 1 << 20  # a settings file of more than 1 MiB is some other file

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class Duration(str):
    """A Prometheus duration in whole seconds or more, such as ``5m`` or ``1h30m``."""

    __slots__ = ()

    @property
    def seconds(self) -> int:
        """The length in seconds.

        >>> Duration("1h30m").seconds
        5400
        """
        match = _DURATION.fullmatch(self)
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds

    @classmethod
    def of(cls, seconds: int) -> Duration:
        """So many seconds, written the shortest way.

        >>> Duration.of(5400), Duration.of(90), Duration.of(86400)
        ('1h30m', '1m30s', '1d')
        """
        parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
        return cls("".join(f"{number}{unit}" for number, unit in parts if number))


def _check_order(warning: float | None, critical: float | None, *, key: str = "", among: str = "") -> None:
    if warning is not None and critical is not None and warning > critical:
        problem = f"got warning {shown(warning)} above critical {shown(critical)}{among}"
        raise fault("give a warning at or below critical, since a warning comes first", key=key, problem=problem)


def _check_matches(overrides: Sequence[Override | ObjectivesOverride]) -> None:
    matches = [override.match for override in overrides]
    for index, match in enumerate(matches):
        if match in matches[:index]:
            raise fault("give each match once, since the first counts", key=f"overrides.{index}.match")


DURATION = "give a duration such as 30s, 5m or 1h30m"
LABEL_NAME = "give a Prometheus label name: letters, digits and _, not starting with a digit"
ADDRESS = "give one e-mail address, such as oncall@example.com"
HOST_AND_PORT = "give host and port, such as smtp.example.com:587"
NAME = "give small letters, digits and -, such as payments"
TIME_OF_DAY = 'give a time of day in quotes, from "00:00" to "24:00"'
LOCATION = "give a place of the time zone database, such as Europe/Berlin, or UTC"
WEB_ADDRESS = "give an http:// or https:// address without user, password, ? or #"
URL_PATH = "give a path that starts with /, such as /metrics"
REGISTERS = "give a power of 2 from 16 to 16384, such as 1024; each is a series of every instance"
SLO_PERIOD = "give a duration from 7d to 90d, such as 30d, since the longest window of the alert is 3d"
USERS_WINDOW = "give a duration of at most 4m, since Prometheus forgets a series after 5m"
ABSOLUTE_PATH = "give an absolute path, such as /var/lib/shop"
INCREASING = "give increasing seconds, each once, such as [0.1, 0.5, 1.0]"


def _duration(value: object) -> Duration:
    if isinstance(value, str) and value and Duration(value).seconds > 0:
        return Duration(value)
    raise fault(DURATION)


def _label_name(value: str) -> str:
    return _matching(value, r"[a-zA-Z_][a-zA-Z0-9_]*", LABEL_NAME)


def _web_address(value: str) -> str:
    return _matching(value, r"https?://[^\s/@]+(/[^\s?#@]*)?", WEB_ADDRESS).rstrip("/")


def _url_path(value: str) -> str:
    return _matching(value, r"/[^\s?#]*", URL_PATH)


def _registers(value: int) -> int:
    if not 16 <= value <= 16384 or value & (value - 1):  # noqa: PLR2004 - REGISTERS says them
        raise fault(REGISTERS)
    return value


def _slo_period(value: Duration) -> Duration:
    if not Duration("7d").seconds <= value.seconds <= Duration("90d").seconds:
        raise fault(SLO_PERIOD)
    return value


def _users_window(value: Duration) -> Duration:
    if value.seconds > Duration("4m").seconds:
        raise fault(USERS_WINDOW)
    return value


def _absolute(value: str) -> str:
    return _matching(value, r"/[^\0]*", ABSOLUTE_PATH)


def _if(fits: Callable[[object], bool], allowed: str, value: str) -> str:
    if not fits(value):
        raise fault(allowed)
    return value


def _matching(value: str, pattern: str, allowed: str) -> str:
    if not re.fullmatch(pattern, value):
        raise fault(allowed)
    return value


def _increasing(edges: tuple[float, ...]) -> tuple[float, ...]:
    if sorted(set(edges)) != list(edges):
        raise fault(INCREASING)
    return edges


Seconds = Annotated[
    float, Field(gt=0, allow_inf_nan=False), Allowed(text="give seconds as a number above 0, such as 1.0")
]
NoOrSomeSeconds = Annotated[
    float, Field(ge=0, le=600), Allowed(text="give seconds as a number from 0 to 600, such as 5.0")
]
Ratio = Annotated[float, Field(gt=0, lt=1), Allowed(text="give a ratio between 0 and 1, such as 0.05")]
BudgetRatio = Annotated[
    float,
    Field(gt=0, allow_inf_nan=False),
    Allowed(text="give a share of the budget above 0, such as 0.8; 1.0 is all of it"),
]
Share = Annotated[float, Field(ge=0, le=1), Allowed(text="give a share from 0 to 1, such as 0.1")]
Count = Annotated[int, Field(ge=1), Allowed(text="give a whole number of at least 1")]
Usd = Annotated[float, Field(gt=0, allow_inf_nan=False), Allowed(text="give US dollars as a number above 0, or null")]
AttributeName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_.]*$"), Allowed(text="give names such as k8s.cluster.name")
]
CollectorVersion = Annotated[
    str,
    Field(pattern=r"^0\.(13[89]|1[4-9]\d|[2-9]\d\d)\.\d+$"),
    Allowed(text="give a version from 0.138.0 on, such as 0.159.0"),
]
PrometheusDuration = Annotated[Duration, PlainValidator(_duration), Allowed(text=DURATION)]
Text = Annotated[
    str,
    Field(min_length=1, max_length=200),
    Allowed(text="give a text of 1 to 200 characters, in quotes if it looks like a number"),
]
LabelName = Annotated[Text, AfterValidator(_label_name), Allowed(text=LABEL_NAME)]
Match = Annotated[
    dict[LabelName, Text],
    Field(min_length=1),
    Allowed(text="give at least one label and its value, such as {job: search}"),
]
Address = Annotated[
    Text,
    AfterValidator(partial(_matching, pattern=r"[^@\s,]+@[^@\s,]+", allowed=ADDRESS)),
    Allowed(text=ADDRESS),
]
HostAndPort = Annotated[
    Text,
    AfterValidator(partial(_matching, pattern=r"[^:/\s@]+:[0-9]{1,5}", allowed=HOST_AND_PORT)),
    Allowed(text=HOST_AND_PORT),
]
ObjectName = Annotated[
    Text,
    AfterValidator(partial(_matching, pattern=r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", allowed=NAME)),
    Allowed(text=NAME),
]
TimeOfDay = Annotated[
    Text,
    AfterValidator(partial(_matching, pattern=r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", allowed=TIME_OF_DAY)),
    Allowed(text=TIME_OF_DAY),
]
Weekday = Annotated[
    Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    Allowed(text="give a weekday in English and small letters, such as saturday"),
]
Location = Annotated[
    Text,
    AfterValidator(partial(_matching, pattern=r"[A-Z]\w*(/[\w+-]+)*", allowed=LOCATION)),
    Allowed(text=LOCATION),
]
WebAddress = Annotated[Text, AfterValidator(_web_address), Allowed(text=WEB_ADDRESS)]
UrlPath = Annotated[Text, AfterValidator(_url_path), Allowed(text=URL_PATH)]
Folder = Annotated[Text, AfterValidator(_absolute), Allowed(text=ABSOLUTE_PATH)]
FilePath = Annotated[Text, Allowed(text="give the path of a file")]
Edges = Annotated[
    tuple[Seconds, ...],
    Field(strict=False, min_length=1),
    AfterValidator(_increasing),
    Allowed(text=INCREASING),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error", "critical"],
    Allowed(text="give one of debug, info, warning, error, critical"),
]
LogFormat = Annotated[Literal["auto", "json", "console"], Allowed(text="give one of auto, json, console")]
LoggerName = Annotated[Text, Allowed(text="give the name of a logger, such as sqlalchemy.engine")]


class Section(BaseModel):
    """A group of keys; none may be misspelt, and none changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Service(Section):
    """Which service this is; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over the file."""

    name: Text = "unnamed-service"
    version: Text = "0"
    environment: Text = "development"


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
    """Times in seconds; each becomes a bucket edge, so a comparison with it is exact."""

    warning: Seconds = 0.5
    critical: Seconds = 1.0


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
    """For how many seconds the oldest item of a queue has waited."""

    warning: Seconds = 600
    critical: Seconds = 3600


class WorkflowLevels(Levels):
    """Shares of a workflow's executions."""

    warning: Ratio = 0.05
    critical: Ratio = 0.2


class BudgetLevels(Levels):
    """Shares of the day's budget."""

    warning: BudgetRatio = 0.8
    critical: BudgetRatio = 1.0


class RatioOverride(Levels):
    """Levels for some services; what is left out stays as it is for all."""

    warning: Ratio | None = None
    critical: Ratio | None = None


class SecondsOverride(Levels):
    """Levels for some services; what is left out stays as it is for all."""

    warning: Seconds | None = None
    critical: Seconds | None = None


class CountOverride(Levels):
    """Levels for some services; what is left out stays as it is for all."""

    warning: Count | None = None
    critical: Count | None = None


# What tells the series of a threshold apart within a service, so that an override may name it.
_PARTS = {
    "disk_used_ratio": "path",
    "queue_depth": "queue",
    "queue_oldest_age_seconds": "queue",
    "workflow_failure_ratio": "workflow",
}


class Override(Section):
    """Other thresholds where every label of ``match`` has the value given; the first override that matches counts."""

    match: Match
    error_ratio: RatioOverride = RatioOverride()
    latency_p95_seconds: SecondsOverride = SecondsOverride()
    cpu_used_ratio: RatioOverride = RatioOverride()
    memory_used_ratio: RatioOverride = RatioOverride()
    disk_used_ratio: RatioOverride = RatioOverride()
    queue_depth: CountOverride = CountOverride()
    queue_oldest_age_seconds: SecondsOverride = SecondsOverride()
    workflow_failure_ratio: RatioOverride = RatioOverride()
    daily_usd: Usd | None = None

    @property
    def labels(self) -> frozenset[str]:
        """The labels, beside those of a service, that every threshold set here can be matched by."""
        parts = [{_PARTS[name]} if name in _PARTS else set[str]() for name in self.model_fields_set - {"match"}]
        return frozenset(set.intersection(*parts) if parts else ())


class Thresholds(Section):
    """The lines between well, warning and critical."""

    error_ratio: RatioLevels = RatioLevels()
    latency_p95_seconds: SecondsLevels = SecondsLevels()
    cpu_used_ratio: CpuLevels = CpuLevels()  # from about 80 % on, what arrives has to wait for a core
    memory_used_ratio: MemoryLevels = MemoryLevels()
    disk_used_ratio: DiskLevels = DiskLevels()
    disk_full_ratio: Ratio = 0.95  # so little room that a single large file fills it, however slowly it filled so far
    queue_depth: DepthLevels = DepthLevels()
    queue_oldest_age_seconds: AgeLevels = AgeLevels()  # few items that nobody takes are a backlog too
    workflow_failure_ratio: WorkflowLevels = WorkflowLevels()
    overrides: Annotated[tuple[Override, ...], Field(strict=False), Allowed(text="give a list of overrides")] = ()

    @property
    def latencies(self) -> frozenset[float]:
        """Every latency threshold in seconds, those of the overrides too."""
        levels = (self.latency_p95_seconds, *(override.latency_p95_seconds for override in self.overrides))
        return frozenset(
            seconds for level in levels for seconds in (level.warning, level.critical) if seconds is not None
        )

    @model_validator(mode="after")
    def _each_match_once(self) -> Self:
        _check_matches(self.overrides)
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


class For(Section):
    """How long a condition must hold before its alert fires."""

    critical: PrometheusDuration = Duration("2m")
    warning: PrometheusDuration = Duration("5m")
    info: PrometheusDuration = Duration("1m")


class Ahead(Section):
    """How far ahead a trend is followed; what is far off is no reason to wake anybody."""

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
    """How far ahead the trend of a disk is followed."""

    warning: PrometheusDuration = Duration("1d")
    critical: PrometheusDuration = Duration("4h")


class Trend(Section):
    """Where things lead if they go on as they did: the second half of the alerts on queues, CPU, memory and disks."""

    window: PrometheusDuration = Duration("30m")  # a batch job's peak is shorter
    queue_drained_within: PrometheusDuration = Duration("1h")
    memory_full_within: Ahead = Ahead()
    disk_window: PrometheusDuration = Duration("6h")  # rotated logs and temporary files come and go within it
    disk_full_within: DiskAhead = DiskAhead()


class Notification(Section):
    """When Alertmanager sends."""

    group_wait: PrometheusDuration = Duration("30s")
    group_interval: PrometheusDuration = Duration("5m")
    repeat_interval: PrometheusDuration = Duration("4h")
    watchdog_interval: PrometheusDuration = Duration("1m")


class Webhook(Section):
    """Alertmanager posts its JSON to an address; one that holds a secret belongs in a file (Alertmanager >= 0.26)."""

    url: WebAddress | None = None
    url_file: FilePath | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise fault("give either url or url_file")
        return self


class Slack(Section):
    """A Slack channel; the webhook's address is a secret and is read from a file."""

    api_url_file: FilePath
    channel: Text


class PagerDuty(Section):
    """A PagerDuty service; the routing key is a secret and is read from a file."""

    routing_key_file: FilePath


class Email(Section):
    """An address, and the server that takes the mail; its password is read from a file (Alertmanager >= 0.25)."""

    to: Address
    from_: Annotated[Address, Field(alias="from")]
    smarthost: HostAndPort
    auth_username: Text | None = None
    auth_password_file: FilePath | None = None
    require_tls: Annotated[bool, Allowed(text="give true or false")] = True

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.auth_username is None) != (self.auth_password_file is None):
            raise fault("give auth_username and auth_password_file, or neither")
        return self


class Opsgenie(Section):
    """An Opsgenie team's integration; its key is a secret and is read from a file."""

    api_key_file: FilePath
    api_url: WebAddress | None = None  # of the European instance, https://api.eu.opsgenie.com/


class MSTeams(Section):
    """A workflow of Microsoft Teams; its address is a secret and is read from a file (Alertmanager >= 0.28)."""

    webhook_url_file: FilePath


_Target = TypeVar("_Target", bound=Section)
# Tags in brackets are left out of the path that a fault names.
_OneOrSeveral = Annotated[
    Annotated[_Target, Tag("[one]")] | Annotated[tuple[_Target, ...], Field(strict=False), Tag("[several]")],
    Discriminator(lambda given: "[several]" if isinstance(given, list | tuple) else "[one]"),
]


class Receiver(Section):
    """Where one kind of alert goes; everything left out means: shown by Alertmanager, sent nowhere."""

    webhook: _OneOrSeveral[Webhook] | None = None
    slack: _OneOrSeveral[Slack] | None = None
    pagerduty: _OneOrSeveral[PagerDuty] | None = None
    email: _OneOrSeveral[Email] | None = None
    opsgenie: _OneOrSeveral[Opsgenie] | None = None
    msteamsv2: _OneOrSeveral[MSTeams] | None = None

    @property
    def targets(self) -> dict[str, tuple[Section, ...]]:
        """The targets of every kind that has any."""
        return {kind: given if isinstance(given, tuple) else (given,) for kind, given in self if given}


class Receivers(Section):
    """Who hears what; what has no receiver of its own goes to ``default``, Watchdog to nobody."""

    default: Receiver = Receiver()
    critical: Receiver | None = None
    warning: Receiver | None = None
    info: Receiver | None = None
    watchdog: Receiver | None = None


class TeamReceivers(Section):
    """Who of a team hears what; a severity without one goes to the team's default, and without that as for all."""

    default: Receiver | None = None
    critical: Receiver | None = None
    warning: Receiver | None = None
    info: Receiver | None = None


class Team(Section):
    """Alerts that go to a team rather than to all: those where every label of ``match`` has the value given."""

    name: ObjectName
    match: Match
    receivers: TeamReceivers = TeamReceivers()


class MuteTime(Section):
    """When alerts of some severities are not sent; critical ones always are."""

    name: ObjectName
    severities: Annotated[
        tuple[Literal["warning", "info"], ...],
        Field(strict=False, min_length=1),
        Allowed(text="give warning, info or both, such as [warning]; what is critical is always sent"),
    ] = ("warning", "info")
    start: Annotated[TimeOfDay, Field(alias="from")] = "00:00"
    end: Annotated[TimeOfDay, Field(alias="to")] = "24:00"  # before the start: it goes on past midnight
    weekdays: Annotated[
        tuple[Weekday, ...], Field(strict=False), Allowed(text="give a list of weekdays, such as [saturday, sunday]")
    ] = ()  # each is judged at its own time: none means every day
    location: Location = "UTC"

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.start in (self.end, "24:00"):
            raise fault(
                "give different times, and 24:00 only as the end",
                key="from",
                problem=f"got {shown(self.start)} with to {shown(self.end)}",
            )
        return self


class Alerting(Section):
    """How thresholds become alerts, and alerts messages."""

    group_by: Annotated[
        tuple[LabelName, ...],
        Field(strict=False, min_length=1),
        Allowed(text="give a list of target labels, such as [job]"),
    ] = ("job",)
    window: PrometheusDuration = Duration("5m")
    workflow_window: PrometheusDuration = Duration("1h")  # workflows are rarer than requests
    trend: Trend = Trend()
    minimum_bad_events: Count = 3  # one failed request at night is no page; five of five still is
    for_: Annotated[For, Field(alias="for")] = For()
    keep_firing_for: PrometheusDuration = Duration("2m")  # a short dip below the threshold is no recovery
    evaluation_interval: PrometheusDuration = Duration("30s")
    deployment_lookback: PrometheusDuration = Duration("15m")
    collector_queue_ratio: Ratio = 0.5  # a collector that is well empties its queue at once
    slow_scrape_seconds: Seconds = 2.5  # a quarter of the 10 s after which Prometheus gives up
    runbook_base_url: WebAddress = "https://sidelight.example/runbooks"
    notification: Notification = Notification()
    receivers: Receivers = Receivers()
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


class LatencyObjective(Section):
    """The share of requests that are to be answered within so many seconds."""

    ratio: Ratio = 0.99
    seconds: Seconds = 0.5  # becomes a bucket edge


class Objectives(Section):
    """What a service promises its users."""

    availability: Ratio = 0.999  # the share of requests that are to be answered without an error
    latency: LatencyObjective = LatencyObjective()


class LatencyObjectiveOverride(Section):
    """Another latency objective; a part that is left out stays as it is for all."""

    ratio: Ratio | None = None
    seconds: Seconds | None = None


class ObjectivesOverride(Section):
    """Other objectives where every label of ``match`` has the value given; the first override that matches counts."""

    match: Match
    availability: Ratio | None = None
    latency: LatencyObjectiveOverride = LatencyObjectiveOverride()


class Slo(Objectives):
    """Service level objectives; what they leave is the error budget of the period."""

    period: Annotated[PrometheusDuration, AfterValidator(_slo_period), Allowed(text=SLO_PERIOD)] = Duration("30d")
    overrides: Annotated[
        tuple[ObjectivesOverride, ...], Field(strict=False), Allowed(text="give a list of overrides")
    ] = ()

    def of(self, override: ObjectivesOverride) -> Objectives:
        """The objectives of what an override matches."""
        own = override.latency.model_dump(exclude_none=True)
        return Objectives(
            availability=override.availability or self.availability, latency=self.latency.model_copy(update=own)
        )

    @property
    def latencies(self) -> frozenset[float]:
        """Every latency in seconds that something is to be answered within."""
        return frozenset({self.latency.seconds, *(self.of(override).latency.seconds for override in self.overrides)})

    @model_validator(mode="after")
    def _each_match_once(self) -> Self:
        _check_matches(self.overrides)
        return self


class Budget(Section):
    """What the workflows of each service may cost in a day, which is one of UTC; no budget, no alert."""

    daily_usd: Usd | None = None
    spent_ratio: BudgetLevels = BudgetLevels()


class Http(Section):
    """How requests are recorded."""

    excluded_routes: Annotated[
        tuple[UrlPath, ...], Field(strict=False), Allowed(text="give a list of paths, such as [/health]")
    ] = ("/health", "/ready")
    duration_buckets: Edges = HTTP_SECONDS
    body_sizes: Annotated[bool, Allowed(text="give true or false")] = False  # three times the series of durations alone


class Metrics(Section):
    """The page Prometheus reads, and its bounds."""

    path: UrlPath | None = "/metrics"
    host: Text = "0.0.0.0"  # noqa: S104 - Prometheus comes from another machine; read only where a port is given
    port: Annotated[int | None, Field(ge=1, le=65535), Allowed(text="give a port from 1 to 65535, or null")] = None
    token_file: FilePath | None = None
    series_limit: Count = 2000
    exemplars: Annotated[bool | None, Allowed(text="give true, false, or null")] = None  # null: where there are traces
    scrape_interval: PrometheusDuration = Duration("15s")
    read_timeout_seconds: Annotated[  # for all queues and disks together: they are read side by side
        Seconds, Field(le=5), Allowed(text="give seconds above 0 and at most 5, since Prometheus gives up after 10")
    ] = 1.0

    @model_validator(mode="after")
    def _port_has_a_path(self) -> Self:
        if self.port is not None and self.path is None:
            raise fault("give a path too, such as /metrics, or leave the port out", key="port")
        return self


class Resources(Section):
    """What is read of the machine."""

    disk_paths: Annotated[
        tuple[Folder, ...],
        Field(strict=False, max_length=20),
        Allowed(text="give a list of at most 20 absolute paths, such as [/, /var/lib/shop]"),
    ] = ("/",)


class Users(Section):
    """How active users are counted."""

    registers: Annotated[int, AfterValidator(_registers), Allowed(text=REGISTERS)] = 1024  # a standard error of 3.25 %
    window: Annotated[PrometheusDuration, AfterValidator(_users_window), Allowed(text=USERS_WINDOW)] = Duration("60s")
    key_file: FilePath | None = None


class Redaction(Section):
    """What is masked in logs beside what always is, and what is let through."""

    keys: Annotated[
        tuple[Annotated[Text, AfterValidator(partial(_if, redaction.is_key, redaction.KEY))], ...],
        Field(strict=False),
        Allowed(text="give a list of keys, such as [diagnosis]"),
    ] = ()
    allow: Annotated[
        tuple[Annotated[Text, AfterValidator(partial(_if, redaction.is_let_through, redaction.LET_THROUGH))], ...],
        Field(strict=False),
        Allowed(text="give a list of keys and patterns that are masked, such as [session_id, email]"),
    ] = ()
    patterns: Annotated[
        tuple[Annotated[Text, AfterValidator(partial(_if, redaction.is_pattern, redaction.PATTERN))], ...],
        Field(strict=False),
        Allowed(text="give a list of regular expressions, such as ['EMP-[0-9]{6}']"),
    ] = ()


class Logging(Section):
    """Structured logs."""

    enabled: Annotated[bool, Allowed(text="give true or false")] = True  # where the service has set up none of its own
    format: LogFormat = "auto"  # columns in a terminal, else JSON
    level: LogLevel = "info"
    levels: Annotated[
        dict[LoggerName, LogLevel], Allowed(text="give loggers and their levels, such as {sqlalchemy.engine: info}")
    ] = {"httpx": "warning"}  # at info it writes the whole URL of each call
    access: Annotated[bool, Allowed(text="give true or false")] = True
    access_sample_ratio: Share = 1.0  # of the requests that succeeded; the others are all there
    correlation_id: Annotated[bool, Allowed(text="give true or false")] = True
    redaction: Redaction = Redaction()


class Audit(Section):
    """The audit trail; what seals it is a secret, and stands in a file or in the environment."""

    path: FilePath | None = None
    key_file: FilePath | None = None
    fsync: Annotated[Literal["always", "interval", "never"], Allowed(text="give always, interval or never")] = (
        "interval"
    )
    max_bytes: Annotated[
        int | None, Field(ge=1 << 20), Allowed(text="give a whole number of bytes of at least 1048576, or null")
    ] = 100 << 20  # verified in a second or two
    on_failure: Annotated[Literal["log", "raise"], Allowed(text="give log or raise")] = "log"

    @model_validator(mode="after")
    def _nothing_is_raised_without_a_path(self) -> Self:
        if self.on_failure == "raise" and self.path is None:
            raise fault("give audit.path too, since without it every entry is lost", key="on_failure")
        return self


class Tracing(Section):
    """Traces; off where no endpoint is set."""

    endpoint: WebAddress | None = None  # such as http://localhost:4318, where the sidecar listens
    protocol: Annotated[Literal["http/protobuf", "grpc"], Allowed(text="give http/protobuf or grpc")] = "http/protobuf"
    sample_ratio: Share = 1.0  # of the traces that begin here; for the others the caller has decided
    queue_size: Count = 2048  # spans that wait; about 2 kB each
    timeout_seconds: Seconds = 5.0  # of one batch, attempts again included


class Health(Section):
    """The pages that probes ask, and the end of a process."""

    live_path: UrlPath | None = "/health"
    ready_path: UrlPath | None = "/ready"
    check_timeout_seconds: Seconds = 0.8  # Kubernetes' probes wait for 1 s, by default
    cache_seconds: NoOrSomeSeconds = 1.0  # however many ask: a check shall be no load for what it asks
    drain_seconds: NoOrSomeSeconds = 0.0  # between SIGTERM and the end, not ready; where a preStop hook waits, 0


class Collector(Section):
    """The OpenTelemetry Collectors: the sidecar beside each instance, and the gateway."""

    gateway_endpoint: WebAddress = "http://sidelight-gateway.monitoring:4318"
    traces_endpoint: WebAddress = "http://tempo:4318"  # where the gateway sends what it keeps
    kept_ratio: Share = 0.1  # of the traces that are neither failed nor slow; those are all kept
    memory_limit_mib: Count = 128  # of the container; the collector refuses what would take more than four fifths
    queue_size: Count = 1000  # requests of the service, on disk
    gateways: Text | None = None  # the name that resolves to every one of several gateways; they need a balancer
    metrics: Annotated[
        Literal["scrape", "otlp", "remote_write"], Allowed(text="give scrape, otlp or remote_write; never two at once")
    ] = "scrape"  # Prometheus scrapes the services, or the collectors push
    metrics_endpoint: WebAddress | None = None  # where the gateway pushes metrics; by default Prometheus' own
    resource_attributes: Annotated[
        dict[AttributeName, Text], Allowed(text='give attributes with texts, such as {k8s.cluster.name: "north"}')
    ] = {}  # on every span and metric, where the service has not set them
    version: CollectorVersion = "0.159.0"  # whose names of components are written; 0.138 and later

    @property
    def metrics_url(self) -> str:
        """Where metrics are pushed, in the modes that push."""
        path = {"otlp": "/api/v1/otlp", "remote_write": "/api/v1/write"}.get(self.metrics, "")
        return self.metrics_endpoint or f"http://prometheus:9090{path}"


class Dashboards(Section):
    """Where the dashboards live."""

    folder: Text = "Sidelight"
    base_url: WebAddress = "https://grafana.example"
    refresh: PrometheusDuration = Duration("30s")


class Settings(Section):
    """Everything that can be set. ``Settings()`` holds the defaults; ``load_settings()`` reads file and environment."""

    service: Service = Service()
    thresholds: Thresholds = Thresholds()
    alerting: Alerting = Alerting()
    slo: Slo = Slo()
    budget: Budget = Budget()
    http: Http = Http()
    metrics: Metrics = Metrics()
    resources: Resources = Resources()
    users: Users = Users()
    logging: Logging = Logging()
    audit: Audit = Audit()
    tracing: Tracing = Tracing()
    health: Health = Health()
    collector: Collector = Collector()
    dashboards: Dashboards = Dashboards()

    @property
    def has_budget(self) -> bool:
        """Whether any service has a budget."""
        budgets = (self.budget.daily_usd, *(override.daily_usd for override in self.thresholds.overrides))
        return any(usd is not None for usd in budgets)

    @property
    def users_window(self) -> Duration:
        """``users.window``; where it is left out and scrapes are rare, two of their intervals."""
        return Duration(f"{max(self.users.window.seconds, 2 * self.metrics.scrape_interval.seconds)}s")

    @property
    def duration_edges(self) -> tuple[float, ...]:
        """Bucket edges of request durations in seconds, every latency threshold among them.

        A quantile is compared exactly with a value if and only if the value is an edge.
        """
        latencies = self.thresholds.latencies | self.slo.latencies
        edges = sorted({*self.http.duration_buckets, *latencies})
        if edges[-1] in latencies:  # a quantile never reads above the last edge, so no threshold may be the last
            edges.append(2 * edges[-1])
        return tuple(edges)

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


def load_settings(path: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings file and the environment.

    Args:
        path: The file. By default the one named by SIDELIGHT_CONFIG, else ``sidelight.yaml`` where it exists, else
            the defaults alone.
        environ: The environment; by default the process's own.

    Raises:
        SettingsError: With every fault of file and environment, one line each.
    """
    environ = os.environ if environ is None else environ
    file = _chosen_file(path, environ)
    data = {} if file is None else _read(file)
    source = DEFAULT_FILE if file is None else str(file)
    service, faults = _service_from(environ)
    try:
        settings = Settings.model_validate(data)
        if service and not faults:
            merged = settings.service.model_dump() | service
            settings = settings.model_copy(update={"service": Service.model_validate(merged)})
    except ValidationError as error:
        faults += as_faults(error, Settings, source)
    if faults:
        raise SettingsError(faults)
    return settings


def parse_settings(data: object, source: str = "settings") -> Settings:
    """Validate settings that are already in memory, such as a nested dict.

    Raises:
        SettingsError: With every fault, one line each.
    """
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsError(as_faults(error, Settings, source)) from None


def _chosen_file(path: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    named = path or environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    default = Path(DEFAULT_FILE)
    return default if default.exists() else None


class _Loader(yaml.SafeLoader):
    """YAML without the silent loss of a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


def _read(file: Path) -> object:
    try:
        with file.open("rb") as stream:
            raw = stream.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise _unreadable(
            file, f"cannot be read ({error.strerror})", "give a file that exists and may be read"
        ) from None
    if len(raw) > LARGEST_FILE_BYTES:
        raise _unreadable(file, "is larger than 1 MiB", "give a settings file, which is a few KiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(file, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    if not text.strip():
        raise _unreadable(file, "is empty", "give settings, or {} for the defaults, or remove the file")
    return _mapping(file, _parse(file, text))


def _parse(file: Path, text: str) -> object:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _unreadable(file, f"is not YAML{place} ({error.problem})", "correct the line") from None
    except (yaml.YAMLError, ValueError) as error:
        raise _unreadable(file, f"is not YAML ({str(error).splitlines()[0]})", "give YAML text") from None
    except RecursionError:
        raise _unreadable(file, "is nested too deeply", "give the keys of the reference") from None


def _mapping(file: Path, data: object) -> object:
    if data is None:  # comments alone: every default, on purpose
        return {}
    if not isinstance(data, dict):
        raise _unreadable(file, f"holds {_kind(data)}", "give a mapping of sections, such as 'service: {name: shop}'")
    return data


def _unreadable(file: Path, problem: str, allowed: str) -> SettingsError:
    return SettingsError([Fault(source=str(file), path="", problem=problem, allowed=allowed)])


_RESOURCE_KEYS = {
    "service.name": "name",
    "service.version": "version",
    "deployment.environment.name": "environment",
    "deployment.environment": "environment",  # the name before semantic conventions 1.27
}


def _service_from(environ: Mapping[str, str]) -> tuple[dict[str, str], list[Fault]]:
    service: dict[str, str] = {}
    faults: list[Fault] = []
    variable = "OTEL_RESOURCE_ATTRIBUTES"
    for pair in filter(str.strip, environ.get(variable, "").split(",")):
        key, equals, value = pair.partition("=")
        name = _RESOURCE_KEYS.get(key.strip())
        if not equals or not key.strip():
            faults.append(_environment_fault(variable, pair, "give key=value pairs with commas between them"))
        elif name:
            service.setdefault(name, unquote(value.strip()))
    if environ.get("OTEL_SERVICE_NAME"):
        service["name"] = environ["OTEL_SERVICE_NAME"]
    for name, value in service.items():
        if not 1 <= len(value) <= 200:  # noqa: PLR2004 - the bounds of Text
            faults.append(_environment_fault(variable, f"{name}={value}", "give a value of 1 to 200 characters"))
    return service, faults


def _environment_fault(variable: str, given: str, allowed: str) -> Fault:
    return Fault(source=variable, path="", problem=f"got {shown(given)}", allowed=allowed)


def _kind(value: object) -> str:
    kinds = {
        list: "a list",
        dict: "a mapping",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return kinds.get(type(value), type(value).__name__)
