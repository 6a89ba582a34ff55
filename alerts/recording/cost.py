"""Recording rules of cost: what workflows have cost today, the share of the budget, and the expected cost of the day.

PromQL has no range that starts at midnight. Here the series gets a new name each day, so its increase over 24 hours is its
growth since the day began. docs/decisions/0010-the-days-cost.md compares this with alternatives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.model import RecordingRule, number
from alerts.recording.services import recorded
from alerts.thresholds import limits_from
from instrumentation import catalog

if TYPE_CHECKING:
    from alerts.thresholds import Limit, Numbers
    from instrumentation.settings import Override, Settings

_TODAY = 'count_values("day", day_of_month())'  # 1, with the day as a label, in UTC like all times of Prometheus
_MICRO = 6  # digits: thresholds are rounded to a millionth of a dollar, which hides floating-point noise


def daily_budget(settings: Settings) -> Numbers:
    """The US dollars per day above which an alert fires: a share of the budget."""

    def number_of(override: Override | None, severity: str) -> float | None:
        usd = override.daily_usd if override else settings.budget.daily_usd
        share: float = getattr(settings.budget.spent_ratio, severity)
        return None if usd is None else round(usd * share, _MICRO)

    return number_of


def cost_rules(settings: Settings) -> list[RecordingRule]:
    """The cost of workflows by instance and in total; no rules if no service has a budget."""
    if not settings.has_budget:
        return []
    of = recorded(settings)
    by = of.by_with("instance")
    # Before its first execution an instance has a cost of 0; otherwise the first cost would not be an increase.
    cost = f"sum by ({by}) ({catalog.WORKFLOW_COST.name})\nor\n0 * max by ({by}) ({catalog.TARGET_INFO.name})"
    today = f"increase({of.cost_by_day}[1d]) and on (day) {_TODAY}"
    # The last 24 hours include today, but both are extrapolated: the day costs at least what is already spent.
    forecast = f"sum by ({of.by}) (increase({of.cost}[1d])) > {of.cost_today}\nor\n{of.cost_today}"
    spent = "\nor\n".join(
        f"{limit.of(of.cost_today)} / {_budget(settings, limit)}"
        for limit in limits_from(settings, {"daily_usd": daily_budget(settings)})
        if limit.severity == "critical"
    )
    return [
        RecordingRule(record=of.cost, expr=cost),
        RecordingRule(record=of.cost_by_day, expr=f"{of.cost} * on () group_left (day) {_TODAY}"),
        RecordingRule(record=of.cost_today, expr=f"sum by ({of.by}) ({today})", shown=True),
        RecordingRule(record=of.budget_spent, expr=spent, shown=True),
        RecordingRule(record=of.cost_forecast, expr=forecast, shown=True),
    ]


def _budget(settings: Settings, limit: Limit) -> str:
    """The whole budget; the recorded series has the critical share of it."""
    if settings.budget.daily_usd is not None and limit.numbers:
        return number(settings.budget.daily_usd)
    return f"({limit.than()} / {number(settings.budget.spent_ratio.critical)})"
