"""Threshold lines come from the settings, in a form that Grafana understands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dashboards import DASHBOARDS, generated, panels_of
from instrumentation.settings import Settings, parse_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Walk = Callable[[Any], Iterator[tuple[str, Any]]]

OVERRIDE = {"match": {"job": "search"}, "error_ratio": {"warning": 0.03}, "latency_p95_seconds": {"critical": 2.5}}


def _panel(settings: Settings, title: str, slug: str = "operations") -> dict[str, Any]:
    dashboard: Any = DASHBOARDS[slug](settings)
    return next(panel for panel in panels_of(dashboard) if panel["title"] == title)


def _lines(settings: Settings, title: str, slug: str = "operations") -> list[float]:
    defaults = _panel(settings, title, slug)["fieldConfig"]["defaults"]
    return [step["value"] for step in defaults["thresholds"]["steps"]][1:]


def test_the_latency_line_moves_with_its_threshold() -> None:
    settings = parse_settings({"thresholds": {"latency_p95_seconds": {"critical": 0.8}}})
    assert _lines(settings, "Latency") == [0.5, 0.8]
    assert _lines(settings, "Latency p95 now") == [0.5, 0.8]


@pytest.mark.parametrize(
    ("threshold", "title", "levels", "sentence"),
    [
        ("queue_depth", "Queue depth", (7, 70), "Warning above 7 items, critical above 70 items."),
        ("queue_oldest_age_seconds", "Oldest item in queue", (7.5, 70.0), "Warning above 7.5 s, critical above 70 s."),
        ("cpu_used_ratio", "CPU usage", (0.5, 0.7), "Warning above 50 %, critical above 70 %."),
        ("memory_used_ratio", "Memory usage", (0.5, 0.7), "Warning above 50 %, critical above 70 %."),
        ("disk_used_ratio", "Disk usage", (0.5, 0.7), "Warning above 50 %, critical above 70 %."),
    ],
)
def test_what_runs_full_has_the_lines_of_its_alert(
    threshold: str, title: str, levels: tuple[float, float], sentence: str
) -> None:
    warning, critical = levels
    given = {"warning": warning, "critical": critical}
    settings = parse_settings({"thresholds": {threshold: given}})
    assert _lines(settings, title) == [warning, critical]
    assert _panel(settings, title)["description"].endswith(sentence)
    own = {"match": {"job": "search"}, threshold: given}
    settings = parse_settings({"thresholds": {"overrides": [own]}})
    drawn = [target["expr"] for target in _panel(settings, f"{title} and own thresholds")["targets"]]
    assert [expr for expr in drawn if f"{threshold}_threshold:" in expr] == drawn[-2:]
    assert all('job=~"$job"' in expr for expr in drawn)


def test_the_share_of_the_budget_has_the_lines_of_its_alert() -> None:
    settings = parse_settings({"budget": {"daily_usd": 7.0, "spent_ratio": {"warning": 0.5, "critical": 1.3}}})
    assert _lines(settings, "Budget spent today", "business") == [0.5, 1.3]
    assert "Warning above 50 %, critical above 130 %." in generated(settings)["business.json"]


def test_without_a_budget_there_is_no_panel_of_it() -> None:
    text = generated(Settings())["business.json"]
    assert "Budget spent" not in text
    assert "Forecast" not in text


def test_failures_of_workflows_have_the_lines_of_their_alert() -> None:
    settings = parse_settings({"thresholds": {"workflow_failure_ratio": {"warning": 0.07, "critical": 0.3}}})
    assert _lines(settings, "Failed share by workflow", "business") == [0.07, 0.3]


def test_the_sentence_moves_with_the_line() -> None:
    settings = parse_settings({"thresholds": {"error_ratio": {"warning": 0.02, "critical": 0.07}}})
    assert _lines(settings, "Error ratio") == [0.02, 0.07]
    assert _panel(settings, "Error ratio")["description"].endswith("Warning above 2 %, critical above 7 %.")


def test_a_threshold_line_is_visible_also_without_problems() -> None:
    custom = _panel(Settings(), "Error ratio")["fieldConfig"]["defaults"]["custom"]
    assert custom["thresholdsStyle"] == {"mode": "dashed"}
    assert custom["axisSoftMax"] == pytest.approx(0.06)


def test_a_graph_without_thresholds_draws_no_line() -> None:
    custom = _panel(Settings(), "Request rate")["fieldConfig"]["defaults"]["custom"]
    assert custom["thresholdsStyle"] == {"mode": "off"}
    assert "axisSoftMax" not in custom


def test_a_ratio_that_is_always_zero_does_not_stretch_the_axis() -> None:
    assert _panel(Settings(), "CPU throttled")["fieldConfig"]["defaults"]["custom"]["axisSoftMax"] == 0.01


def test_equal_thresholds_are_one_line() -> None:
    settings = parse_settings({"thresholds": {"error_ratio": {"warning": 0.04, "critical": 0.04}}})
    steps = _panel(settings, "Error ratio")["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps == [{"color": "green", "value": None}, {"color": "red", "value": 0.04}]


def test_a_thousand_overrides_need_no_more_panels_than_one() -> None:
    def panels(count: int) -> list[str]:
        own = [{**OVERRIDE, "match": {"job": f"search-{number}"}} for number in range(count)]
        dashboard: Any = DASHBOARDS["operations"](parse_settings({"thresholds": {"overrides": own}}))
        return [panel["title"] for row in dashboard["panels"] for panel in (row, *row.get("panels", ()))]

    assert panels(1000) == panels(1)
    assert set(panels(1)) - set(panels(0)) == {
        "Services with thresholds of their own",
        "Error ratio and own thresholds",
        "Latency and own thresholds",
    }


@pytest.mark.parametrize("name", ["error_ratio", "latency_p95_seconds"])
@pytest.mark.parametrize("level", ["warning", "critical"])
def test_doubling_any_threshold_changes_a_dashboard(name: str, level: str) -> None:
    def texts(factor: float) -> dict[str, str]:
        levels = {"warning": 0.004, "critical": 0.3} | {level: {"warning": 0.004, "critical": 0.3}[level] * factor}
        return generated(parse_settings({"thresholds": {name: levels}}))

    assert texts(1) != texts(2)


def test_every_base_step_is_null_and_every_other_an_increasing_number(built: dict[str, Any], walk: Walk) -> None:
    found = [
        [step["value"] for step in value]
        for dashboard in built.values()
        for path, value in walk(dashboard)
        if path.endswith(".thresholds.steps")
    ]
    assert len(found) > 40
    for base, *others in found:
        assert base is None
        assert all(type(value) in {int, float} for value in others)
        assert others == sorted(set(others))
