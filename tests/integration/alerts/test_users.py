"""The generated rules in a real Prometheus estimate the number of users in histories of whole services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alerts import groups
from alerts.model import to_rule_file
from alerts.rule_tests.promtool import to_test_file
from alerts.rule_tests.users_tests import users_tests
from instrumentation.settings import Settings
from tests.support.mutants import passing, read
from tests.support.user_estimates import Estimated, estimated, standard_error
from tests.support.user_fleet import DAY, Scenario

if TYPE_CHECKING:
    from pathlib import Path

SPANS = {"5m": 300, "1d": DAY}
FEW = (30, 100, 300)
MANY = (1000, 2500, 30_000, 1_000_000)


def allowed(result: Estimated) -> float:
    """5 % of a small number, but at least one user, since two may share a register; of a large one 3 standard errors."""
    users = result.scenario.users
    return max(0.05, 1 / users) if users <= max(FEW) else 3 * standard_error(1024)


def scenarios(*sizes: int) -> list[Scenario]:
    return [
        Scenario(job=f"{span}-{users}", users=users, seconds=seconds)
        for users in sizes
        for span, seconds in SPANS.items()
    ]


@pytest.mark.parametrize(
    ("version", "sizes"), [("prometheus", (10, *FEW, *MANY)), ("prometheus-oldest", (10, 300, 2500))]
)
def test_ten_to_a_million_users_of_five_minutes_and_of_a_day(version: str, sizes: tuple[int, ...]) -> None:
    results = estimated(scenarios(*sizes), Settings(), version)
    assert {result.scenario.job: result.error for result in results if abs(result.error) > allowed(result)} == {}
    assert len(results) == 2 * len(sizes)


WRONG = [
    (
        "max by (cluster, namespace, environment, job, register)",
        "min by (cluster, namespace, environment, job, register)",
    ),
    ("max_over_time(active_user_register[75s])", "active_user_register"),
    ("register:max[240s]", "register:max[120s]"),
    ("register:max[240s]", "register:max[480s]"),
    ("[1d]", "[5m]"),
    ("max5m > bool 0", "max5m >= bool 0"),
    ("max1d > bool 0", "max1d >= bool 0"),
    ("1 - sum", "0.999 - sum"),
    ("round(", "floor(0.9 * "),
]


def test_the_rules_pass_their_test_and_none_that_is_wrong_does(tmp_path: Path) -> None:
    text = to_rule_file(group for group in groups(Settings()) if group.name == "sidelight.users")
    assert [was for was, _ in WRONG if was not in text] == []
    mutants = {f"{becomes} in place of {was}": text.replace(was, becomes) for was, becomes in WRONG}
    rules = {name: read(changed) for name, changed in {"as it is": text, **mutants}.items()}
    tests = read(to_test_file(users_tests(Settings()), Settings(), "rules.yaml"))
    assert passing(tmp_path, rules, [tests]) == ["as it is"]
