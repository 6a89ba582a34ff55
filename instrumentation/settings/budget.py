"""Section ``budget``: the daily budget."""

from instrumentation.settings.thresholds import BudgetLevels
from instrumentation.settings.types import Section, Usd


class Budget(Section):
    """The daily budget of each service's workflows. Days begin at midnight UTC. Without a budget there is no alert."""

    daily_usd: Usd | None = None
    spent_ratio: BudgetLevels = BudgetLevels.model_construct()
