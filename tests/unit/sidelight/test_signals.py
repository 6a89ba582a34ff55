"""Signals of a team in everything that is built from them: pages, chart, checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.frame import panels_of
from instrumentation.errors import SidelightError
from instrumentation.settings import Settings, parse_settings
from sidelight.build import PARTS, build
from sidelight.checks import find
from tests.support.signals import DECLARED

ROOT = Path(__file__).parents[3]
SETTINGS = parse_settings({"signals": DECLARED})


def built(number: float) -> dict[str, str]:
    alert = {"alert": "OrdersStopped", "rate": {"below": {"critical": number}, "per": "1h"}}
    settings = parse_settings({"signals": [{"name": "orders_placed", "kind": "counter", "alerts": [alert]}]})
    names = ("alerts", "dashboards", "chart", "signals")
    return {path: text for name in names for path, text in PARTS[name].files(settings).items()}


def test_one_number_changes_rule_sentence_test_line_chart_value_and_page() -> None:
    before, after = built(17.25), built(19.75)
    changed = {path for path in after if before[path] != after[path]}
    assert changed == {
        "alerts/generated/rules.yaml",
        "alerts/generated/rules_test.yaml",
        "dashboards/generated/business.json",
        "helm/sidelight/files/dashboards/business.json",
        "helm/sidelight/README.md",
        "helm/sidelight/values.yaml",
        "signals/README.md",
        "signals/runbooks/OrdersStopped.md",
    }
    [rule] = [rule for rule in alert_rules(after) if rule.get("alert") == "OrdersStopped"]
    assert "< 19.75\n" in rule["expr"]
    assert '"19.75"' in rule["annotations"]["description"]
    assert "just below 19.75 fires and resolves" in after["alerts/generated/rules_test.yaml"]
    panels = panels_of(json.loads(after["dashboards/generated/business.json"]))
    [panel] = [panel for panel in panels if panel["title"].startswith("OrdersStopped")]
    assert [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]][1:] == [19.75]
    values = yaml.safe_load(after["helm/sidelight/values.yaml"])
    assert values["alerts"]["OrdersStopped"]["critical"]["at_least"] == 19.75
    assert "| critical | all | 19.75 |" in after["signals/runbooks/OrdersStopped.md"]


def alert_rules(files: dict[str, str]) -> list[dict[str, Any]]:
    groups = yaml.safe_load(files["alerts/generated/rules.yaml"])["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_the_reference_lists_each_metric_and_each_alert() -> None:
    page = PARTS["signals"].files(SETTINGS)["signals/README.md"]
    assert "| `orders_placed_total` | counter | count | `channel` (web, app) | Orders placed. |" in page
    assert "| `quote_seconds` | histogram | seconds | `tenant` (up to 50 values) | Quote seconds. |" in page
    assert (
        "| [OrdersStopped](runbooks/OrdersStopped.md) | critical | 2m | a service counted only N orders_placed in the last 30m "
        "(limit 1). |" in page
    )


def test_a_runbook_has_the_steps_that_the_team_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    alert = {"alert": "OrdersStopped", "rate": {"below": {"warning": 7}}, "runbook": "runbooks/orders.md"}
    settings = parse_settings({"signals": [{"name": "orders_placed", "kind": "counter", "alerts": [alert]}]})
    with pytest.raises(
        SidelightError, match=r"alert OrdersStopped: runbook runbooks/orders\.md: cannot be read \(No such"
    ):
        build(settings, tmp_path, ["signals"])
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks/orders.md").write_text("Call the shop.\n")
    build(settings, tmp_path, ["signals"])
    assert "## What to do\n\nCall the shop.\n" in (tmp_path / "signals/runbooks/OrdersStopped.md").read_text()


def test_without_signals_there_are_no_pages() -> None:
    assert PARTS["signals"].files(Settings()) == {}


def test_the_chart_accepts_only_what_a_form_can_compare() -> None:
    schema = json.loads(PARTS["chart"].files(SETTINGS)["helm/sidelight/values.schema.json"])
    alerts = schema["properties"]["alerts"]["properties"]
    quantile = alerts["QuotesSlow"]["properties"]["critical"]["properties"]["threshold"]
    assert 0.8 in quantile["enum"]
    assert 40.0 not in quantile["enum"]
    assert alerts["PoolLow"]["properties"]["warning"]["properties"]["at_least"] == {"$ref": "#/definitions/number"}
    assert alerts["ImportMissing"]["properties"]["warning"]["properties"]["threshold"] == {
        "$ref": "#/definitions/count"
    }


def test_checks_know_the_teams_series_and_what_they_are(tmp_path: Path) -> None:
    rules = {
        "groups": [
            {
                "name": "own",
                "rules": [
                    {"record": "job:orders:rate5m", "expr": "sum by (job) (rate(orders_placed_total[5m]))"},
                    {"record": "job:typo:rate5m", "expr": "sum by (job) (rate(orders_place_total[5m]))"},
                    {"record": "job:pool:rate5m", "expr": "sum by (job) (rate(pool_connections[5m]))"},
                ],
            }
        ]
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(rules))
    found = [str(finding) for finding in find([tmp_path], SETTINGS).findings]
    assert any("orders_place_total, which is not a known series" in text for text in found), found
    assert any("pool_connections" in text for text in found), found
    assert not any("reads orders_placed_total" in text for text in found), found


def test_the_typed_module_knows_names_labels_and_values(tmp_path: Path) -> None:
    module = PARTS["signals"].files(SETTINGS)["signals/handles.py"]
    assert "BACKUP_TIMESTAMP_SECONDS" not in module
    (tmp_path / "handles.py").write_text(module)
    (tmp_path / "sidelight.yaml").write_text(yaml.safe_dump({"signals": DECLARED}))
    (tmp_path / "good.py").write_text(
        "from handles import NIGHTLY_IMPORT, ORDERS_PLACED, POOL_CONNECTIONS, QUOTE_SECONDS\n"
        "ORDERS_PLACED.add(channel='web')\n"
        "POOL_CONNECTIONS.read(lambda: 7.0)\n"
        "with NIGHTLY_IMPORT.run(), QUOTE_SECONDS.time(tenant='a'):\n"
        "    pass\n"
    )
    (tmp_path / "wrong.py").write_text(
        "from handles import ORDERS_PLACED\nORDERS_PLACED.add(chanel='web')\nORDERS_PLACED.add(channel='fax')\n"
    )
    env = {"MYPYPATH": str(ROOT), "PATH": os.environ["PATH"]}
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "good.py", "wrong.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env=env,
    )  # fmt: skip
    assert "good.py" not in checked.stdout
    assert 'wrong.py:2: error: Unexpected keyword argument "chanel"' in checked.stdout
    assert 'wrong.py:3: error: Argument "channel" to "add"' in checked.stdout
    ran = subprocess.run(
        [sys.executable, "good.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert ran.returncode == 0
    assert [line.partition(",")[0].partition(")")[2] for line in ran.stderr.splitlines()] == [
        " counts orders_placed_total"
    ]
