"""WorkflowFailures: the failure ratio of a workflow is too high. WorkflowKeepsFailing: all executions of a rare workflow fail."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.links import BUSINESS_UID, urls
from alerts.model import AlertRule, event_count
from alerts.recording.counting import within
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import At, Clock, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import SAMPLES, Measured, Story, service_labels, story_test, threshold_tests
from alerts.thresholds import SEVERITIES, Level, level_rule, levels, limits
from instrumentation import catalog
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alerts.thresholds import Limit
    from instrumentation.settings import Settings

NAME = "WorkflowFailures"


def workflow_failures(settings: Settings) -> list[AlertRule]:
    """Rules for each severity, for all and for overrides."""
    return [_rule(settings, limit) for limit in limits(settings, "workflow_failure_ratio")]


def _rule(settings: Settings, limit: Limit) -> AlertRule:
    of, window = recorded(settings), settings.alerting.workflow_window
    return level_rule(
        settings,
        limit,
        alert=NAME,
        parameters={"minimum_bad_events": event_count(settings.alerting.minimum_bad_events)},
        expr=(
            f"{limit.of(of.workflow_failure_ratio)} > {limit.than()}\n"
            f"and {of.workflow_failure_ratio_recent} > {limit.than()}\n"
            f"and {of.workflow_failures} >= [[minimum_bad_events]]"
        ),
        summary="Too many executions of a workflow fail.",
        description=(
            "Of the executions of {{ $labels.workflow }} of {{ $labels.job }} in the last "
            f"{window}, {{{{ $value | humanizePercentage }}}} failed (limit "
            f"{limit.said(function='humanizePercentage')}), and this is not improving."
        ),
        dashboard=BUSINESS_UID,
    )


def workflow_failures_tests(settings: Settings) -> list[RuleTest]:
    """Above and below every threshold; too few failures; failures that are over."""
    level_rules = [(level, _rule(settings, level.limit)) for level in levels(settings, "workflow_failure_ratio")]
    rules = [rule for _, rule in level_rules]
    moments = clock(settings, rules, memory=settings.alerting.workflow_window.seconds // 2)
    stories = list(_stories(settings, moments))
    return [
        *threshold_tests(settings, level_rules, _history, moments=moments, label="workflow"),
        story_test(settings, level_rules, stories, moments=moments, label="workflow"),
        _recovery(settings, moments),
    ]


def _history(moments: Clock, level: Level, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
    exact = level.threshold * SAMPLES
    failed = math.floor(exact + 1 + 1e-9) if above else math.ceil(exact - 1 - 1e-9)
    return Measured(
        series=(
            _ended(labels, "success", moments.counter(SAMPLES - failed, SAMPLES)),
            _ended(labels, "failure", moments.counter(failed, 0)),
        ),
        value=failed / SAMPLES,
    )


def _stories(settings: Settings, moments: Clock) -> Iterator[Story]:
    least, steps = settings.alerting.minimum_bad_events, moments.fires // moments.step
    late = (moments.longest_for + moments.grace) // moments.step

    def fails(  # noqa: PLR0913 - by keyword, and with a default
        name: str,
        count: int,
        *,
        before: str = f"0x{steps - late}",
        instances: int = 1,
        outcome: str = "failure",
        fires: bool = False,
    ) -> Story:
        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            for place in range(instances):
                own = {**labels, "instance": f"{name} {place}"}
                known = {label: value for label, value in own.items() if label != "workflow"}
                yield Series(name=catalog.TARGET_INFO.name, labels=known, values=f"1x{steps}")
                yield _ended(own, outcome, f"{before} {count}x{late}")

        return Story(name=name, series=series, fires=SEVERITIES if fires else (), value=1)

    yield fails("all-of-few", least - 1)
    if late * moments.step < moments.memory:  # otherwise a burst is no longer recent when the alert's `for` is over
        yield fails("all-of-enough", least, fires=True)
        yield fails("the-first-of-all", least, before=f"_x{steps - late + 1}", fires=True)
        yield fails("enough-on-two-instances", least // 2 + 1, instances=2, fires=True)
    yield fails("cancelled", least + 2, outcome="cancelled")
    restarted = f"7+1x{steps - late} 0+1x{late}"
    yield Story(
        name="restarted",
        series=lambda own: (_ended(own, "success", restarted), _ended(own, "failure", f"0x{steps}")),
    )


def _recovery(settings: Settings, moments: Clock) -> RuleTest:
    """All executions failed, and now none does: the alert resolves long before the failures leave the whole window."""
    labels = {**service_labels(settings), "workflow": "recovers"}
    recent = settings.alerting.workflow_window.seconds // 2
    return RuleTest(
        name="nothing fails any more: resolves once the recent half of the window says so",
        series=(
            _ended(labels, "success", moments.counter(0, SAMPLES)),
            _ended(labels, "failure", moments.counter(SAMPLES, 0)),
        ),
        alerts=(
            At(
                seconds=moments.fires + recent + settings.alerting.keep_firing_for.seconds + 2 * moments.grace,
                alert=NAME,
            ),
        ),
    )


def _ended(labels: Mapping[str, str], outcome: str, values: str) -> Series:
    own = {"instance": "a", **labels, "outcome": outcome}
    return Series(name=catalog.WORKFLOW_EXECUTIONS.name, labels=own, values=values)


# --- Workflows that run rarely ---------------------------------------------------------------------------------------

KEEPS_FAILING = "WorkflowKeepsFailing"
_TIMES = 3  # at most, in the tests
_WINDOWS = (2, 6, 24)  # times workflow_window: for workflows that run twice an hour, or every few hours
_NIGHTS = (
    72  # the same for workflows that run once a day; read by quarters of an hour, because all samples would be too many
)


def workflow_keeps_failing(settings: Settings) -> list[AlertRule]:
    """One rule: within a window all executions of a workflow failed, and there were enough of them."""
    of, every = recorded(settings), settings.alerting.workflow_window.seconds
    windows = [Duration.of(times * every) for times in _WINDOWS]
    nights = Duration.of(_NIGHTS * every)
    read = [
        *((within(of.new_failures, window), within(of.new_executions, window)) for window in windows),
        (f"sum_over_time({of.failures_by_quarter}[{nights}])", f"sum_over_time({of.executions_by_quarter}[{nights}])"),
    ]
    return [
        AlertRule(
            alert=KEEPS_FAILING,
            key="warning",
            severity=settings.alerting.severities.warning,
            expr="\nor\n".join(
                f"({failures} == {executions}) >= [[minimum_bad_events]]" for failures, executions in read
            ),
            parameters={"minimum_bad_events": event_count(settings.alerting.minimum_bad_events)},
            for_=settings.alerting.for_.warning,
            keep_firing_for=settings.alerting.keep_firing_for,
            summary="A workflow keeps failing.",
            description=(
                'The last {{ $value | printf "%.0f" }} executions of {{ $labels.workflow }} of {{ $labels.job }} failed, and none '
                "succeeded in between."
            ),
            identity=settings.alerting.group_by,
            urls=urls(settings, KEEPS_FAILING, dashboard=BUSINESS_UID),
        )
    ]


def workflow_keeps_failing_tests(settings: Settings) -> list[RuleTest]:
    """Failures half a window apart; the same with a success in between; too few failures; cancelled executions."""
    (rule,) = rules = workflow_keeps_failing(settings)
    moments = clock(settings, rules, range_=_WINDOWS[0] * settings.alerting.workflow_window.seconds)
    level_rules = [(Level(severity=rule.level, threshold=0, match={}, before=()), rule)]
    least, half = settings.alerting.minimum_bad_events, settings.alerting.workflow_window.seconds // 2 // moments.step
    steps = moments.fires // moments.step
    spread = 3 * half // min(least, _TIMES)

    def rarely(count: int) -> str:
        times = min(count, _TIMES)  # several executions at once if many are needed, so that the test stays small
        return " ".join([*(f"{count * time // times}x{spread - 1}" for time in range(times)), f"{count}x{steps}"])

    def story(name: str, outcomes: Mapping[str, str], fires: int = 0) -> Story:
        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            known = {label: value for label, value in labels.items() if label != "workflow"}
            yield Series(name=catalog.TARGET_INFO.name, labels={**known, "instance": "a"}, values=f"1x{steps}")
            for outcome, values in outcomes.items():
                yield _ended(labels, outcome, values)

        return Story(name=name, series=series, fires=("warning",) if fires else (), value=fires)

    stories = (
        story("always-fails", {"success": f"7x{steps}", "failure": rarely(least)}, least),
        story("succeeds-once-between", {"success": f"7x{min(2, least) * spread} 8x{steps}", "failure": rarely(least)}),
        story("fails-too-rarely", {"success": f"7x{steps}", "failure": rarely(least - 1)}),
        story("is-cancelled", {"success": f"7x{steps}", "cancelled": rarely(least)}),
    )
    return [story_test(settings, level_rules, stories, moments=moments, label="workflow")]


WORKFLOW_KEEPS_FAILING = Alert(
    name=KEEPS_FAILING,
    group="workflows",
    meaning="every execution of a workflow fails, even if it runs only once a day",
    rules=workflow_keeps_failing,
    tests=workflow_keeps_failing_tests,
)
WORKFLOW_FAILURES = Alert(
    name=NAME,
    group="workflows",
    meaning="too many executions of a workflow fail, and this is not improving",
    rules=workflow_failures,
    tests=workflow_failures_tests,
)
