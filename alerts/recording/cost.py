"""What workflows cost today, of which budget, and what the day will have cost: the series that are recorded for it.

PromQL has no range that begins at midnight. A series that is another one each day has: its increase over 24 hours is what
it grew by since its day began. docs/decisions/0010-the-days-cost.md compares this with others.
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

_TODAY = 'count_values("day", day_of_month())'  # 1, with the day as a label; of UTC, as all times of Prometheus
_MICRO = 6  # digits: a threshold to a millionth of a dollar, without the noise of a multiplication


def daily_budget(settings: Settings) -> Numbers:
    """The share of a day's budget that is too much, in US dollars."""

    def number_of(override: Override | None, severity: str) -> float | None:
        usd = override.daily_usd if override else settings.budget.daily_usd
        share: float = getattr(settings.budget.spent_ratio, severity)
        return None if usd is None else round(usd * share, _MICRO)

    return number_of


def cost_rules(settings: Settings) -> list[RecordingRule]:
    """What workflows cost, by instance and in all; nothing where no service has a budget."""
    if not settings.has_budget:
        return []
    of = recorded(settings)
    by = of.by_with("instance")
    # An instance whose first execution costs something has had 0 before: else that cost would be no increase.
    cost = f"sum by ({by}) ({catalog.WORKFLOW_COST.name})\nor\n0 * max by ({by}) ({catalog.TARGET_INFO.name})"
    today = f"increase({of.cost_by_day}[1d]) and on (day) {_TODAY}"
    # The last 24 hours hold today, but both are extrapolated: what is spent is the least that the day can cost.
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
    """The whole budget; recorded is the share of it that is critical."""
    if settings.budget.daily_usd is not None and limit.numbers:
        return number(settings.budget.daily_usd)
    return f"({limit.than()} / {number(settings.budget.spent_ratio.critical)})"
