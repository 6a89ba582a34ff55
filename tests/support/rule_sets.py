"""The rules to compare: Sidelight's generated rules, and those of the SRE workbook as its readers write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alerts import groups
from alerts.conditions.error_budget import ERROR_BUDGET_BURN
from alerts.conditions.error_rate import HIGH_ERROR_RATE
from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from tests.support.prometheus_history import rules_of

if TYPE_CHECKING:
    from instrumentation.settings import Settings

_WINDOW = "WINDOW"  # until it is known which
Group = dict[str, Any]
PAGE, TICKET = "critical", "warning"
_PAIRS = {PAGE: ((14.4, "1h", "5m"), (6, "6h", "30m")), TICKET: ((3, "1d", "2h"), (1, "3d", "6h"))}


def ours(settings: Settings) -> Group:
    """The groups of HTTP alerts and error budgets, as ``sidelight build`` writes them, as one."""
    names = (HIGH_ERROR_RATE.group, ERROR_BUDGET_BURN.group)
    rules = [rule for name in names for rule in rules_of(settings, name)]
    return {"name": names[0], "interval": str(settings.alerting.evaluation_interval), "rules": rules}


def every_rule_of_ours(settings: Settings) -> Group:
    """The rules about requests, instances and services, in the order in which they read each other, as one group."""
    names = ("deployment", "http", "slo", "availability", "hanging")
    made = {group.name.removeprefix("sidelight."): group for group in groups(settings)}
    rules = [rule.document() for name in names for rule in made[name].rules]
    return {"name": "ours", "interval": str(settings.alerting.evaluation_interval), "rules": rules}


def workbook(settings: Settings) -> Group:
    """The multi-window burn rates of chapter 5 for the same two objectives, without ``for`` and without a minimum number."""
    name, slo = HTTP_SERVER_REQUEST_DURATION.name, settings.slo
    total, within = f"{name}_count", f'{name}_bucket{{le="{slo.latency.seconds}"}}'
    bad = {
        "availability": (1 - slo.availability, _rate(f'{name}_count{{error_type!=""}}')),
        "latency": (1 - slo.latency.ratio, f"({_rate(total)} - {_rate(within)})"),
    }
    windows = dict.fromkeys(window for pairs in _PAIRS.values() for _, *both in pairs for window in both)
    recording = [
        {
            "record": f"workbook:{objective}:ratio_rate{window}",
            "expr": f"{expr} / {_rate(total)}".replace(_WINDOW, window),
        }
        for objective, (_, expr) in bad.items()
        for window in windows
    ]
    alerts = [
        {"alert": objective, "expr": _burning(objective, budget, severity), "labels": {"severity": severity}}
        for objective, (budget, _) in bad.items()
        for severity in _PAIRS
    ]
    return {"name": "workbook", "interval": str(settings.alerting.evaluation_interval), "rules": [*recording, *alerts]}


def _rate(selector: str) -> str:
    return f"sum by (job) (rate({selector}[{_WINDOW}]))"


def _burning(objective: str, budget: float, severity: str) -> str:
    ratio = f"workbook:{objective}:ratio_rate"
    return " or ".join(
        f"({ratio}{long} > {factor * budget:g} and {ratio}{short} > {factor * budget:g})"
        for factor, long, short in _PAIRS[severity]
    )
