"""The parts that each form of alert has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from alerts.model import AlertRule, RecordingRule
    from alerts.rule_tests.promtool import RuleTest
    from alerts.signals.subject import Subject


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of alert.

    Attributes:
        recording: The series that its rules read.
        rules: Its rules, one for each level.
        tests: The promtool tests of both sides of every threshold.
        value: The recorded series that its rules compare; empty if there is none.
        reach: How far back the rules read, in seconds; tests of more than an hour are evaluated less often.
    """

    recording: Callable[[Subject], list[RecordingRule]]
    rules: Callable[[Subject], list[AlertRule]]
    tests: Callable[[Subject], list[RuleTest]]
    value: Callable[[Subject], str]
    reach: Callable[[Subject], int]
