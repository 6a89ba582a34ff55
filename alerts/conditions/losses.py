"""QueueReadFailing, AuditEntriesLost and LogLinesLost: a service cannot read a queue, or loses audit entries or log lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.conditions.self_monitoring import watcher_rule, window_of_single_events
from alerts.model import RecordingRule, event_count
from alerts.recording.counting import added, totals, within
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import At, Firing, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import service_labels
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from alerts.model import AlertRule
    from instrumentation.catalog import Metric
    from instrumentation.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A counter that should never increase, and the alert that fires if it does.

    Attributes:
        alert: The alert's name.
        metric: The counter.
        label: The label that identifies a part of the service, such as ``queue``; empty if the alert is on the whole service.
        least: The number of losses within the window at which the alert fires.
        summary: As in ``AlertRule``.
        description: As in ``AlertRule``.
        meaning: As in ``Alert``.
    """

    alert: str
    metric: Metric
    label: str = ""
    least: Callable[[Settings], int] = lambda _: 1
    summary: str
    description: str
    meaning: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The label as a list; empty without one."""
        return (self.label,) if self.label else ()

    def record(self, settings: Settings, operation: str, *levels: str) -> str:
        """The name of a recorded series of this counter."""
        return f"{'_'.join((recorded(settings).level, *levels))}:{self.metric.name.removesuffix('_total')}:{operation}"


QUEUE_READS = Loss(
    alert="QueueReadFailing",
    metric=catalog.QUEUE_READ_FAILURES,
    label="queue",
    least=lambda settings: settings.alerting.minimum_bad_events,
    summary="A queue cannot be read.",
    description=(
        'Reading the queue {{ $labels.queue }} of {{ $labels.job }} failed {{ $value | printf "%.0f" }} times in the last '
        "WINDOW. Until it can be read, its length is unknown and QueueBacklogGrowing cannot fire."
    ),
    meaning="a queue cannot be read, so its growth would go unnoticed",
)
AUDIT = Loss(
    alert="AuditEntriesLost",
    metric=catalog.AUDIT_FAILURES,
    summary="Entries of the audit trail are lost.",
    description=(
        '{{ $labels.job }} failed to write {{ $value | printf "%.0f" }} entries of its audit trail in the last WINDOW.'
    ),
    meaning="a service could not write entries of its audit trail",
)
LOGS = Loss(
    alert="LogLinesLost",
    metric=catalog.LOG_LINES_LOST,
    summary="Log lines are lost.",
    description='{{ $labels.job }} lost {{ $value | printf "%.0f" }} log lines in the last WINDOW.',
    meaning="a service loses log lines, because the reader is slow or the disk is full",
)
LOSSES = (QUEUE_READS, AUDIT, LOGS)


def loss_rules(settings: Settings) -> list[RecordingRule]:
    """Losses, counted exactly from the first one on."""
    return [rule for loss in LOSSES for rule in _recording(settings, loss)]


def _recording(settings: Settings, loss: Loss) -> list[RecordingRule]:
    instances = recorded(settings).by_with("instance")
    of_instance, of_part = (
        loss.record(settings, "sum", "instance"),
        loss.record(settings, "sum", "instance", *loss.labels),
    )
    whole = RecordingRule(
        record=of_instance,
        expr=f"{totals(settings, loss.metric.name)}\nor\n0 * max by ({instances}) ({catalog.TARGET_INFO.name})",
    )
    by_label = RecordingRule(record=of_part, expr=totals(settings, loss.metric.name, *loss.labels))
    new = RecordingRule(
        record=loss.record(settings, "increase", *loss.labels),
        expr=added(settings, of_part, *loss.labels, seen=of_instance if loss.label else ""),
    )
    return [whole, by_label, new] if loss.label else [whole, new]


def _rules(settings: Settings, loss: Loss) -> list[AlertRule]:
    window = window_of_single_events(settings)
    return [
        watcher_rule(
            settings,
            loss.alert,
            expr=f"{within(loss.record(settings, 'increase', *loss.labels), window)} >= [[minimum_events]]",
            parameters={"minimum_events": event_count(loss.least(settings))},
            summary=loss.summary,
            description=loss.description.replace("WINDOW", window),
        )
    ]


def _tests(settings: Settings, loss: Loss) -> list[RuleTest]:
    """Enough losses fire and resolve, on a counter that was 0 and on a new one; one fewer does not fire, nor do old losses."""
    (rule,) = rules = _rules(settings, loss)
    moments, least = clock(settings, rules, memory=window_of_single_events(settings).seconds), loss.least(settings)
    labels = {**service_labels(settings), **dict.fromkeys(loss.labels, "emails")}
    change = moments.grace // moments.step + 2
    fires = change * moments.step + rule.for_.seconds + moments.grace
    over = fires + moments.resolved - moments.fires
    firing = (Firing(rule=rule, labels=labels, value=least),)

    def test(name: str, before: str, after: int, *checks: At) -> RuleTest:
        own = {**labels, "instance": "a", **{label: "some" for label in loss.metric.labels if label not in loss.labels}}
        info = {label: value for label, value in own.items() if label in {*service_labels(settings), "instance"}}
        end = over // moments.step
        series = (
            Series(name=catalog.TARGET_INFO.name, labels=info, values=f"1x{end}"),
            Series(name=loss.metric.name, labels=own, values=f"{before} {after}x{end - change}"),
        )
        return RuleTest(name=f"{loss.alert}: {name}", series=series, alerts=checks)

    happens = At(seconds=fires, alert=loss.alert, firing=firing), At(seconds=over, alert=loss.alert)
    silent = At(seconds=fires, alert=loss.alert)
    return [
        test(f"{least} at once fires, and resolves", f"0x{change - 1}", least, *happens),
        test(f"the first {least} that are counted at all fire, and resolve", f"_x{change}", least, *happens),
        test(f"{least - 1} is silent", f"0x{change - 1}", least - 1, silent),
        test("what was counted before is silent", f"7x{change - 1}", 7, silent),
    ]


def _alert(loss: Loss) -> Alert:
    return Alert(
        name=loss.alert,
        group="losses",
        meaning=loss.meaning,
        rules=lambda settings: _rules(settings, loss),
        tests=lambda settings: _tests(settings, loss),
    )


QUEUE_READ_FAILING, AUDIT_ENTRIES_LOST, LOG_LINES_LOST = map(_alert, LOSSES)
