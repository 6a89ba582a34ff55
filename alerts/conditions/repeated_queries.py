"""RepeatedQueriesGrowing: since a deployment, requests of a route repeat queries more often than before: N+1 queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.conditions.self_monitoring import watcher_rule
from alerts.model import event_count
from alerts.recording.databases import repeated_per_request
from alerts.recording.services import MEMORY, recorded
from alerts.rule_tests.promtool import RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import SAMPLES, Story, service_labels, story_test
from alerts.thresholds import Level
from instrumentation import catalog
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alerts.model import AlertRule
    from alerts.rule_tests.promtool import Clock
    from instrumentation.settings import Settings

NAME = "RepeatedQueriesGrowing"

_BEFORE = 2  # repeated queries of each request before the deployment in the tests


def repeated_queries_growing(settings: Settings) -> list[AlertRule]:
    """One rule. It is a warning: if users are affected, HighLatencyP95 pages."""
    of, repeated, lookback = recorded(settings), repeated_per_request(settings), _lookback(settings)
    return [
        watcher_rule(
            settings,
            NAME,
            expr=(
                f"{repeated} - (max_over_time({repeated}[{MEMORY}] offset {lookback}) or 0 * {repeated}) > [[threshold]]\n"
                f"and on ({of.by}) time() - {of.replaced} < {lookback.seconds}"
            ),
            parameters={"threshold": event_count(settings.thresholds.repeated_queries_growth)},
            summary="Since a deployment, requests repeat queries more often.",
            description=(
                'Each request for {{ $labels.http_route }} of {{ $labels.job }} repeats {{ $value | printf "%.1f" }} more queries '
                "than before the last deployment (threshold [[threshold]]). The log names the query and the line of code."
            ),
        )
    ]


def _lookback(settings: Settings) -> Duration:
    """How old the deployment may be: long enough for the alert to fire once the deployment has an effect."""
    alerting = settings.alerting
    return Duration.of(
        max(alerting.trend.window.seconds, 2 * (alerting.window.seconds + alerting.for_.warning.seconds))
    )


def repeated_queries_growing_tests(settings: Settings) -> list[RuleTest]:
    """Just above and just below the threshold; growth without a deployment; a new route; repetitions as before."""
    (rule,) = rules = repeated_queries_growing(settings)
    threshold = settings.thresholds.repeated_queries_growth
    moments = clock(settings, rules, range_=_lookback(settings).seconds + 2 * settings.alerting.window.seconds)
    tests = []
    for deployed in (True, False):
        level_rules = [(Level(severity=rule.level, threshold=threshold, match={}, before=()), rule)]
        stories = list(_stories(moments, threshold, deployed=deployed))
        test = story_test(settings, level_rules, stories, moments=moments, label="http_route")
        versions = tuple(_versions(moments, service_labels(settings), deployed=deployed))
        name = test.name if deployed else f"{test.name} without a deployment"
        tests.append(RuleTest(name=name, series=(*test.series, *versions), alerts=test.alerts, values=test.values))
    return tests


def _stories(moments: Clock, threshold: int, *, deployed: bool) -> Iterator[Story]:
    change, end = _change(moments), moments.fires // moments.step

    def story(name: str, before: float | None, after: float, *, fires: bool = False) -> Story:
        grown = after - (before or 0)

        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            own = {**labels, "instance": "a"}
            for metric, of_old, of_new in (
                (catalog.DB_CLIENT_REPEATED_QUERIES.name, before or 0, after),
                (f"{catalog.DB_CLIENT_QUERIES_PER_REQUEST.name}_count", 1, 1),
            ):
                old, new = round(of_old * SAMPLES), round(of_new * SAMPLES)
                first = f"_x{change}" if before is None else f"0+{old}x{change}"
                start = 0 if before is None else old * change + new
                yield Series(name=metric, labels=own, values=f"{first} {start}+{new}x{end - change}")

        return Story(name=name, series=series, fires=("warning",) if fires and deployed else (), value=grown)

    beyond = threshold + 1 / SAMPLES
    yield story("just-above", _BEFORE, _BEFORE + beyond, fires=True)
    yield story("just-below", _BEFORE, _BEFORE + threshold - 1 / SAMPLES)
    yield story("a-new-route", None, beyond, fires=True)
    yield story("as-before", _BEFORE, _BEFORE)


def _change(moments: Clock) -> int:
    """The first sample of the new version: as late as it may be for the alert to fire at the end."""
    late = moments.settings.alerting.window.seconds + moments.longest_for + moments.grace
    return (moments.fires - late) // moments.step


def _versions(moments: Clock, labels: Mapping[str, str], *, deployed: bool) -> Iterator[Series]:
    change, end = _change(moments), moments.fires // moments.step
    lives = {"1.0.0": f"1x{change - 1} stale", "1.0.1": f"_x{change} 1x{end}"} if deployed else {"1.0.0": f"1x{end}"}
    for version, values in lives.items():
        own = {**labels, "instance": version, "service_version": version}
        yield Series(name=catalog.TARGET_INFO.name, labels=own, values=values)


REPEATED_QUERIES_GROWING = Alert(
    name=NAME,
    group="databases",
    meaning="since a deployment, requests of a route repeat queries more often than before",
    rules=repeated_queries_growing,
    tests=repeated_queries_growing_tests,
)
