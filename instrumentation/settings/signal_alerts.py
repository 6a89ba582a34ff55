"""Alerts on a signal: one of nine forms, each with levels, or an expression with examples."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from instrumentation.settings.duration import Duration
from instrumentation.settings.faults import Allowed, fault, raise_all, shown
from instrumentation.settings.types import Count, LabelName, Match, PrometheusDuration, Ratio, Section, Text

SEVERITIES = ("critical", "warning")
OURS = frozenset(
    {
        *("AuditEntriesLost", "AuditTrailWentBack", "CPUSaturated", "CollectorDroppingData"),
        *("CollectorMissing", "CollectorQueueFilling"),
        *("ConnectionPoolNearLimit", "RepeatedQueriesGrowing", "DependencyFailing"),
        *("DailyCostOverBudget", "DeploymentCompleted", "DiskFillingUp", "ErrorBudgetBurn"),
        *(
            "HealthCheckFailing",
            "HighErrorRate",
            "InstanceRestarting",
            "RequestsHanging",
            "WorkflowKeepsFailing",
            "HighLatencyP95",
            "LogLinesLost",
        ),
        *("MemoryNearLimit", "QueueBacklogGrowing", "QueueReadFailing", "ScrapeSlow"),
        *("SeriesLimitReached", "ServiceAbsent", "ServiceDown", "StoreDegraded", "Watchdog"),
        *("WorkflowFailures",),
    }
)
"""The names of Sidelight's own alerts."""

_ACTION = re.compile(
    r"""\$labels\.\w+|\$value( *\| *(humanize|humanizePercentage|humanizeDuration|printf "%\.[012]f"))?"""
)
_ALERT_NAME = "give a name such as OrdersStopped: letters and digits, starting with a capital letter"
_THRESHOLD = "give a number, a duration such as 2h, or for outside two numbers such as [10, 90]"


def _alert_name(value: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]{2,63}", value):
        raise fault(_ALERT_NAME)
    if value in OURS:
        raise fault("give another name, because Sidelight has an alert with this one")
    return value


def _threshold(given: Any) -> float | Duration | tuple[float, float]:
    if _is_number(given):
        return float(given)
    if isinstance(given, str) and Duration(given).seconds > 0:
        return Duration(given)
    if isinstance(given, list | tuple) and len(given) == 2 and all(map(_is_number, given)):  # noqa: PLR2004 - low and high
        return float(given[0]), float(given[1])
    raise fault(_THRESHOLD)


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)


AlertName = Annotated[Text, AfterValidator(_alert_name), Allowed(text=_ALERT_NAME)]
Threshold = Annotated[Any, PlainValidator(_threshold), Allowed(text=_THRESHOLD)]
LongText = Annotated[str, Field(min_length=1, max_length=2000), Allowed(text="give a text of 1 to 2000 characters")]


class SignalLevels(Section):
    """A warning and a critical threshold, or one of them."""

    warning: Threshold | None = None
    critical: Threshold | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Severity to threshold, without those that are not set."""
        return {name: getattr(self, name) for name in SEVERITIES if getattr(self, name) is not None}


class SignalOverride(SignalLevels):
    """Thresholds for services whose labels equal those of ``match``; the first override that matches applies."""

    match: Match


class _OneSided(Section):
    above: SignalLevels | None = None
    below: SignalLevels | None = None

    @property
    def is_below(self) -> bool:
        """Whether a value below the level is wrong."""
        return self.below is not None


class Rate(_OneSided):
    """How much a counter increased within a time."""

    per: PrometheusDuration = Duration("1h")


class Share(_OneSided):
    """The events with some values of labels, as a share of all events of the signal or of another one."""

    of: Annotated[
        dict[LabelName, Text | Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]],
        Allowed(text="give labels with one value or several, such as {outcome: [declined, failed]}"),
    ] = Field(default={})
    to: Text | None = None  # another counter; by default this one


class Value(_OneSided):
    """The value of a gauge."""

    outside: SignalLevels | None = None


class Quantile(Section):
    """The value that a share of the observations stay within."""

    q: Ratio = 0.95
    above: SignalLevels | None = None


class Growth(Section):
    """How much a gauge increased within a time; a short peak or gap at either end is ignored."""

    above: SignalLevels | None = None
    per: PrometheusDuration = Duration("1h")


class Example(Section):
    """A test of an expression: some series, and whether the alert fires for them."""

    series: Annotated[
        dict[Text, Text],
        Field(min_length=1),
        Allowed(text='give series with one value a minute, such as {\'a_total{job="shop"}\': "0+1x60"}'),
    ]
    at: PrometheusDuration
    fires: Annotated[bool, Allowed(text="give true or false")]


class SignalAlert(Section):
    """One alert on a signal; exactly one of the forms is given."""

    alert: AlertName
    rate: Rate | None = None
    ratio: Share | None = None
    value: Value | None = None
    quantile: Quantile | None = None
    growth: Growth | None = None
    age: SignalLevels | None = None  # of the time that a gauge holds, in seconds since 1970
    late: SignalLevels | None = None  # after a job's `every`
    absent: SignalLevels | None = None  # for how long there was no series
    expr: LongText | None = None
    examples: Annotated[tuple[Example, ...], Field(strict=False), Allowed(text="give a list of examples")] = ()
    severity: (
        Annotated[Literal["critical", "warning", "info"], Allowed(text="give critical, warning or info")] | None
    ) = None  # of an expression
    by: Annotated[tuple[LabelName, ...], Field(strict=False), Allowed(text="give labels, such as [channel]")] = ()
    window: PrometheusDuration | None = None  # by default alerting.window
    for_: Annotated[PrometheusDuration | None, Field(alias="for")] = None  # by default that of the severity
    minimum_events: Count | None = None  # by default alerting.minimum_bad_events
    overrides: Annotated[tuple[SignalOverride, ...], Field(strict=False), Allowed(text="give a list of overrides")] = ()
    team: Text | None = None  # the label team of the alert, by which alerting.teams can route
    labels: Annotated[dict[LabelName, Text], Allowed(text="give labels with texts")] = Field(default={})
    summary: LongText | None = None
    description: LongText | None = None
    runbook: Text | None = None  # an address, or a file with the section "What to do" of its page

    @property
    def form(self) -> str:
        """The name of its form."""
        return next(name for name in FORMS if getattr(self, name) is not None)

    @property
    def direction(self) -> str:
        """``above``, ``below`` or ``outside``: where values are wrong."""
        holder = getattr(self, self.form)
        return next((name for name in ("below", "outside") if getattr(holder, name, None) is not None), "above")

    @property
    def levels(self) -> SignalLevels:
        """The levels for all."""
        holder = getattr(self, self.form)
        found = holder if isinstance(holder, SignalLevels) else getattr(holder, self.direction, None)
        return found or SignalLevels()

    @property
    def slug(self) -> str:
        """Its name as a part of names of recorded series.

        >>> SignalAlert.model_construct(alert="OrdersStopped").slug
        'orders_stopped'
        """
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", self.alert).lower()

    def problems(self) -> Iterator[PydanticCustomError]:
        """The faults of this alert that do not depend on its signal."""
        forms = [name for name in FORMS if getattr(self, name) is not None]
        if len(forms) != 1:
            given = f"got {' and '.join(forms)}" if forms else "got none of the forms"
            yield fault(f"give exactly one of {', '.join(FORMS)}", key=forms[1] if forms else "", problem=given)
            return
        for key, users in _USED_BY.items():
            if getattr(self, "for_" if key == "for" else key) and forms[0] not in users:
                yield fault("leave it out", key=key, problem=f"got a key that the form {forms[0]} does not use")
        if self.expr is not None:
            yield from _expression(self)
        else:
            yield from _texts(self)
            yield from _levels(self)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        raise_all(self.problems())
        return self


class _Form(NamedTuple):
    """The thresholds that a form allows."""

    fits: Callable[[Any], bool]
    allowed: str


def _is_float(given: Any) -> bool:
    return isinstance(given, float)


_LENGTH = _Form(lambda given: isinstance(given, Duration), "give a duration, such as 2h")
FORMS: Mapping[str, _Form] = {
    "rate": _Form(lambda given: _is_float(given) and given >= 0, "give a number of at least 0, such as 10"),
    "ratio": _Form(lambda given: _is_float(given) and 0 < given < 1, "give a ratio between 0 and 1, such as 0.05"),
    "value": _Form(_is_float, "give a number, such as 10"),
    "quantile": _Form(lambda given: _is_float(given) and given > 0, "give a number above 0, such as 0.8"),
    "growth": _Form(lambda given: _is_float(given) and given > 0, "give a number above 0, such as 100"),
    "age": _LENGTH,
    "late": _LENGTH,
    "absent": _LENGTH,
    "expr": _Form(lambda _: False, ""),
}
"""Form to the thresholds that it allows."""

_PAIR = _Form(
    lambda given: isinstance(given, tuple) and given[0] < given[1],
    "give the lowest and the highest good value, such as [10, 90]",
)
_OF_LEVELS = tuple(name for name in FORMS if name != "expr")
_USED_BY: Mapping[str, tuple[str, ...]] = {
    "examples": ("expr",),
    "severity": ("expr",),
    "window": ("ratio", "quantile", "growth"),
    "minimum_events": ("ratio", "quantile"),
    "by": _OF_LEVELS,
    "overrides": _OF_LEVELS,
}


def _expression(alert: SignalAlert) -> Iterator[PydanticCustomError]:
    if alert.severity is None:
        yield fault("give critical, warning or info", key="severity", problem="got nothing")
    if alert.summary is None:
        yield fault("give a sentence that says what is wrong", key="summary", problem="got nothing")
    if {example.fires for example in alert.examples} != {True, False}:
        yield fault(
            "give at least one example that fires and one that does not; they become tests",
            key="examples",
            problem=f"got {len(alert.examples)} examples" if alert.examples else "got nothing",
        )


def _texts(alert: SignalAlert) -> Iterator[PydanticCustomError]:
    """Texts whose templates the generated tests can render, since they compare the sentence that a person reads."""
    for key in ("summary", "description"):
        for action in re.findall(r"\{\{(.*?)\}\}", getattr(alert, key) or ""):
            if not _ACTION.fullmatch(action.strip()):
                yield fault(
                    "give {{ $labels.job }}, {{ $value }}, or {{ $value | humanize }}, humanizePercentage, humanizeDuration "
                    'or printf "%.2f"',
                    key=key,
                    problem=f"got the template {shown(action.strip())}",
                )


def _levels(alert: SignalAlert) -> Iterator[PydanticCustomError]:
    holder, form = getattr(alert, alert.form), alert.form
    given = [name for name in ("above", "below", "outside") if getattr(holder, name, None) is not None]
    if len(given) > 1:
        yield fault(
            "give one of them, and declare another alert for the other", key=form, problem=f"got {' and '.join(given)}"
        )
        return
    place = form if isinstance(holder, SignalLevels) else f"{form}.{alert.direction}"
    base = alert.levels.given
    if not base:
        yield fault("give a threshold for warning, for critical or for both", key=place, problem="got nothing")
    expected = _PAIR if alert.direction == "outside" else FORMS[form]
    places = {place: base, **{f"overrides.{index}": each.given for index, each in enumerate(alert.overrides)}}
    fits = True
    for key, levels in places.items():
        for severity, threshold in levels.items():
            if not expected.fits(threshold):
                fits = False
                yield fault(expected.allowed, key=f"{key}.{severity}", problem=f"got {shown(threshold)}")
    for key, levels in places.items() if fits else ():
        merged = {**base, **levels}
        if len(merged) == len(SEVERITIES) and not _is_ordered(alert.direction, merged["warning"], merged["critical"]):
            yield fault(
                "give a warning that comes before critical",
                key=key,
                problem=f"got warning {shown(merged['warning'])} and critical {shown(merged['critical'])}",
            )
    yield from _of_form(alert)


def _is_ordered(direction: str, warning: Any, critical: Any) -> bool:
    if direction == "outside":
        return bool(critical[0] <= warning[0] and warning[1] <= critical[1])
    first, second = (each.seconds if isinstance(each, Duration) else each for each in (warning, critical))
    return bool(first >= second if direction == "below" else first <= second)


def _of_form(alert: SignalAlert) -> Iterator[PydanticCustomError]:
    if alert.ratio is not None and not alert.ratio.of and alert.ratio.to is None:
        yield fault("give of, to or both", key="ratio", problem="got a ratio of all events to all events")
    if alert.rate is not None and alert.direction == "below" and 0 in alert.levels.given.values():
        yield fault("give a number above 0, since no count is below 0", key="rate.below", problem="got 0")
