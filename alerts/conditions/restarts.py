"""InstanceRestarting: an instance restarts or disappears repeatedly, each time for less than the ``for`` of ServiceDown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.conditions.self_monitoring import watcher_rule
from alerts.model import event_count
from alerts.recording.services import MEMORY, recorded
from alerts.rule_tests.promtool import At, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import Story, service_labels, story_test
from alerts.thresholds import Level
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alerts.model import AlertRule
    from alerts.rule_tests.promtool import Clock
    from instrumentation.settings import Settings

NAME = "InstanceRestarting"
_SCRAPES = f"{catalog.SIDELIGHT_SCRAPE.name}_count"


def instance_restarting(settings: Settings) -> list[AlertRule]:
    """One rule. It warns: if users notice, HighErrorRate or ServiceDown pages.

    Services with Sidelight count each scrape. That counter survives the replacement of a worker, so it resets only if the whole
    instance restarts. Other services export the start time of their process.
    """
    of, restarts = recorded(settings), settings.alerting.restarts
    by = of.by_with("instance")
    started = f"resets({_SCRAPES}[{restarts.window}]) or changes({catalog.PROCESS_START_TIME.name}[{restarts.window}])"
    return [
        watcher_rule(
            settings,
            NAME,
            expr=(
                f"(max by ({by}) ({started}) >= [[minimum_restarts]]\n"
                f"or max by ({by}) (resets(up[{restarts.window}])) >= [[minimum_restarts]])\n"
                f"and on ({of.by}) max_over_time({of.versions}[{MEMORY}])"
            ),
            parameters={"minimum_restarts": event_count(restarts.minimum)},
            summary="An instance restarts again and again.",
            description=(
                "{{ $labels.instance }} of {{ $labels.job }} restarted, or could not be scraped for a while, "
                f'{{{{ $value | printf "%.0f" }}}} times in the last {restarts.window}.'
            ),
        )
    ]


def instance_restarting_tests(settings: Settings) -> list[RuleTest]:
    """Three kinds of restarts; too few restarts; replaced workers; and that the alert resolves."""
    (rule,) = rules = instance_restarting(settings)
    moments = clock(settings, rules, memory=settings.alerting.restarts.window.seconds)
    level_rules = [(Level(severity=rule.level, threshold=0, match={}, before=()), rule)]
    stories = list(_stories(moments))
    labels = {**service_labels(settings), "instance": "over"}
    rest = (moments.resolved - moments.fires) // moments.step
    return [
        story_test(settings, level_rules, stories, moments=moments, label="instance"),
        RuleTest(
            name=f"{NAME} resolves once the restarts are longer ago than the window",
            series=tuple(
                Series(name=one.name, labels=one.labels, values=f"{one.values} 1000+1x{rest}")
                for one in stories[0].series(labels)
                if one.name == _SCRAPES
            ),
            alerts=(At(seconds=moments.resolved, alert=NAME),),
        ),
    ]


def _stories(moments: Clock) -> Iterator[Story]:
    least, steps = moments.settings.alerting.restarts.minimum, moments.fires // moments.step
    each = max(moments.settings.alerting.evaluation_interval.seconds // moments.step, 2)

    def lives(count: int, life: str, last: str) -> str:
        return " ".join([*count * [life.format(each - 1)], last.format(steps - count * each)])

    def story(name: str, series_values: Mapping[str, str], fires: int = 0) -> Story:
        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            known = {**labels, "service_version": "1.7.3"}
            yield Series(name=catalog.TARGET_INFO.name, labels=known, values=f"1x{steps}")
            for other, these in series_values.items():
                yield Series(name=other, labels=labels, values=these)

        return Story(name=name, series=series, fires=("warning",) if fires else (), value=fires)

    def started(count: int) -> str:
        return " ".join(
            [*(f"{1000 * life}x{each - 1}" for life in range(count)), f"{1000 * count}x{steps - count * each}"]
        )

    start = catalog.PROCESS_START_TIME.name
    yield story("restarts", {_SCRAPES: lives(least, "1+1x{}", "1+1x{}")}, least)
    yield story("process-of-another-sdk-restarts", {start: started(least)}, least)
    gone = lives(least, "1x0 0x{}", "1x{}").replace(f"0x{each - 1}", f"0x{each - 2}")
    yield story("comes-and-goes", {"up": gone}, least)
    yield story("restarts-too-few-times", {_SCRAPES: lives(least - 1, "1+1x{}", "1+1x{}")})
    yield story("only-workers-are-replaced", {_SCRAPES: f"1+1x{steps}", start: started(least + 2)})


INSTANCE_RESTARTING = Alert(
    name=NAME,
    group="availability",
    meaning="an instance restarts or becomes unreachable again and again",
    rules=instance_restarting,
    tests=instance_restarting_tests,
)
