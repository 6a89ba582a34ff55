"""The rules of the defaults and of overrides are the approved ones; SIDELIGHT_UPDATE_GOLDENS=1 approves others."""

from __future__ import annotations

import os
from pathlib import Path

from alerts import groups
from alerts.model import to_rule_file
from instrumentation.settings import Settings, parse_settings

ROOT = Path(__file__).parents[3]
OVERRIDES = {
    "alerting": {
        "group_by": ["job", "namespace"],
        "left_out": [{"alerts": ["CPUSaturated"], "match": {"job": "batch"}}],
    },
    "budget": {"daily_usd": 7.3},
    "thresholds": {
        "overrides": [
            {"match": {"job": "search"}, "latency_p95_seconds": {"warning": 1.3, "critical": 2.2}},
            {"match": {"job": "import", "namespace": "batch"}, "latency_p95_seconds": {"critical": 7.0}},
            {"match": {"namespace": "batch"}, "error_ratio": {"critical": 0.2}},
            {"match": {"job": "index"}, "disk_used_ratio": {"critical": 0.97}},
            {"match": {"queue": "emails"}, "queue_depth": {"critical": 7000}},
            {"match": {"workflow": "nightly"}, "workflow_failure_ratio": {"warning": 0.11}},
            {"match": {"server_address": "payments"}, "dependency_error_ratio": {"critical": 0.7}},
            {"match": {"job": "agents"}, "daily_usd": 13.0, "pool_used_ratio": {"warning": 0.7}},
        ]
    },
}


def test_the_rules_of_the_defaults_are_those_in_the_repository() -> None:
    made = to_rule_file(groups(Settings()))
    kept = (ROOT / "alerts" / "generated" / "rules.yaml").read_text("utf-8")
    assert made[made.index("groups:") :] == kept[kept.index("groups:") :]


def test_the_rules_of_overrides_are_approved() -> None:
    made = to_rule_file([group for group in groups(parse_settings(OVERRIDES)) if "override" in group.name])
    approved = Path(__file__).with_name("approved") / "overrides.yaml"
    if os.environ.get("SIDELIGHT_UPDATE_GOLDENS"):
        approved.parent.mkdir(exist_ok=True)
        approved.write_text(made, "utf-8")
    assert made == approved.read_text("utf-8")
