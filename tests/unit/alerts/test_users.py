"""The rules of active users follow the settings, and their formula is the measured one."""

from __future__ import annotations

import re

import pytest

from alerts import generated, groups
from alerts.checking.series import faults
from alerts.model import RecordingRule
from alerts.recording.users import active_users, daily_active_users, users_rules
from instrumentation.settings import Settings, parse_settings
from tests.support.estimators import improved


def expressions(data: object = ()) -> dict[str, str]:
    settings = parse_settings(dict(data))  # type: ignore[call-overload]
    return {rule.record: rule.expr for rule in users_rules(settings)}


@pytest.mark.parametrize("size", [16, 1024, 16384])
def test_the_formula_is_the_one_that_was_measured(size: int) -> None:
    """Read as Python, for registers of which a third is not set."""
    ranks = [number % 3 * (1 + number % 5) for number in range(size)]
    text = expressions({"users": {"registers": size}})["job:active_users:estimate5m"]
    sums = {
        "sum by (cluster, namespace, environment, job) (2 ^ -job:active_user_register:max5m)": sum(
            2.0**-rank for rank in ranks
        ),
        "sum by (cluster, namespace, environment, job) (job:active_user_register:max5m == bool 0)": ranks.count(0),
        "job:active_user_register_unset:ratio5m": ranks.count(0) / size,
    }
    for part, value in sums.items():
        assert part in text
        text = text.replace(part, f"{value!r}")
    assert eval(text.replace("^", "**")) == pytest.approx(improved(ranks), abs=0.501, rel=1e-5)  # noqa: S307


def test_what_is_read_reaches_back_over_the_window_and_no_sample_falls_between_two_evaluations() -> None:
    rules = expressions(
        {"users": {"window": "40s"}, "metrics": {"scrape_interval": "10s"}, "alerting": {"window": "7m"}}
    )
    assert rules["job:active_user_register:max"].endswith("(max_over_time(active_user_register[50s]))")
    assert rules["job:active_user_register:max7m"] == "max_over_time(job:active_user_register:max[380s])"
    assert rules["job:active_user_register:max1d"] == "max_over_time(job:active_user_register:max[1d])"


def test_a_window_of_users_longer_than_the_one_of_the_rules_needs_no_looking_back() -> None:
    rules = expressions({"users": {"window": "2m"}, "alerting": {"window": "1m"}})
    assert rules["job:active_user_register:max1m"] == "max_over_time(job:active_user_register:max[15s])"


def test_the_rules_are_evaluated_once_in_a_window_of_users() -> None:
    made = {group.name: group.interval for group in groups(parse_settings({"users": {"window": "90s"}}))}
    assert made["sidelight.users"] == "90s"
    assert made["sidelight.http"] == "30s"


def test_rare_scrapes_make_longer_windows() -> None:
    rules = expressions({"metrics": {"scrape_interval": "60s"}})
    assert rules["job:active_user_register:max"].endswith("(max_over_time(active_user_register[180s]))")


def test_only_the_first_rule_reads_what_the_pods_show() -> None:
    first, *others = expressions().values()
    assert "active_user_register[" in first
    assert not any(re.search(r"(?<!:)active_user_register\b(?!:)", other) for other in others)


def test_a_service_is_what_the_settings_group_by() -> None:
    settings = parse_settings({"alerting": {"group_by": ["job", "namespace"]}})
    assert active_users(settings) == "job:active_users:estimate5m"
    assert daily_active_users(settings) == "job:active_users:estimate1d"
    assert all("(job, namespace" in rule.expr for rule in users_rules(settings) if " by " in rule.expr)
    assert faults(groups(settings), settings.alerting.group_by) == []


@pytest.mark.parametrize(
    "changed",
    [{"users": {"registers": 512}}, {"users": {"window": "2m"}}, {"metrics": {"scrape_interval": "30s"}}],
    ids=["registers", "window", "scrape interval"],
)
def test_every_number_is_used(changed: object) -> None:
    def made(settings: Settings) -> list[str]:
        return [rule.expr for rule in users_rules(settings)]

    assert made(parse_settings(changed)) != made(Settings())
    assert generated(parse_settings(changed))["rules.yaml"] != generated(Settings())["rules.yaml"]


def test_every_rule_of_the_group_is_a_recording_rule() -> None:
    (group,) = (group for group in groups(Settings()) if group.name == "sidelight.users")
    assert all(isinstance(rule, RecordingRule) for rule in group.rules)
