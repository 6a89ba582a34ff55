"""What the real tools refuse, ``sidelight check`` finds as well."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from instrumentation.settings import Settings
from sidelight.checks import Severity, find
from sidelight.tools import tool

if TYPE_CHECKING:
    from pathlib import Path

RULES = """\
groups:
- name: shop
  rules:
  - alert: TooMany
    expr: sum by (job) (rate(requests_total[5m])) > 7
    for: 2m
    labels: {severity: warning}
    annotations: {summary: Too many., description: "{{ $labels.job }} has too many.", runbook_url: "https://a.example"}
"""
REFUSED = {
    "no YAML": RULES.replace("groups:", "groups: ["),
    "a key that nobody knows": RULES.replace("for: 2m", "four: 2m"),
    "no PromQL": RULES.replace("> 7", "> ("),
    "a duration in words": RULES.replace("2m", "two minutes"),
    "both": RULES.replace("alert: TooMany", "alert: TooMany\n    record: too_many"),
    "neither": RULES.replace("alert: TooMany", "labels2: {}"),
    "no expression": RULES.replace("expr: sum by (job) (rate(requests_total[5m])) > 7\n", "keep_firing_for: 1m\n"),
    "a group twice": RULES + RULES.replace("groups:\n", ""),
    "for in a recording rule": RULES.replace("alert: TooMany", "record: too_many"),
    "a template that does not end": RULES.replace("$labels.job }}", "$labels.job }"),
    "a type that does not fit": RULES.replace("sum by (job) (rate(requests_total[5m]))", "rate(requests_total)"),
}


def promtool(path: Path) -> bool:
    done = subprocess.run([tool("promtool"), "check", "rules", path], capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def errors(path: Path) -> list[str]:
    return [str(one) for one in find([path], Settings())[1] if one.check.severity is Severity.ERROR]


def test_what_promtool_takes_has_no_error(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    assert promtool(path)
    assert errors(path) == []


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_promtool_refuses_is_an_error(wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(REFUSED[wrong])
    assert not promtool(path)
    assert errors(path)
