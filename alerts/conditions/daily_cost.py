"""DailyCostOverBudget: the workflows of a service have spent most of the daily budget (warning), or all of it (critical)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.links import BUSINESS_UID
from alerts.model import number
from alerts.recording.cost import daily_budget
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import Clock, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import Measured, Story, story_test, threshold_tests
from alerts.thresholds import SEVERITIES, level_rule, levels_from, limits_from
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alerts.model import AlertRule
    from alerts.thresholds import Level, Limit
    from instrumentation.settings import Settings

NAME = "DailyCostOverBudget"


def daily_cost_over_budget(settings: Settings) -> list[AlertRule]:
    """Rules for each severity: for all services if there is a budget, and for overrides with a budget."""
    return [_rule(settings, limit) for limit in limits_from(settings, {"daily_usd": daily_budget(settings)})]


def _levels(settings: Settings) -> list[Level]:
    return levels_from(settings, {"daily_usd": daily_budget(settings)})


def _rule(settings: Settings, limit: Limit) -> AlertRule:
    return level_rule(
        settings,
        limit,
        alert=NAME,
        expr=f"{limit.of(recorded(settings).cost_today)} > {limit.than()}",
        summary="Today's workflows cost too much.",
        description=(
            'The workflows of {{ $labels.job }} have cost {{ $value | printf "%.2f" }} US dollars since midnight UTC '
            f"(limit {limit.said()})."
        ),
        dashboard=BUSINESS_UID,
    )


def daily_cost_over_budget_tests(settings: Settings) -> list[RuleTest]:
    """Above and below every threshold; several instances, of which some restart and some are new."""
    level_rules = [(level, _rule(settings, level.limit)) for level in _levels(settings)]
    if not level_rules:
        return []
    moments = clock(settings, [rule for _, rule in level_rules])
    stories = list(_stories(settings, moments))
    return [
        *threshold_tests(settings, level_rules, _history, resolves=False),  # the cost of a day never decreases
        story_test(settings, level_rules, stories, moments=moments, label="job"),
    ]


def _history(moments: Clock, level: Level, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
    usd = round(level.threshold * (1.001 if above else 0.999), 6)
    return Measured(series=_spent(labels, f"0x2 {number(usd)}x{moments.resolved // moments.step}"), value=usd)


def _stories(settings: Settings, moments: Clock) -> Iterator[Story]:
    steps, most = (
        moments.fires // moments.step,
        max(level.threshold for level in _levels(settings)),
    )
    part = round(0.6 * most, 6)

    def spent(name: str, *instances: str, usd: float = 0) -> Story:
        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            for place, values in enumerate(instances):
                yield from _spent({**labels, "instance": f"{place}"}, values)

        return Story(name=name, series=series, fires=SEVERITIES if usd else (), value=usd)

    yield spent("before-today", f"{5 * most}x{steps}")
    yield spent("with-the-first-execution", f"_x3 {2 * most}x{steps}", usd=2 * most)
    yield spent("before-and-after-a-restart", f"0x1 {part}x1 0x1 {part}x{steps}", usd=2 * part)
    yield spent("by-two-instances", *2 * [f"0x1 {part}x{steps}"], usd=2 * part)


def _spent(labels: Mapping[str, str], values: str) -> tuple[Series, Series]:
    one = {"instance": "a", **labels}
    alive = Series(name=catalog.TARGET_INFO.name, labels={**one, "service_version": "1.0.0"}, values="1x99")
    return alive, Series(name=catalog.WORKFLOW_COST.name, labels={**one, "workflow": "agent"}, values=values)


DAILY_COST_OVER_BUDGET = Alert(
    name=NAME,
    group="cost",
    meaning="a service's workflows have used up most or all of the daily cost budget",
    rules=daily_cost_over_budget,
    tests=daily_cost_over_budget_tests,
)
