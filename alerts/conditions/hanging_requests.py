"""RequestsHanging: requests are in progress and none ends, so neither errors nor latency can be measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.links import urls
from alerts.model import AlertRule, RecordingRule, event_count
from alerts.recording.counting import totals
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import At, Clock, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import Story, service_labels, story_test
from alerts.thresholds import Level
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from instrumentation.settings import Settings

NAME = "RequestsHanging"
_ACTIVE, _STREAMS = catalog.HTTP_SERVER_ACTIVE_REQUESTS.name, catalog.HTTP_SERVER_ACTIVE_STREAMS.name


def _in_progress(settings: Settings) -> str:
    return f"{recorded(settings).level}:{_ACTIVE}:sum"


def active_request_rules(settings: Settings) -> list[RecordingRule]:
    """Requests in progress, without streams, which may stay open for hours."""
    by = recorded(settings).by
    active, streams = (f"sum by ({by}) ({totals(settings, metric)})" for metric in (_ACTIVE, _STREAMS))
    return [RecordingRule(record=_in_progress(settings), expr=f"{active}\n- ({streams} or 0 * {active})")]


def requests_hanging(settings: Settings) -> list[AlertRule]:
    """One rule. It is critical, because no request is answered."""
    of, active = recorded(settings), _in_progress(settings)
    return [
        AlertRule(
            alert=NAME,
            key="critical",
            severity=settings.alerting.severities.critical,
            expr=(
                f"min_over_time({active}[{of.window}]) >= [[minimum_bad_events]]\n"
                f"and {active} offset {of.window} >= [[minimum_bad_events]]\n"
                f"and {of.requests} == 0"
            ),
            parameters={"minimum_bad_events": event_count(settings.alerting.minimum_bad_events)},
            for_=settings.alerting.for_.critical,
            keep_firing_for=settings.alerting.keep_firing_for,
            summary="Requests are hanging.",
            description=(
                '{{ $labels.job }} has had {{ $value | printf "%.0f" }} requests or more in progress for the last '
                f"{of.window}, and none of them has ended."
            ),
            identity=settings.alerting.group_by,
            urls=urls(settings, NAME),
        )
    ]


def requests_hanging_tests(settings: Settings) -> list[RuleTest]:
    """Enough hanging requests; too few; requests that end; streams; new requests; and that the alert resolves."""
    (rule,) = rules = requests_hanging(settings)
    moments = clock(settings, rules, range_=2 * settings.alerting.window.seconds)
    level_rules = [(Level(severity=rule.level, threshold=0, match={}, before=()), rule)]
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

    def story(name: str, active: str, *, ended: str = "", streams: str = "", fires: bool = False) -> Story:
        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            own = {**labels, "instance": "a"}
            yield _info(labels, steps)
            yield _active(labels, active)
            if ended:
                status = {"http_route": "/", "http_response_status_code": "200", "error_type": ""}
                yield Series(
                    name=f"{catalog.HTTP_SERVER_REQUEST_DURATION.name}_count", labels=own | status, values=ended
                )
            if streams:
                yield Series(name=_STREAMS, labels={**own, "http_route": "/events"}, values=streams)

        return Story(name=name, series=series, fires=("critical",) if fires else (), value=least)

    yield story("enough-hang", f"{least}x{steps}", fires=True)
    yield story("too-few-hang", f"{least - 1}x{steps}")
    yield story("busy-and-answers", f"{least}x{steps}", ended=f"0+1x{steps}")
    yield story("streams-are-open", f"{least}x{steps}", streams=f"{least}x{steps}")
    yield story("they-are-new", f"_x{steps - late} {least}x{late}")


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
