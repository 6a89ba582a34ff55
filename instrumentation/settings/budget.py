"""Section ``budget``: what a day may cost."""

from instrumentation.settings.thresholds import BudgetLevels
from instrumentation.settings.types import Section, Usd


class Budget(Section):
    """What the workflows of each service may cost in a day, which is one of UTC; no budget, no alert."""

    daily_usd: Usd | None = None
    spent_ratio: BudgetLevels = BudgetLevels.model_construct()
