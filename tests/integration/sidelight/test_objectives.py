"""The rules of OpenSLO documents load in Prometheus, fire above their burn rate, and are silent below it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sidelight.objectives.openslo import rule_file
from sidelight.toolchain import tool

if TYPE_CHECKING:
    from pathlib import Path

RATIO = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: web-answers}
spec:
  service: web
  indicator:
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: 'requests_total{code="500"}'}}}
        total: {metricSource: {type: Prometheus, spec: {query: requests_total}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.99, timeSliceTarget: 0.9, timeSliceWindow: 5m}]
  alertPolicies:
    - metadata: {name: p}
      spec: {conditions: [{metadata: {name: c}, spec: {severity: page, condition: {threshold: 9, lookbackWindow: 30m}}}]}
"""
THRESHOLD = """\
apiVersion: openslo/v1alpha
kind: SLO
metadata: {name: lag}
spec:
  service: web
  indicator: {thresholdMetric: {source: prometheus, queryType: promql, query: max(lag)}}
  timeWindows: [{count: 30, unit: Day, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{op: lte, value: 100, target: 0.99}]
"""


def series(bad: int, good: int, lag: int) -> list[dict[str, str]]:
    """Requests per minute of two instances, of which the first gets the bad ones, and a lag."""
    return [
        {"series": 'requests_total{code="500",instance="a"}', "values": f"0+{bad}x90"},
        {"series": 'requests_total{code="200",instance="a"}', "values": f"0+{good}x90"},
        {"series": 'requests_total{code="200",instance="b"}', "values": f"0+{good}x90"},
        {"series": "lag", "values": f"{lag}+0x90"},
    ]


def fires(folder: Path, document: str, inputs: list[dict[str, str]], alert: str) -> bool:
    """Whether promtool sees the critical alert, or that of the policy, after 80 minutes."""
    (folder / "slo.yaml").write_text(document)
    (folder / "rules.yaml").write_text(rule_file([folder / "slo.yaml"]))
    found = yaml.safe_load((folder / "rules.yaml").read_text())["groups"][0]["rules"]
    (rule,) = (each for each in found if each.get("alert") == alert and each["labels"]["severity"] != "warning")
    labels = {**rule["labels"], "service": "web"}
    expected: dict[str, Any] = {"eval_time": "80m", "alertname": alert}
    test = {"interval": "1m", "input_series": inputs, "promql_expr_test": [], "alert_rule_test": [expected]}
    (folder / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    done = subprocess.run(
        [tool("promtool"), "test", "rules", folder / "test.yaml"], capture_output=True, text=True, check=False
    )
    assert "got" in done.stdout + done.stderr or done.returncode == 0, done.stderr
    return all(f'{key}="{value}"' in done.stdout + done.stderr for key, value in labels.items())


@pytest.mark.parametrize(
    ("document", "above", "below", "alert"),
    [
        (RATIO, series(13, 87, 0), series(10, 90, 0), "ObjectiveBurn"),
        (RATIO, series(20, 80, 0), series(10, 90, 0), "ObjectiveBurnAsAgreed"),
        (RATIO.replace("Occurrences", "Timeslices"), series(40, 60, 0), series(9, 91, 0), "ObjectiveBurn"),
        (THRESHOLD, series(0, 1, 101), series(0, 1, 100), "ObjectiveBurn"),
    ],
    ids=["workbook", "policy", "slices", "threshold"],
)
def test_an_objective_fires_above_its_burn_rate_only(
    document: str, above: list[dict[str, str]], below: list[dict[str, str]], alert: str, tmp_path: Path
) -> None:
    assert fires(tmp_path, document, above, alert)
    assert not fires(tmp_path, document, below, alert)
