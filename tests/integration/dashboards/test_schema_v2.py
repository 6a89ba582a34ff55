"""Dashboards in Grafana's second schema match Grafana's own types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dashboards.export import exported
from instrumentation.settings import parse_settings
from tests.support.typescript import LITERAL, faults

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = parse_settings(
    {"budget": {"daily_usd": 7.0}, "dashboards": {"owner": "payments", "loki": "l", "tempo": "t"}}
)
HEAD = "import type {{ Spec }} from '@grafana/schema/apis/dashboard.grafana.app/{}';"


def source(version: str, spec: dict[str, Any]) -> str:
    return (
        f"{HEAD.format(version)}\n{LITERAL}\nexport const spec = {json.dumps(spec, indent=1)} satisfies Literal<Spec>;"
    )


def specs(version: str) -> dict[str, dict[str, Any]]:
    return {name: json.loads(text)["spec"] for name, text in exported(SETTINGS, version).items()}


@pytest.mark.parametrize("name", ["operations.json", "fleet.json", "business.json"])
@pytest.mark.parametrize("version", ["v2beta1", "v2"])
def test_a_dashboard_is_what_grafanas_types_say(version: str, name: str, tmp_path: Path) -> None:
    assert faults(tmp_path, source(version, specs(version)[name])) == []


def test_the_types_tell_the_versions_apart(tmp_path: Path) -> None:
    assert faults(tmp_path, source("v2", specs("v2beta1")["fleet.json"]))
