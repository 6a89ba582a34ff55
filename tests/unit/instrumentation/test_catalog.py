"""The catalog follows the naming conventions of the field."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from instrumentation.catalog import BY_NAME, METRICS, Kind, Metric, Unit

ROWS = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


def test_no_name_is_there_twice() -> None:
    assert [name for name, times in Counter(metric.name for metric in METRICS).items() if times > 1] == []
    assert len(BY_NAME) == len(METRICS)


@ROWS
def test_names_are_those_of_prometheus(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", label) for label in metric.labels)


@ROWS
def test_a_counter_ends_in_total_and_nothing_else_does(metric: Metric) -> None:
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)


@ROWS
def test_a_name_carries_its_unit(metric: Metric) -> None:
    words = {Unit.SECONDS: "_seconds", Unit.BYTES: "_bytes", Unit.USD: "_usd", Unit.CORES: "_cores", Unit.COUNT: ""}
    assert words[metric.unit] in metric.name


@ROWS
def test_no_label_is_one_that_prometheus_adds(metric: Metric) -> None:
    assert not {"job", "instance", "le", "quantile"} & set(metric.labels)


@ROWS
def test_only_labels_of_the_row_are_folded(metric: Metric) -> None:
    assert set(metric.folded) <= set(metric.labels)


@ROWS
def test_help_is_one_sentence(metric: Metric) -> None:
    assert metric.help.endswith(".")
    assert "\n" not in metric.help
