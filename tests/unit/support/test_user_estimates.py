"""Histories contain the users that they claim, and rules are recorded after the series that they read."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from instrumentation.settings import Settings
from tests.support.estimators import improved, original
from tests.support.prometheus_history import layers, rules_of
from tests.support.user_estimates import END, Estimated
from tests.support.user_fleet import DAY, PODS, Scenario, history

if TYPE_CHECKING:
    from pathlib import Path

LINE = re.compile(r'active_user_register\{job="shop",instance="(pod-\d)",register="(\d+)"\} (\d+) (\d+)\n')


@pytest.mark.parametrize("seconds", [300, DAY])
def test_a_history_holds_its_users_in_the_span_and_others_before_it(seconds: int, tmp_path: Path) -> None:
    lines = list(history(Scenario(job="shop", users=300, seconds=seconds), END, Settings(), tmp_path))
    samples = [match.groups() for line in lines if (match := LINE.fullmatch(line))]
    assert len(samples) == len(lines)
    times = [int(second) for *_, second in samples]
    assert times == sorted(times)
    assert len({pod for pod, *_ in samples}) == PODS
    largest: dict[bool, dict[int, int]] = {True: defaultdict(int), False: defaultdict(int)}
    for _, register, rank, second in samples:
        within = largest[int(second) > END - seconds]
        within[int(register)] = max(within[int(register)], int(rank))
    assert estimated(largest[True]) == pytest.approx(300, rel=0.07)
    assert estimated(largest[False]) == pytest.approx(150, rel=0.07)


def estimated(ranks: dict[int, int]) -> float:
    return improved([ranks.get(register, 0) for register in range(1024)])


def test_no_sample_is_given_twice(tmp_path: Path) -> None:
    lines = list(history(Scenario(job="shop", users=100, seconds=300), END, Settings(), tmp_path))
    places = [re.sub(r"\} \d+ ", "} ", line) for line in lines]
    assert len(set(places)) == len(places)


def test_a_rule_is_recorded_after_what_it_reads() -> None:
    rules = rules_of(Settings(), "users")
    found = list(layers(rules))
    assert [len(layer) for layer in found] == [1, 2, 2, 2]
    assert sorted(rule["record"] for layer in found for rule in layer) == sorted(rule["record"] for rule in rules)


def test_both_estimators_count_few_registers_alike() -> None:
    ranks = [0] * 1000 + [1, 2, 1, 4, 1, 3, 1, 2, 1, 1, 2, 5, 1, 1, 2, 3, 1, 2, 1, 6, 1, 1, 2, 1]
    assert original(ranks) == pytest.approx(24.3, abs=0.1)
    assert improved(ranks) == pytest.approx(24.3, abs=0.1)


def test_an_error_is_a_share_of_the_users_that_there_were() -> None:
    assert Estimated(Scenario(job="shop", users=200, seconds=300), 193.0).error == pytest.approx(-0.035)
