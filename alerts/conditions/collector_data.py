"""CollectorDroppingData, CollectorQueueFilling and CollectorMissing: traces or metrics are lost, or soon will be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.conditions.self_monitoring import watcher_rule, window_of_single_events
from alerts.model import Parameter, RecordingRule
from alerts.recording.services import MEMORY, recorded
from alerts.rule_tests.promtool import At, Clock, Firing, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import Measured, Story, service_labels, story_test, threshold_tests
from alerts.thresholds import Level
from instrumentation import catalog
from instrumentation.catalog import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alerts.model import AlertRule
    from instrumentation.settings import Settings

DROPPING = "CollectorDroppingData"
FILLING = "CollectorQueueFilling"
MISSING = "CollectorMissing"

# Internal telemetry of OpenTelemetry Collector 0.159, under the names of the generated configurations. Each counter first appears
# with its first loss, which is therefore not an increase; a loss that continues is.
LOST = tuple(
    f"otelcol_{way}_{what}"
    for what in ("spans", "metric_points")
    for way in ("exporter_enqueue_failed", "exporter_send_failed", "receiver_refused")
)
QUEUE, CAPACITY = "otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity"


def collector_dropping_data(settings: Settings) -> list[AlertRule]:
    """One rule: spans or metric points were refused, did not fit into the queue, or could not be sent."""
    of, window = recorded(settings), window_of_single_events(settings)
    each = [f"sum by ({of.by}) (increase({name}[{window}])) > 0" for name in LOST]
    return [
        watcher_rule(
            settings,
            DROPPING,
            expr="\nor\n".join(each),
            summary="A collector is losing traces or metrics.",
            description=(
                f"In the last {window}, collectors of {{{{ $labels.job }}}} refused, dropped or failed to send "
                "{{ $value | humanize }} spans or metric points."
            ),
        )
    ]


def collector_queue_filling(settings: Settings) -> list[AlertRule]:
    """One rule: the queue of an exporter is fuller than it is in normal operation."""
    by = recorded(settings).by_with("instance, exporter")
    return [
        watcher_rule(
            settings,
            FILLING,
            expr=f"max by ({by}) ({QUEUE}) / max by ({by}) ({CAPACITY}) > [[threshold]]",
            parameters={"threshold": Parameter(settings.alerting.collector_queue_ratio, Unit.RATIO)},
            summary="The queue of a collector is filling up.",
            description=(
                "The queue of {{ $labels.exporter }} at {{ $labels.instance }} of {{ $labels.job }} is {{ $value | humanizePercentage }} full "
                '(limit {{ "[[threshold]]" | humanizePercentage }}). Once it is full, spans are lost.'
            ),
        )
    ]


def collector_rules(settings: Settings) -> list[RecordingRule]:
    """Collectors, by their queues."""
    of = recorded(settings)
    instances = f"max by ({of.by_with('instance')}) ({QUEUE})"
    return [RecordingRule(record=_collectors(settings), expr=f"count by ({of.by}) ({instances})")]


def _collectors(settings: Settings) -> str:
    return f"{recorded(settings).level}:{QUEUE}:count"


def collector_missing(settings: Settings) -> list[AlertRule]:
    """One rule: collectors cannot be scraped, or are gone, while the service whose sidecars they are is still there."""
    of, seen = recorded(settings), _collectors(settings)
    gone = f"max by ({of.by}) (max_over_time({seen}[{MEMORY}])) unless on ({of.by}) {seen}"
    asleep = f"max by ({of.by}) (max_over_time({of.versions}[{MEMORY}])) unless on ({of.by}) {of.versions}"
    service = f"sum by ({of.by}) (up) == 0 or ({asleep})"
    return [
        watcher_rule(
            settings,
            MISSING,
            expr=(
                f"(count by ({of.by}) (max by ({of.by}, instance) (up) == 0) or ({gone}))\n"
                f"and on ({of.by}) max_over_time({seen}[{MEMORY}])\n"
                f'unless on ({of.by}) label_replace({service}, "job", "$1-collector", "job", "(.+)")'
            ),
            summary="A collector is missing.",
            description=(
                "{{ $value | humanize }} collectors of {{ $labels.job }} cannot be scraped or are gone, so nobody sees whether "
                "traces and metrics arrive."
            ),
        )
    ]


def collector_missing_tests(settings: Settings) -> list[RuleTest]:
    """Collectors that are down or gone; those of a service that is down or gone too; other targets; and that it resolves."""
    (rule,) = rules = collector_missing(settings)
    moments = clock(settings, rules)
    level_rules = [(Level(severity=rule.level, threshold=0, match={}, before=()), rule)]
    stories = list(_missing_stories(moments))
    back = {**service_labels(settings), "job": "back"}
    return [
        story_test(settings, level_rules, stories, moments=moments, label="job"),
        RuleTest(
            name=f"{MISSING} resolves once the collector is back",
            series=(_own(QUEUE, back, moments.gauge(0, 0)), _own("up", back, moments.gauge(0, 1))),
            alerts=(At(seconds=moments.resolved, alert=MISSING),),
        ),
    ]


def _missing_stories(moments: Clock) -> Iterator[Story]:
    steps = moments.fires // moments.step
    there, gone, up, down = f"0x{steps}", "0x1 stale", f"1x{steps}", f"0x{steps}"

    def story(name: str, *instances: tuple[str, str], of: tuple[str, str] | None = None, fires: bool = False) -> Story:
        """Queue and ``up`` of each collector, and ``target_info`` and ``up`` of the service whose sidecars they are."""

        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            for place, (queue, scraped) in enumerate(instances):
                own = {**labels, "instance": str(place)}
                yield from (_own(QUEUE, own, queue), _own("up", own, scraped)) if queue else (_own("up", own, scraped),)
            if of:
                service = {**labels, "job": labels["job"].removesuffix("-collector")}
                yield _own(catalog.TARGET_INFO.name, {**service, "service_version": "1.7.3"}, of[0])
                yield _own("up", service, of[1])

        return Story(name=name, series=series, fires=("warning",) if fires else (), value=1)

    yield story("one-is-down", (there, up), (there, down), fires=True)
    yield story("gone-collector", (gone, "1x1 stale"), of=(f"1x{steps}", up), fires=True)
    yield story("gateway-is-gone", (gone, "1x1 stale"), fires=True)
    yield story("well", (there, up), (there, up))
    yield story("another-target-is-down", ("", down))
    yield story("asleep-collector", (gone, "1x1 stale"), of=("1x1 stale", "1x1 stale"))
    yield story("down-collector", (there, down), of=("1x1 stale", down))


def collector_dropping_data_tests(settings: Settings) -> list[RuleTest]:
    """Each kind of loss fires and resolves; old losses do not fire."""
    (rule,) = rules = collector_dropping_data(settings)
    window = window_of_single_events(settings).seconds
    moments, labels = clock(settings, rules, range_=window, memory=window), service_labels(settings)
    grown = 7 * window // moments.step
    return [
        *(
            RuleTest(
                name=f"{name} grows: fires, and resolves",
                series=(_own(name, labels, moments.counter(7, 0)),),
                alerts=(
                    At(seconds=moments.fires, alert=DROPPING, firing=(Firing(rule=rule, labels=labels, value=grown),)),
                    At(seconds=moments.resolved, alert=DROPPING),
                ),
            )
            for name in LOST
        ),
        RuleTest(
            name="no span is lost any more: CollectorDroppingData is silent",
            series=tuple(_own(name, labels, f"3x{moments.fires // moments.step}") for name in LOST),
            alerts=(At(seconds=moments.fires, alert=DROPPING),),
        ),
    ]


def collector_queue_filling_tests(settings: Settings) -> list[RuleTest]:
    """Just above the limit and just below it."""
    (rule,) = rules = collector_queue_filling(settings)
    moments = clock(settings, rules)
    level = Level(severity=rule.level, threshold=settings.alerting.collector_queue_ratio, match={}, before=())

    def history(moments: Clock, level: Level, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
        capacity = 100_000
        size = round(level.threshold * capacity) + (1 if above else -1)
        series = (
            _own(QUEUE, labels, moments.gauge(size, 0)),
            _own(CAPACITY, labels, moments.gauge(capacity, capacity)),
        )
        return Measured(series=series, value=size / capacity)

    own = {"instance": "a"}
    return list(threshold_tests(settings, [(level, rule)], history, moments=moments, label="exporter", own=own))


def _own(name: str, labels: Mapping[str, str], values: str) -> Series:
    return Series(name=name, labels={"instance": "a", **labels}, values=values)


COLLECTOR_DROPPING_DATA = Alert(
    name=DROPPING,
    group="collector",
    meaning="a collector refuses, drops or fails to send traces or metrics",
    rules=collector_dropping_data,
    tests=collector_dropping_data_tests,
)
COLLECTOR_MISSING = Alert(
    name=MISSING,
    group="collector",
    meaning="a collector cannot be scraped or is gone, although the service that it belongs to is there",
    rules=collector_missing,
    tests=collector_missing_tests,
)
COLLECTOR_QUEUE_FILLING = Alert(
    name=FILLING,
    group="collector",
    meaning="the queue of a collector is filling up; once it is full, traces or metrics are lost",
    rules=collector_queue_filling,
    tests=collector_queue_filling_tests,
)
