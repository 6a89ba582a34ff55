"""ErrorBudgetBurn: the burn rate of a service is so high that its error budget is spent long before the period is over.

It uses the multi-window burn rates of the SRE workbook (Beyer et al., 2018, chapter 5): the long window shows that the loss
matters, the short one that it continues. Both are computed from series that the other HTTP alerts record as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alerts.alert import Alert
from alerts.conditions.error_rate import NAME as HIGH_ERROR_RATE
from alerts.conditions.latency import NAME as HIGH_LATENCY_P95
from alerts.links import urls
from alerts.model import AlertRule, Parameter, RecordingRule, event_count, number
from alerts.recording.counting import QUARTER, once_a_quarter
from alerts.recording.override_thresholds import by_match, constants
from alerts.recording.services import recorded, slower
from alerts.rule_tests.promtool import At, Firing, RuleTest, Series, Value
from alerts.rule_tests.threshold_tests import service_labels
from alerts.thresholds import SEVERITIES
from instrumentation import catalog
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from alerts.recording.services import Recorded
    from instrumentation.settings import Objectives, Settings

NAME = "ErrorBudgetBurn"
AVAILABILITY, LATENCY = "availability", "latency"

THRESHOLD_ALERTS = {AVAILABILITY: HIGH_ERROR_RATE, LATENCY: HIGH_LATENCY_P95}
"""For each objective, the alert that compares the same requests with a threshold and fires earlier if many are bad."""


@dataclass(frozen=True, kw_only=True)
class Burn:
    """A burn rate at which an alert fires.

    Attributes:
        severity: The severity of the alert.
        share: The share of the budget that is spent within the long window.
        long: The window that shows that the loss matters.
        short: The window that shows that the loss continues; a twelfth of the long one.
    """

    severity: str
    share: float
    long: Duration
    short: Duration

    def factor(self, period: Duration) -> float:
        """The burn rate; at least 1, because the budget lasts for its period at a lower one.

        >>> [round(burn.factor(Duration("30d")), 3) for burn in BURNS]
        [14.4, 6.0, 3.0, 1.0]
        """
        return max(1.0, round(self.share * period.seconds / self.long.seconds, 3))


BURNS = (
    Burn(severity="critical", share=0.02, long=Duration("1h"), short=Duration("5m")),
    Burn(severity="critical", share=0.05, long=Duration("6h"), short=Duration("30m")),
    Burn(severity="warning", share=0.1, long=Duration("1d"), short=Duration("2h")),
    Burn(severity="warning", share=0.1, long=Duration("3d"), short=Duration("6h")),
)
"""The burn rates of the SRE workbook; the last two are those for which it opens tickets."""


def bad_request_rules(settings: Settings) -> list[RecordingRule]:
    """Bad requests by objective. They belong to the group that counts requests, because they copy counts of the same evaluation.

    A rule of another group could read the counts of an evaluation twice, or not at all.
    """
    of = recorded(settings)
    return [
        RecordingRule(record=of.new_bad, expr=_by_slo([(AVAILABILITY, of.new_errors), (LATENCY, _slow(settings))])),
        RecordingRule(record=of.bad_by_quarter, expr=once_a_quarter(settings, of.new_bad)),
        RecordingRule(record=of.requests_by_quarter, expr=once_a_quarter(settings, of.new_requests)),
    ]


def slo_rules(settings: Settings) -> list[RecordingRule]:
    """Objectives, the burn rate of every window, and the error budget that is left."""
    of, period = recorded(settings), settings.slo.period
    windows = dict.fromkeys([*sorted((w for burn in BURNS for w in (burn.short, burn.long)), key=_seconds), period])
    return [
        RecordingRule(record=of.objective, expr=_by_slo(_objective(settings, slo) for slo in (AVAILABILITY, LATENCY))),
        *(_burn_rule(settings, window) for window in windows),
        RecordingRule(record=of.budget_left, expr=f"1 - {of.budget_burn(period)}", shown=True),
    ]


def _burn_rule(settings: Settings, window: Duration) -> RecordingRule:
    of = recorded(settings)
    return RecordingRule(
        record=of.budget_burn(window),
        expr=(
            f"{_count(of.new_bad, of.bad_by_quarter, window)}\n"
            f"/ on ({of.by}) group_left () ({_count(of.new_requests, of.requests_by_quarter, window)} > 0)\n"
            f"/ on ({of.by_with('slo')}) (1 - {of.objective})"
        ),
        shown=window == BURNS[0].long,
    )


def _count(series: str, quarters: str, window: Duration) -> str:
    """The number of events within a window. Windows of a day and more read quarters, because all samples would be too many.

    A subquery is not used: it has no point while a series pauses, and is ten times slower over many blocks. Quarters start at fixed
    times of the clock. A service that is too young for a complete quarter uses the samples that it has.
    """
    is_long = window.seconds >= Duration("1d").seconds
    return (
        f"(sum_over_time({quarters}[{window}]) or sum_over_time({series}[{QUARTER}]))"
        if is_long
        else f"sum_over_time({series}[{window}])"
    )


def _seconds(window: Duration) -> int:
    return window.seconds


def _by_slo(series: Iterable[tuple[str, str]]) -> str:
    return "\nor\n".join(f'label_replace({expr}, "slo", "{slo}", "", "")' for slo, expr in series)


def _objective(settings: Settings, slo: str) -> tuple[str, str]:
    def ratio(own: Objectives) -> float:
        return own.availability if slo == AVAILABILITY else own.latency.ratio

    return slo, constants(recorded(settings).requests, _of_services(settings, ratio))


def _slow(settings: Settings) -> str:
    """New requests that took longer than the objective allows."""
    buckets = recorded(settings).new_in_buckets
    return by_match(
        _of_services(settings, lambda own: own.latency.seconds),
        lambda which, edge: f"clamp_min({slower(settings, buckets, number(edge), *which)}, 0)",
    )


def _of_services(settings: Settings, objective: Callable[[Objectives], float]) -> list[tuple[Mapping[str, str], float]]:
    """The labels of each override with its objective, and last the default for all services."""
    own = [(override.match, objective(settings.slo.of(override))) for override in settings.slo.overrides]
    return [*own, ({}, objective(settings.slo))]


# --- The alert -------------------------------------------------------------------------------------------------------


def error_budget_burn(settings: Settings) -> list[AlertRule]:
    """One rule for each severity, for all objectives."""
    return [_rule(settings, severity, [burn for burn in BURNS if burn.severity == severity]) for severity in SEVERITIES]


def _rule(settings: Settings, severity: str, burns: list[Burn]) -> AlertRule:
    of, period, longest = recorded(settings), settings.slo.period, burns[-1].long
    paces = "\nor\n".join(_pace_exceeded(of, burn) for burn in burns)
    bad = _count(of.new_bad, of.bad_by_quarter, longest)
    paged = (
        f"\nunless on ({of.by_with('slo')}) (\n{_paged(settings, burns[-1].short)}\n)" if severity == "critical" else ""
    )
    return AlertRule(
        alert=NAME,
        key=severity,
        severity=getattr(settings.alerting.severities, severity),
        expr=f"({paces})\nand\n{bad} >= [[minimum_bad_events]]{paged}",
        parameters={
            **{f"burn_{burn.long}": Parameter(burn.factor(period)) for burn in burns},
            "minimum_bad_events": event_count(settings.alerting.minimum_bad_events),
        },
        for_=getattr(settings.alerting.for_, severity),
        keep_firing_for=settings.alerting.keep_firing_for,
        summary="The error budget is burning too fast.",
        description=(
            "{{ $labels.job }} is burning its {{ $labels.slo }} error budget at "
            '{{ $value | printf "%.1f" }}x the sustainable rate ' + f"({period} period)."
        ),
        identity=settings.alerting.group_by,
        urls=urls(settings, NAME),
    )


def _pace_exceeded(of: Recorded, burn: Burn) -> str:
    """That both windows burn faster than the pace.

    A service with a request an hour has none in most short windows. If all of its requests fail, it has not recovered.
    """
    long, short, pace = of.budget_burn(burn.long), of.budget_burn(burn.short), f"[[burn_{burn.long}]]"
    return f"({long} > {pace} and ({short} > {pace} or {long} * (1 - {of.objective}) > 0.9999 unless {short}))"


def _paged(settings: Settings, memory: Duration) -> str:
    """The objectives whose threshold alert was critical within the window: one incident sends one page."""
    by = recorded(settings).by
    firing = f'alertstate="firing", severity="{settings.alerting.severities.critical}"'
    return _by_slo(
        (slo, f'max by ({by}) (max_over_time(ALERTS{{alertname="{alert}", {firing}}}[{memory}]))')
        for slo, alert in THRESHOLD_ALERTS.items()
    )


# --- Tests ------------------------------------------------------------------------------------------------------------

_EACH = 1_000_000  # requests per sample
_CALM, _BUSY = Duration("6h"), Duration("1h30m")


@dataclass(frozen=True, kw_only=True)
class _Story:
    """Hours of a service; there are no older samples, so longer windows contain the same ones.

    Attributes:
        name: Describes what happens; it is also the service's job.
        before: The burn rate at first.
        after: The burn rate later.
        slo: The objective that is burnt.
        fires: The severities that fire at the end.
    """

    name: str
    before: float
    after: float
    slo: str = AVAILABILITY
    fires: tuple[str, ...] = ()


def error_budget_burn_tests(settings: Settings) -> list[RuleTest]:
    """Just above and below every burn rate, for both objectives, and a burn that is over."""
    fast, slow, *_, least = (burn.factor(settings.slo.period) for burn in BURNS)
    page = () if _is_paged(settings, 1.02 * fast) else ("critical",)
    steady = [
        _Story(name=f"{share:.0%} of {pace:g} in {slo}", before=share * pace, after=share * pace, slo=slo, fires=fires)
        for pace, above, below in ((slow, SEVERITIES, ("warning",)), (least, ("warning",), ()))
        for share, fires in ((1.02, above), (0.98, below))
        for slo in (AVAILABILITY, LATENCY)
    ]
    changing = [
        _Story(name="an hour above the fast pace", before=0, after=1.02 * fast, fires=page),
        _Story(name="an hour below the fast pace", before=0, after=0.98 * fast),
        _Story(name="an outage that is over", before=1.02 * fast, after=0),
    ]
    return [
        _steady_test(settings, steady),
        _changing_test(settings, changing),
        _rare_test(settings),
        _hourly_test(settings),
        _outage_test(settings),
    ]


def _every_three_minutes(settings: Settings) -> Settings:
    alerting = settings.alerting.model_copy(update={"evaluation_interval": Duration("3m")})
    return settings.model_copy(update={"alerting": alerting})


def _steady_test(settings: Settings, stories: list[_Story]) -> RuleTest:
    firing = tuple(
        Firing(rule=rule, labels={**_labels(settings, story), "slo": story.slo}, value=_pace(settings, story))
        for story in stories
        for rule in error_budget_burn(settings)
        if rule.level in story.fires
    )
    check = At(seconds=_CALM.seconds + _BUSY.seconds, alert=NAME, firing=firing)
    return _test(settings, f"{NAME} fires above each steady burn rate, and is silent below", stories, alerts=(check,))


def _changing_test(settings: Settings, stories: list[_Story]) -> RuleTest:
    """Longer windows mix both burn rates, so this checks only whether the critical alert fires."""
    end = _CALM.seconds + _BUSY.seconds
    checks = tuple(_pages(settings, story.name, end, fires=bool(story.fires)) for story in stories)
    return _test(settings, f"{NAME} fires after an hour above its pace, and resolves", stories, values=checks)


def _is_paged(settings: Settings, pace: float) -> bool:
    """Whether this burn rate exceeds the threshold of HighErrorRate, which then pages instead."""
    return pace * (1 - settings.slo.availability) > settings.thresholds.error_ratio.critical


def _rare_test(settings: Settings) -> RuleTest:
    """Few failures of services that are new or were absent: the missing part of a window adds no requests."""
    step, least = _interval(settings).seconds, settings.alerting.minimum_bad_events
    here, away = Duration("45m").seconds // step, Duration("2h15m").seconds // step
    end, recent = 2 * here + away, 4 * 60 // step  # so recent that they are within the shortest window
    before = {"young": f"_x{here + away}", "back": f"0x{here - 2} stale _x{away}"}
    enough = BURNS[0].factor(settings.slo.period) * (1 - settings.slo.availability)
    share = (
        enough + settings.thresholds.error_ratio.critical
    ) / 2  # a burn rate that fires, below the threshold of HighErrorRate
    can_fire = enough < share
    requests = round(least / share)

    def series(job: str, failed: int) -> Iterator[Series]:
        own = {**service_labels(settings), "job": job, "instance": "a"}
        name, earlier = f"{catalog.HTTP_SERVER_REQUEST_DURATION.name}_count", before[job.partition(" ")[0]]
        for error_type, count in (("", requests - failed), ("500", failed)):
            values = f"{earlier} 0x{here - recent - 1} {count}x{recent}"
            yield Series(name=name, labels={**own, "error_type": error_type}, values=values)

    jobs = {f"{name} with {failed}": failed for name in before for failed in (least - 1, least)}
    return RuleTest(
        name=f"{NAME} fires for {least} failures of a service that is young or was away, and not for {least - 1}",
        series=tuple(one for job, failed in jobs.items() for one in series(job, failed)),
        values=tuple(
            _pages(settings, job, end * step, fires=can_fire and failed == least) for job, failed in jobs.items()
        ),
        interval=_interval(settings),
    )


def _hourly_test(settings: Settings) -> RuleTest:
    """A request comes now and then, and all of them fail: the alert fires without a pause, although short windows are empty."""
    step, every, end = _interval(settings).seconds, Duration("40m").seconds, Duration("12h").seconds
    watched = Duration("4h").seconds
    own = {**service_labels(settings), "job": "rare", "instance": "a"}
    counter = " ".join(f"{number}x{every // step - 1}" for number in range(end // every + 1))
    firing = f'ALERTS{{alertname="{NAME}", alertstate="firing", job="rare"}}'
    each = watched // settings.alerting.evaluation_interval.seconds - 1
    always = f"count_over_time({firing}[{watched}s]) >= {each}"
    return RuleTest(
        name=f"{NAME} fires without a pause if every request fails and there is one in forty minutes",
        series=(
            Series(name=catalog.TARGET_INFO.name, labels=own, values=f"1x{end // step}"),
            Series(
                name=f"{catalog.HTTP_SERVER_REQUEST_DURATION.name}_count",
                labels={**own, "error_type": "500"},
                values=counter,
            ),
        ),
        values=(Value(seconds=end, expr=f"count by (job) ({always})", labels={"job": "rare"}, value=2),),
        interval=_interval(settings),
    )


def _outage_test(settings: Settings) -> RuleTest:
    """All requests fail for half an hour: HighErrorRate pages, ErrorBudgetBurn does not, neither during the outage nor after it."""
    step = _interval(settings).seconds
    calm, outage, after = (Duration(length).seconds // step for length in ("1h", "30m", "1h"))
    own = {**service_labels(settings), "job": "outage", "instance": "a"}
    name, end = f"{catalog.HTTP_SERVER_REQUEST_DURATION.name}_count", (calm + outage + after) * step
    good = f"0+7x{calm} {7 * calm}x{outage - 1} {7 * calm}+7x{after}"
    bad = f"0x{calm} 7+7x{outage - 1} {7 * outage}x{after}"
    either, severity = f"{NAME}|{HIGH_ERROR_RATE}", settings.alerting.severities.critical
    ever = f'ALERTS{{alertname=~"{either}", alertstate="firing", severity="{severity}"}}[{end}s]'
    return RuleTest(
        name=f"{NAME} is not critical during an outage for which {HIGH_ERROR_RATE} is critical, nor after it",
        series=(
            Series(name=name, labels={**own, "error_type": ""}, values=good),
            Series(name=name, labels={**own, "error_type": "500"}, values=bad),
        ),
        values=(
            Value(
                seconds=end,
                expr=f"count by (alertname) (count_over_time({ever}))",
                labels={"alertname": HIGH_ERROR_RATE},
                value=1,
            ),
        ),
        interval=_interval(settings),
    )


def _pages(settings: Settings, job: str, seconds: int, *, fires: bool) -> Value:
    """Whether the critical alert of a service fires."""
    severity = settings.alerting.severities.critical
    firing = f'ALERTS{{alertname="{NAME}", alertstate="firing", job="{job}", severity="{severity}"}}'
    return Value(seconds=seconds, expr=f"count by (job) ({firing})", labels={"job": job}, value=1 if fires else None)


def _test(settings: Settings, name: str, stories: list[_Story], **checks: Any) -> RuleTest:
    interval = _interval(settings)
    series = tuple(one for story in stories for one in _history(settings, story, interval.seconds))
    return RuleTest(name=name, series=series, interval=interval, **checks)


def _interval(settings: Settings) -> Duration:
    return Duration.of(min(settings.alerting.window.seconds // 4, 60))


def _labels(settings: Settings, story: _Story) -> dict[str, str]:
    return {**service_labels(settings), "job": story.name}


def _allowed(settings: Settings, story: _Story) -> float:
    return 1 - (settings.slo.availability if story.slo == AVAILABILITY else settings.slo.latency.ratio)


def _pace(settings: Settings, story: _Story) -> float:
    return round(_EACH * story.after * _allowed(settings, story)) / _EACH / _allowed(settings, story)


def _history(settings: Settings, story: _Story, step: int) -> Iterator[Series]:
    """Good and bad requests. Bad ones fail or are slow, depending on the objective."""
    bad = [round(_EACH * pace * _allowed(settings, story)) for pace in (story.before, story.after)]
    good = [_EACH - count for count in bad]

    def counter(before: int, after: int) -> str:
        calm, busy = _CALM.seconds // step, _BUSY.seconds // step
        return f"0+{before}x{calm} {before * calm + after}+{after}x{busy}"

    name = catalog.HTTP_SERVER_REQUEST_DURATION.name
    own = {**_labels(settings, story), "instance": "a", "http_route": "/", "http_response_status_code": "200"}
    if story.slo == AVAILABILITY:
        yield Series(name=f"{name}_count", labels={**own, "error_type": ""}, values=counter(*good))
        yield Series(name=f"{name}_count", labels={**own, "error_type": "500"}, values=counter(*bad))
    else:
        edge = str(float(settings.slo.latency.seconds))
        yield Series(name=f"{name}_count", labels={**own, "error_type": ""}, values=counter(_EACH, _EACH))
        for le, values in ((edge, counter(*good)), ("+Inf", counter(_EACH, _EACH))):
            yield Series(name=f"{name}_bucket", labels={**own, "error_type": "", "le": le}, values=values)


ERROR_BUDGET_BURN = Alert(
    name=NAME,
    group="slo",
    meaning="a service burns its error budget much faster than its period allows",
    rules=error_budget_burn,
    tests=error_budget_burn_tests,
    pace=_every_three_minutes,
)
