"""AuditTrailWentBack: the audit trail of an instance is shorter than it was, so somebody removed or replaced its newest file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.conditions.self_monitoring import watcher_rule
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import At, Firing, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import service_labels
from instrumentation import catalog
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from alerts.model import AlertRule
    from instrumentation.settings import Settings

NAME = "AuditTrailWentBack"
_LOOK_BACK = Duration("1d")  # a trail may be exchanged while the service is stopped for the night
_EVERY = Duration("15m")  # at this pace the day is read, which is a hundred samples of each instance and not thousands
_CLOSELY = Duration("20m")  # a few entries that are missing, which a trail that grows soon makes up for


def audit_trail_rules(settings: Settings) -> list[AlertRule]:
    """One rule: the number of the last entry is lower than it was within a day."""
    by, entries = recorded(settings).by_with("instance"), catalog.AUDIT_ENTRIES.name
    return [
        watcher_rule(
            settings,
            NAME,
            expr=(
                f"max by ({by}) (max_over_time({entries}[{_CLOSELY}]) - {entries}) > 0\n"
                f"or\nmax by ({by}) (max_over_time({entries}[{_LOOK_BACK}:{_EVERY}]) - {entries}) > 0"
            ),
            summary="An audit trail is shorter than it was.",
            description=(
                "The audit trail of {{ $labels.instance }} of {{ $labels.job }} had "
                '{{ $value | printf "%.0f" }} more entries within the last '
                f"{_LOOK_BACK}. Its newest files were removed, or replaced by older copies."
            ),
        )
    ]


def audit_trail_tests(settings: Settings) -> list[RuleTest]:
    """The newest of two trails is removed, soon and an hour later, until it is as long again; a trail that grows, and a new instance."""
    (rule,) = rules = audit_trail_rules(settings)
    moments = clock(settings, rules)
    labels, entries = service_labels(settings), catalog.AUDIT_ENTRIES.name
    change = max(moments.grace, _EVERY.seconds) // moments.step + 2  # so that the slow pace has seen it too
    fires = change * moments.step + rule.for_.seconds + moments.grace
    later = max(fires, change * moments.step + 2 * _CLOSELY.seconds)
    grows = later // moments.step + 2
    over = (grows + 1) * moments.step + settings.alerting.keep_firing_for.seconds + 2 * moments.grace
    firing = Firing(rule=rule, labels={**labels, "instance": "a"}, value=500 - 2)

    def series(instance: str, values: str) -> Series:
        return Series(name=entries, labels={**labels, "instance": instance}, values=values)

    return [
        RuleTest(
            name="one of two trails is removed and begins again: fires for it, and resolves once it is as long as before",
            series=(
                series("a", f"500x{change} 2x{grows - change - 2} 600x{over // moments.step}"),
                series("b", f"500x{over // moments.step}"),
            ),
            alerts=(
                *(At(seconds=at, alert=NAME, firing=(firing,)) for at in (fires, later)),
                At(seconds=over, alert=NAME),
            ),
        ),
        RuleTest(
            name="trails grow, and a new instance begins one: is silent",
            series=(
                series("a", f"500+3x{over // moments.step}"),
                series("b", f"_x{change} 2+1x{over // moments.step}"),
            ),
            alerts=(At(seconds=fires, alert=NAME),),
        ),
    ]


AUDIT_TRAIL_WENT_BACK = Alert(
    name=NAME,
    group="watchers",
    meaning="the audit trail of an instance is shorter than it was, so its newest files were removed or replaced",
    rules=audit_trail_rules,
    tests=audit_trail_tests,
)
