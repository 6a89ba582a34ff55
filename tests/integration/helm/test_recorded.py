"""Recorded series that only dashboards use are rendered together with their group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alerts.recording.users import active_users, daily_active_users, users_rules
from instrumentation.settings import Settings

if TYPE_CHECKING:
    from conftest import Chart


def users(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [group for group in groups if group["name"] == "sidelight.users"]


def test_series_that_no_alert_reads_are_recorded(chart: Chart) -> None:
    (group,) = users(chart.groups())
    assert group["interval"] == "60s"
    assert group["rules"] == [rule.document() for rule in users_rules(Settings())]
    assert {active_users(Settings()), daily_active_users(Settings())} <= {rule["record"] for rule in group["rules"]}


def test_they_go_with_their_group(chart: Chart) -> None:
    assert users(chart.groups({"rules": {"groups": {"users": False}}})) == []
