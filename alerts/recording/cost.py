"""What workflows cost today, of which budget, and what the day will have cost: the series that are recorded for it.

PromQL has no range that begins at midnight. A series that is another one each day has: its increase over 24 hours is what
it grew by since its day began. docs/decisions/0010-the-days-cost.md compares this with others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.model import RecordingRule, number
from alerts.recording.services import recorded
from alerts.thresholds import levels_from
from instrumentation import catalog

if TYPE_CHECKING:
    from alerts.thresholds import Level
    from instrumentation.settings import Override, Settings

_TODAY = 'count_values("day", day_of_month())'  # 1, with the day as a label; of UTC, as all times of Prometheus
_MICRO = 6  # digits: a threshold to a millionth of a dollar, without the noise of a multiplication


def cost_levels(settings: Settings) -> list[Level]:
    """The shares of the budgets that are too much, in US dollars; none where no service has a budget."""

    def numbers(override: Override | None, severity: str) -> dict[str, float]:
        usd = override.daily_usd if override else settings.budget.daily_usd
        share: float = getattr(settings.budget.spent_ratio, severity)
        return {} if usd is None else {"share": round(usd * share, _MICRO), "daily_usd": usd}

    return levels_from(settings, numbers)


def cost_rules(settings: Settings) -> list[RecordingRule]:
    """What workflows cost, by instance and in all; nothing where no service has a budget."""
    if not settings.has_budget:
        return []
    of = recorded(settings)
    by = of.by_with("instance")
    # An instance whose first execution costs something has had 0 before: else that cost would be no increase.
    cost = f"sum by ({by}) ({catalog.WORKFLOW_COST.name})\nor\n0 * max by ({by}) ({catalog.TARGET_INFO.name})"
    today = f"increase({of.cost_by_day}[1d]) and on (day) {_TODAY}"
    budgets = [level for level in cost_levels(settings) if level.severity == "critical"]
    # The last 24 hours hold today, but both are extrapolated: what is spent is the least that the day can cost.
    forecast = f"sum by ({of.by}) (increase({of.cost}[1d])) > {of.cost_today}\nor\n{of.cost_today}"
    spent = "\nor\n".join(f"{level.of(of.cost_today)} / {number(level.further['daily_usd'])}" for level in budgets)
    return [
        RecordingRule(record=of.cost, expr=cost),
        RecordingRule(record=of.cost_by_day, expr=f"{of.cost} * on () group_left (day) {_TODAY}"),
        RecordingRule(record=of.cost_today, expr=f"sum by ({of.by}) ({today})", shown=True),
        RecordingRule(record=of.budget_spent, expr=spent, shown=True),
        RecordingRule(record=of.cost_forecast, expr=forecast, shown=True),
    ]
