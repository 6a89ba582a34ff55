"""Every alert has a runbook with steps to follow, and every runbook has an alert."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alerts import ALERTS
from instrumentation.settings import parse_settings

if TYPE_CHECKING:
    from alerts import Alert

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"
BUDGET = parse_settings({"budget": {"daily_usd": 7.3}})  # with it there is every rule
SECTIONS = ["First steps", "Meaning", "Impact", "Diagnosis", "Mitigation"]
NAMES = [alert.name for alert in ALERTS]

FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
SETTING_IN_PROSE = re.compile(r"\b\d+(\.\d+)?\s?(%|percent|ms|milliseconds?|s|seconds?|m|minutes?|h|hours?)(?!\w)")


def page(name: str) -> str:
    return (RUNBOOKS / f"{name}.md").read_text("utf-8")


def prose(text: str) -> str:
    return FENCED.sub("", text)


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_what_to_do_first_what_the_alert_means_whom_it_hurts_what_to_look_at_and_what_to_do_in_this_order(
    name: str,
) -> None:
    text = page(name)
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", prose(text), re.MULTILINE) == SECTIONS
    assert all(section(text, title).strip() for title in SECTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_with_three_short_steps(name: str) -> None:
    steps = re.findall(r"^\d\. (.+)$", section(page(name), "First steps"), re.MULTILINE)
    assert len(steps) == 3
    assert all(len(step) <= 120 for step in steps)


@pytest.mark.parametrize("name", NAMES)
def test_a_diagnosis_gives_queries_for_one_service(name: str) -> None:
    queries = re.findall(r"```promql\n(.*?)```", section(page(name), "Diagnosis"), re.DOTALL)
    assert queries
    about_a_service = [query for query in queries if name != "Watchdog"]  # it is about no service
    assert all(re.search('job!?="shop"', query) for query in about_a_service)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_leaves_the_numbers_to_the_settings(name: str) -> None:
    assert SETTING_IN_PROSE.search(prose(page(name))) is None


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_a_page_describes_every_severity_of_its_alert(alert: Alert) -> None:
    severities = {rule.severity for rule in alert.rules(BUDGET)}
    assert {severity for severity in severities if f"`{severity}`" not in prose(page(alert.name))} == set()


@pytest.mark.parametrize("text", ["after 5m", "above 5 %", "for 2 minutes", "1.5 s later", "500ms", "5%."])
def test_a_number_that_the_settings_own_is_seen_in_prose(text: str) -> None:
    assert SETTING_IN_PROSE.search(prose(f"It fires {text}"))


@pytest.mark.parametrize("text", ["499 is not an error", "the p95", "the 95th request", "```promql\nrate(a[5m])\n```"])
def test_a_number_without_a_setting_is_allowed_in_prose(text: str) -> None:
    assert not SETTING_IN_PROSE.search(prose(text))
