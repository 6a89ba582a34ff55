"""RequestsHanging: requests are in progress and none ends, so neither errors nor latency can be measured."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.links import urls
from alerts.model import AlertRule, RecordingRule, event_count
from alerts.recording.counting import totals
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import At, Clock, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import Story, service_labels, story_test
from alerts.thresholds import SEVERITIES, Level
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from instrumentation.settings import Settings

NAME = "RequestsHanging"
_ACTIVE, _STREAMS = catalog.HTTP_SERVER_ACTIVE_REQUESTS.name, catalog.HTTP_SERVER_ACTIVE_STREAMS.name


def _in_progress(settings: Settings, *parts: str) -> str:
    return f"{'_'.join((recorded(settings).level, *parts))}:{_ACTIVE}:sum"


def active_request_rules(settings: Settings) -> list[RecordingRule]:
    """Requests in progress, without streams, which may stay open for hours: of each instance, and of each service."""
    active, streams, each = totals(settings, _ACTIVE), totals(settings, _STREAMS), _in_progress(settings, "instance")
    return [
        RecordingRule(record=each, expr=f"{active}\n- ({streams} or 0 * {active})"),
        RecordingRule(record=_in_progress(settings), expr=f"sum by ({recorded(settings).by}) ({each})"),
    ]


def requests_hanging(settings: Settings) -> list[AlertRule]:
    """Two rules: it is critical that no request of the service is answered, and a warning that none of an instance is."""
    of, each = recorded(settings), _in_progress(settings, "instance")
    none_of_an_instance = textwrap.indent(
        f"{_stays(settings, each)}\nand changes({of.request_totals}[{of.window}]) == 0", "  "
    )
    return [
        _rule(
            settings,
            "critical",
            f"{_stays(settings, _in_progress(settings))}\nand {of.requests} == 0",
            "Requests are hanging.",
            "{{ $labels.job }} has",
        ),
        _rule(
            settings,
            "warning",
            f"sum by ({of.by}) (\n{none_of_an_instance}\n)",
            "Requests are hanging on some instances.",
            "Some instances of {{ $labels.job }} have",
        ),
    ]


def _stays(settings: Settings, active: str) -> str:
    window = recorded(settings).window
    least = "[[minimum_bad_events]]"
    return f"min_over_time({active}[{window}]) >= {least}\nand {active} offset {window} >= {least}"


def _rule(settings: Settings, severity: str, expr: str, summary: str, subject: str) -> AlertRule:
    return AlertRule(
        alert=NAME,
        key=severity,
        severity=getattr(settings.alerting.severities, severity),
        expr=expr,
        parameters={"minimum_bad_events": event_count(settings.alerting.minimum_bad_events)},
        for_=getattr(settings.alerting.for_, severity),
        keep_firing_for=settings.alerting.keep_firing_for,
        summary=summary,
        description=(
            f'{subject} had {{{{ $value | printf "%.0f" }}}} requests or more in progress for the last '
            f"{recorded(settings).window}, and none of them has ended."
        ),
        identity=settings.alerting.group_by,
        urls=urls(settings, NAME),
    )


def requests_hanging_tests(settings: Settings) -> list[RuleTest]:
    """Enough hanging requests; too few; requests that end; one instance; streams; new requests; and that the alert resolves."""
    rules = requests_hanging(settings)
    moments = clock(settings, rules, range_=2 * settings.alerting.window.seconds)
    level_rules = [(Level(severity=rule.key, threshold=0, match={}, before=()), rule) for rule in rules]
    least = settings.alerting.minimum_bad_events
    labels = {**service_labels(settings), "job": "hangs"}
    return [
        story_test(settings, level_rules, list(_stories(moments, least)), moments=moments, label="job"),
        RuleTest(
            name=f"{NAME} resolves once requests end",
            series=(_info(labels, moments.resolved // moments.step), _active(labels, moments.gauge(least, 0))),
            alerts=(At(seconds=moments.resolved, alert=NAME),),
        ),
    ]


def _stories(moments: Clock, least: int) -> Iterator[Story]:
    steps = moments.fires // moments.step
    late = moments.settings.alerting.window.seconds // moments.step - 1

    def story(  # noqa: PLR0913 - by keyword, and with a default
        name: str,
        active: str,
        *,
        ended: str = "",
        streams: str = "",
        others: str = "",
        fires: tuple[str, ...] = (),
    ) -> Story:
        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            own = {**labels, "instance": "a"}
            yield _info(labels, steps)
            yield _active(labels, active)
            for instance, values in {"a": ended, "b": others}.items():
                if values:
                    yield _ended({**labels, "instance": instance}, values)
            if streams:
                yield Series(name=_STREAMS, labels={**own, "http_route": "/events"}, values=streams)

        return Story(name=name, series=series, fires=fires, value=least)

    yield story("enough-hang", f"{least}x{steps}", fires=SEVERITIES)
    yield story("one-instance-hangs", f"{least}x{steps}", others=f"0+1x{steps}", fires=("warning",))
    yield story("too-few-hang", f"{least - 1}x{steps}")
    yield story("busy-and-answers", f"{least}x{steps}", ended=f"0+1x{steps}")
    yield story("streams-are-open", f"{least}x{steps}", streams=f"{least}x{steps}")
    yield story("they-are-new", f"_x{steps - late} {least}x{late}")


def _ended(labels: Mapping[str, str], values: str) -> Series:
    status = {"http_route": "/", "http_response_status_code": "200", "error_type": ""}
    return Series(name=f"{catalog.HTTP_SERVER_REQUEST_DURATION.name}_count", labels={**labels, **status}, values=values)


def _info(labels: Mapping[str, str], steps: int) -> Series:
    own = {**labels, "instance": "a", "service_version": "1.7.3"}
    return Series(name=catalog.TARGET_INFO.name, labels=own, values=f"1x{steps}")


def _active(labels: Mapping[str, str], values: str) -> Series:
    return Series(name=_ACTIVE, labels={**labels, "instance": "a", "http_request_method": "GET"}, values=values)


REQUESTS_HANGING = Alert(
    name=NAME,
    group="hanging",
    meaning="requests are in progress and none of them ends",
    rules=requests_hanging,
    tests=requests_hanging_tests,
)
