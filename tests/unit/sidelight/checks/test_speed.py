"""The cost of a rule: calls of Python are counted, because time depends on what else the machine does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from instrumentation.settings import Settings
from sidelight.checks import find

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

MOST_CALLS = 1_600  # for one rule; 5,000 rules then take about 2 s
RULE = """\
  - alert: High{number}
    expr: >
      sum by (job) (rate(things{number}_total{{job="shop",code=~"5.."}}[5m])) / sum by (job) (rate(things{number}_total{{job="shop"}}[5m])) > 0.05
    for: 5m
    labels: {{severity: warning}}
    annotations:
      summary: Too many errors.
      description: "{{{{ $labels.job }}}} has {{{{ $value | humanizePercentage }}}} errors."
      runbook_url: https://example.org/{number}
  - record: job:things{number}:rate5m
    expr: sum by (job) (rate(things{number}_total[5m]))
"""


def calls(path: Path, rules: range) -> int:
    """How many functions are called to check these pairs of rules."""
    path.write_text("groups:\n- name: g\n  rules:\n" + "".join(RULE.format(number=number) for number in rules))
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        del frame, argument
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        report = find([path], Settings())
    finally:
        sys.setprofile(before)
    assert report.findings == []
    return count


def test_a_rule_costs_the_same_however_many_there_are(tmp_path: Path) -> None:
    calls(tmp_path / "first.yaml", range(1))  # what is only done once
    few, many = calls(tmp_path / "few.yaml", range(1000, 1030)), calls(tmp_path / "many.yaml", range(2000, 2090))
    of_a_rule = (many - few) / 120
    assert 400 < of_a_rule < MOST_CALLS
