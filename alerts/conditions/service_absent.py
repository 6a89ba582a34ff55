"""ServiceAbsent: a service has no series although it had some within the last day, and has no target that is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.links import urls
from alerts.model import AlertRule
from alerts.recording.services import MEMORY, recorded
from alerts.rule_tests.promtool import At, Clock, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import Story, story_test
from alerts.thresholds import Level
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from instrumentation.settings import Settings

NAME = "ServiceAbsent"


def service_absent(settings: Settings) -> list[AlertRule]:
    """One rule. If Prometheus still has targets of the service and can scrape none, ServiceDown fires instead."""
    of = recorded(settings)
    return [
        AlertRule(
            alert=NAME,
            key="warning",
            severity=settings.alerting.severities.warning,
            expr=(
                f"max by ({of.by}) (max_over_time({of.versions}[{MEMORY}])) > 0\n"
                f"unless on ({of.by}) {of.versions}\n"
                f"unless on ({of.by}) sum by ({of.by}) (up) == 0"
            ),
            for_=settings.alerting.for_.warning,
            keep_firing_for=settings.alerting.keep_firing_for,
            summary="A service has disappeared from Prometheus.",
            description=(
                f"{{{{ $labels.job }}}} had series within the last {MEMORY}. Now it has neither series nor failing targets: "
                "it was removed, or Prometheus no longer discovers it."
            ),
            identity=settings.alerting.group_by,
            urls=urls(settings, NAME),
        )
    ]


def service_absent_tests(settings: Settings) -> list[RuleTest]:
    """Services that are gone, and others that are not; and that the alert resolves once a service is back."""
    (rule,) = service_absent(settings)
    moments = clock(settings, [rule])
    level_rules = [(Level(severity=rule.level, threshold=0, match={}, before=()), rule)]
    stories = list(_stories(moments))
    back = next(story for story in stories if story.name == "gone")
    return [
        story_test(settings, level_rules, stories, moments=moments, label="job"),
        RuleTest(
            name="ServiceAbsent resolves once the service is back",
            series=tuple(
                Series(name=one.name, labels=one.labels, values=f"{one.values} _x{_after(moments)} 1x{_after(moments)}")
                for one in back.series({"job": "back"})
            ),
            alerts=(At(seconds=moments.resolved, alert=NAME),),
        ),
    ]


def _after(moments: Clock) -> int:
    """The number of samples after which any alert has fired, or resolved."""
    return (moments.resolved - moments.fires) // moments.step // 2


def _stories(moments: Clock) -> Iterator[Story]:
    end, change = moments.fires // moments.step, moments.range_ // moments.step
    there, gone, down = f"1x{end}", f"1x{change} stale", f"1x{change} 0x{end - change}"

    def story(name: str, info: str | None, up: str | None, *, fires: bool = False) -> Story:
        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            own = {**labels, "instance": "a"}
            if info is not None:
                yield Series(name=catalog.TARGET_INFO.name, labels={**own, "service_version": "1.7.3"}, values=info)
            if up is not None:
                yield Series(name="up", labels=own, values=up)

        return Story(name=name, series=series, fires=("warning",) if fires else (), value=1)

    yield story("gone", gone, gone, fires=True)
    yield story("there-without-our-series", gone, there, fires=True)
    yield story("there", there, there)
    yield story("down-which-is-another-alert", gone, down)
    yield story("never-ours", None, gone)


SERVICE_ABSENT = Alert(
    name=NAME,
    group="availability",
    meaning="a service that existed has disappeared from Prometheus",
    rules=service_absent,
    tests=service_absent_tests,
)
