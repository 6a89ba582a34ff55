"""HealthCheckFailing: a health check fails on some or all instances of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.conditions.self_monitoring import watcher_rule
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import At, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import Story, story_test
from alerts.thresholds import Level
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alerts.model import AlertRule
    from alerts.rule_tests.promtool import Clock
    from instrumentation.settings import Settings

NAME = "HealthCheckFailing"


def health_check_failing(settings: Settings) -> list[AlertRule]:
    """One rule. It is a warning: if users are affected, HighErrorRate or ServiceDown pages."""
    of = recorded(settings)
    return [
        watcher_rule(
            settings,
            NAME,
            expr=f"count by ({of.by_with('check')}) (min by ({of.by_with('instance, check')}) ({catalog.HEALTH_CHECK_UP.name}) == 0) > 0",
            summary="A health check is failing.",
            description="The check {{ $labels.check }} of {{ $labels.job }} fails on {{ $value | humanize }} instances.",
        )
    ]


def health_check_failing_tests(settings: Settings) -> list[RuleTest]:
    """A check that fails on one of two instances, on both, for a moment, and never; and that the alert resolves."""
    (rule,) = rules = health_check_failing(settings)
    moments = clock(settings, rules)
    level_rules = [(Level(severity=rule.level, threshold=0, match={}, before=()), rule)]
    failing = next(_stories(moments))
    return [
        story_test(settings, level_rules, list(_stories(moments)), moments=moments, label="check"),
        RuleTest(
            name=f"{NAME} resolves once the check passes",
            series=tuple(
                Series(name=one.name, labels=one.labels, values=moments.gauge(0, 1))
                for one in failing.series({"job": "shop", "check": "database"})
            ),
            alerts=(At(seconds=moments.resolved, alert=NAME),),
        ),
    ]


def _stories(moments: Clock) -> Iterator[Story]:
    steps = moments.fires // moments.step
    blip = max(moments.settings.alerting.evaluation_interval.seconds // moments.step, 1)

    def story(name: str, *instances: str, failing: int = 0) -> Story:
        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            for place, values in enumerate(instances):
                own = {**labels, "instance": str(place)}
                yield Series(name=catalog.HEALTH_CHECK_UP.name, labels=own, values=values)

        return Story(name=name, series=series, fires=("warning",) if failing else (), value=failing)

    yield story("on-one-of-two", f"0x{steps}", f"1x{steps}", failing=1)
    yield story("on-both", f"0x{steps}", f"0x{steps}", failing=2)
    yield story("for-a-moment", f"1x{steps // 2} 0x{blip} 1x{steps}", f"1x{steps}")
    yield story("on-none", f"1x{steps}", f"1x{steps}")


HEALTH_CHECK_FAILING = Alert(
    name=NAME,
    group="availability",
    meaning="a health check fails on some or all instances of a service",
    rules=health_check_failing,
    tests=health_check_failing_tests,
)
