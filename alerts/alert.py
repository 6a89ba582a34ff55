"""An alert: one row with its rules and the promtool tests that prove them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from alerts.model import AlertRule
    from alerts.rule_tests.promtool import RuleTest
    from instrumentation.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One row of the table of alerts: a condition, its rules, and the tests that prove where it fires.

    Attributes:
        name: The alert's name; its runbook page has the same.
        group: The group that contains its rules, after the recording rules that they read.
        meaning: Half a sentence for indexes: the alert means that ...
        rules: Settings to rules, one for each severity and override.
        tests: Settings to promtool tests.
        pace: Gives the settings of its tests where they last for hours, and so are evaluated less often than the rules are.
    """

    name: str
    group: str
    meaning: str
    rules: Callable[[Settings], list[AlertRule]]
    tests: Callable[[Settings], list[RuleTest]]
    pace: Callable[[Settings], Settings] | None = None
