"""CollectorDroppingData and CollectorQueueFilling: traces or metrics are lost on their way, or soon will be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.links import urls
from alerts.model import AlertRule
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import At, Clock, Firing, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import Measured, boundary_tests, service_labels
from alerts.thresholds import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.settings import Settings

DROPPING = "CollectorDroppingData"
FILLING = "CollectorQueueFilling"

# OpenTelemetry Collector 0.159, "internal telemetry", as the generated configurations show it; each is born with its
# first loss, so the first hour of a trickle may be missed, and an outage is not.
LOST = tuple(
    f"otelcol_{way}_{what}"
    for what in ("spans", "metric_points")
    for way in ("exporter_enqueue_failed", "exporter_send_failed", "receiver_refused")
)
QUEUE, CAPACITY = "otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity"


def collector_dropping_data(settings: Settings) -> list[AlertRule]:
    """One rule: spans were refused, did not fit into the queue, or were given up."""
    of, window = recorded(settings), settings.alerting.window
    each = [f"sum by ({of.by}) (increase({name}[{window}])) > 0" for name in LOST]
    return [
        _rule(
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
    """One rule: the queue to where spans go next is fuller than it should ever be."""
    by = recorded(settings).by_with("instance, exporter")
    return [
        _rule(
            settings,
            FILLING,
            expr=f"max by ({by}) ({QUEUE}) / max by ({by}) ({CAPACITY}) > [[threshold]]",
            parameters={"threshold": settings.alerting.collector_queue_ratio},
            summary="The queue of a collector is filling up.",
            description=(
                "The queue of {{ $labels.exporter }} at {{ $labels.instance }} of {{ $labels.job }} is {{ $value | humanizePercentage }} full "
                '(limit {{ "[[threshold]]" | humanizePercentage }}). Once it is full, spans are lost.'
            ),
        )
    ]


def _rule(  # noqa: PLR0913 - a rule has that many parts
    settings: Settings,
    alert: str,
    *,
    expr: str,
    summary: str,
    description: str,
    parameters: Mapping[str, float] | None = None,
) -> AlertRule:
    return AlertRule(
        alert=alert,
        key="warning",
        severity=settings.alerting.severities.warning,
        expr=expr,
        parameters=parameters or {},
        for_=settings.alerting.for_.warning,
        keep_firing_for=settings.alerting.keep_firing_for,
        summary=summary,
        description=description,
        identity=settings.alerting.group_by,
        urls=urls(settings, alert),
    )


def collector_dropping_data_tests(settings: Settings) -> list[RuleTest]:
    """Each way to lose spans fires and resolves; what is exported does not."""
    (rule,) = rules = collector_dropping_data(settings)
    moments, labels = clock(settings, rules), service_labels(settings)
    grown = 7 * settings.alerting.window.seconds // moments.step
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
    return list(boundary_tests(settings, [(level, rule)], history, moments=moments, part="exporter", own=own))


def _own(name: str, labels: Mapping[str, str], values: str) -> Series:
    return Series(name=name, labels={"instance": "a", **labels}, values=values)


COLLECTOR_DROPPING_DATA = Alert(
    name=DROPPING,
    group="collector",
    meaning="a collector refuses, drops or fails to send traces or metrics",
    rules=collector_dropping_data,
    tests=collector_dropping_data_tests,
)
COLLECTOR_QUEUE_FILLING = Alert(
    name=FILLING,
    group="collector",
    meaning="the queue of a collector is filling up; once it is full, traces or metrics are lost",
    rules=collector_queue_filling,
    tests=collector_queue_filling_tests,
)
