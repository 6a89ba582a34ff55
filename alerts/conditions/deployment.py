"""DeploymentCompleted: all instances of a service run a version that none, or not all, of them ran a while ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.links import urls
from alerts.model import AlertRule
from alerts.recording.services import MEMORY, recorded
from alerts.rule_tests.promtool import At, Clock, Firing, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import Story, service_labels, story_test
from alerts.thresholds import Level
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from instrumentation.settings import Settings

NAME = "DeploymentCompleted"

_OTHER, _OWN = "1.0.0", "1.0.1"  # the version that the alert is about


def deployment_completed(settings: Settings) -> list[AlertRule]:
    """One rule. It is an event: it resolves once the version has been the only one for ``alerting.deployment_lookback``."""
    of, lookback = recorded(settings), settings.alerting.deployment_lookback
    earlier = f"max_over_time({of.alone}[{MEMORY}] offset {lookback})"
    return [
        AlertRule(
            alert=NAME,
            key="info",
            severity=settings.alerting.severities.info,
            expr=(
                f"{of.alone} and on ({of.by}) {of.replaced}\n"
                f"unless {earlier} >= on ({of.by}) group_left () {of.replaced}"
            ),
            for_=settings.alerting.for_.info,
            keep_firing_for=None,  # an event ends when it is over
            summary="A new version has replaced the old one.",
            description=(
                "All instances of {{ $labels.job }} now run version {{ $labels.service_version }} "
                "in place of another one."
            ),
            labels={"kind": "event"},
            identity=settings.alerting.group_by,
            urls=urls(settings, NAME),
        )
    ]


def deployment_completed_tests(settings: Settings) -> list[RuleTest]:
    """Completed deployments, others that are not, and when the event is over."""
    (rule,) = deployment_completed(settings)
    lookback = settings.alerting.deployment_lookback.seconds
    moments = clock(settings, [rule], range_=3 * lookback)
    level_rules = [(Level(severity=rule.level, threshold=0, match={}, before=()), rule)]
    own = {"service_version": _OWN}
    return [
        story_test(settings, level_rules, list(_stories(moments, lookback)), moments=moments, label="job", own=own),
        _ending(settings, rule, moments, lookback),
    ]


def _stories(moments: Clock, lookback: int) -> Iterator[Story]:
    """In every story the last change is just long enough ago for the alert to fire."""
    end, change = moments.fires // moments.step, moments.range_ // moments.step
    long, short = lookback * 3 // 2 // moments.step, lookback // 3 // moments.step
    always = f"1x{end}"
    crashes = " _x2 1x2 stale" * (short // 6 + 1)

    def until(sample: int) -> str:
        return f"1x{sample} stale"

    def since(sample: int, until: int = end) -> str:
        return f"_x{sample} 1x{until - sample}{' stale' if until < end else ''}"

    def gap(first: int, last: int) -> str:
        return f"{until(first)} _x{last - first - 2} 1x{end}"

    def story(name: str, other: tuple[str, ...], own: tuple[str, ...], *, fires: bool = False) -> Story:
        def series(labels: Mapping[str, str]) -> list[Series]:
            values = [*((_OTHER, one) for one in other), *((_OWN, one) for one in own)]
            return [_version(labels, version, f"{place}", one) for place, (version, one) in enumerate(values)]

        return Story(name=name, series=series, fires=("info",) if fires else ())

    one_by_one = (change - 4, change - 2, change)
    yield story("rolling-update", tuple(map(until, one_by_one)), tuple(map(since, one_by_one)), fires=True)
    yield story("slower-than-the-lookback", (until(change),), (since(change - long),), fires=True)
    yield story("rollback", (since(change - short, change),), (gap(change - short, change),), fires=True)
    yield story("stopped-and-started-again", (until(change - short),), (since(change),), fires=True)
    yield story("not-finished", (always, until(change)), (since(change),))
    yield story("given-up", (since(change - short, change),), (always,))
    yield story("crash-loop-beside-the-old", (f"_x{change - short}{crashes}",), (always,))
    yield story("crash-loop-alone", (), (f"{until(change - short)}{crashes}",))
    yield story("first-install", (), (since(change),))
    yield story("more-and-fewer-instances", (), (always, since(change - short), until(change)))


def _ending(settings: Settings, rule: AlertRule, moments: Clock, lookback: int) -> RuleTest:
    labels = service_labels(settings)
    switch = moments.range_ // moments.step
    over = moments.fires + lookback
    back = (moments.longest_for + moments.grace) // moments.step
    restart = f"1x{(over - moments.range_) // moments.step - back - 3} stale _x2 1x{back}"
    firing = Firing(rule=rule, labels={**labels, "service_version": _OWN}, value=moments.fires)
    return RuleTest(
        name="DeploymentCompleted fires, resolves once the lookback has passed, and a restart does not wake it",
        series=(
            _version(labels, _OTHER, "a", f"1x{switch} stale"),
            _version(labels, _OWN, "b", f"_x{switch} {restart}"),
        ),
        alerts=(At(seconds=moments.fires, alert=NAME, firing=(firing,)), At(seconds=over, alert=NAME)),
    )


def _version(labels: Mapping[str, str], version: str, instance: str, values: str) -> Series:
    own = {"instance": instance, "service_name": "shop", "service_version": version}
    return Series(name=catalog.TARGET_INFO.name, labels={**labels, **own}, values=values)


DEPLOYMENT_COMPLETED = Alert(
    name=NAME,
    group="deployment",
    meaning="a new version has replaced the old one everywhere",
    rules=deployment_completed,
    tests=deployment_completed_tests,
)
