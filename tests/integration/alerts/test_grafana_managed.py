"""The texts of Grafana-managed alerts say the same as those of Prometheus' alerts."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from alerts import generated
from alerts.grafana_managed import grafana_template
from instrumentation.settings import parse_settings
from sidelight.toolchain import tool
from tests.integration.alerts.test_rules import TESTS, each_with_its_groups
from tests.support.mutants import read

if TYPE_CHECKING:
    from pathlib import Path

ALERTS = {"QueueBacklogGrowing", "HealthCheckFailing", "MemoryNearLimit"}


def test_the_texts_say_the_same(tmp_path: Path) -> None:
    """Prometheus has ``.Labels`` too, and ``.Value`` where Grafana has ``.Values.query.Value``."""
    files = generated(parse_settings({"service": {"name": "shop"}}))
    rules = read(files["rules.yaml"])
    texts: list[str] = []
    for group in rules["groups"]:
        for rule in group["rules"]:
            for name, text in rule.get("annotations", {}).items():
                texts.append(grafana_template(text).replace(".Values.query.Value", ".Value"))
                rule["annotations"][name] = texts[-1]
    assert texts
    assert "$" not in "".join(texts)
    for name in TESTS:
        document = read(files[name])
        document["tests"] = [
            test
            for test in document["tests"]
            if {one["alertname"] for one in test.get("alert_rule_test", ())} & ALERTS
            and "exp_annotations" in json.dumps(test)
        ]
        files[name] = json.dumps(document)
    tests = [*each_with_its_groups(tmp_path, files | {"rules.yaml": json.dumps(rules)})]
    assert {word for name in tests for word in (tmp_path / name).read_text().split('"')} >= ALERTS
    ran = subprocess.run(
        [tool("promtool"), "test", "rules", *tests],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
