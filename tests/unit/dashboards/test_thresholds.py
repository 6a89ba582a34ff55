"""Threshold lines come from the settings, and Grafana understands them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dashboards import DASHBOARDS, generated
from instrumentation.settings import Settings, parse_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Walk = Callable[[Any], Iterator[tuple[str, Any]]]

OVERRIDE = {"match": {"job": "search"}, "error_ratio": {"warning": 0.03}, "latency_p95_seconds": {"critical": 2.5}}


def _panel(settings: Settings, title: str) -> dict[str, Any]:
    dashboard: Any = DASHBOARDS["operations"](settings)
    return next(panel for panel in dashboard["panels"] if panel["title"] == title)


def _lines(settings: Settings, title: str) -> list[float]:
    return [step["value"] for step in _panel(settings, title)["fieldConfig"]["defaults"]["thresholds"]["steps"]][1:]


def test_the_latency_line_moves_with_its_threshold() -> None:
    settings = parse_settings({"thresholds": {"latency_p95_seconds": {"critical": 0.8}}})
    assert _lines(settings, "Latency") == [0.5, 0.8]
    assert _lines(settings, "Latency p95 now") == [0.5, 0.8]


def test_the_sentence_moves_with_the_line() -> None:
    settings = parse_settings({"thresholds": {"error_ratio": {"warning": 0.02, "critical": 0.07}}})
    assert _lines(settings, "Error ratio") == [0.02, 0.07]
    assert _panel(settings, "Error ratio")["description"].endswith("Warning above 2 %, critical above 7 %.")


def test_a_line_is_seen_also_when_all_is_well() -> None:
    custom = _panel(Settings(), "Error ratio")["fieldConfig"]["defaults"]["custom"]
    assert custom["thresholdsStyle"] == {"mode": "dashed"}
    assert custom["axisSoftMax"] == pytest.approx(0.06)


def test_a_graph_without_thresholds_draws_no_line() -> None:
    custom = _panel(Settings(), "Request rate")["fieldConfig"]["defaults"]["custom"]
    assert custom["thresholdsStyle"] == {"mode": "off"}
    assert "axisSoftMax" not in custom


def test_equal_thresholds_are_one_line() -> None:
    settings = parse_settings({"thresholds": {"error_ratio": {"warning": 0.04, "critical": 0.04}}})
    steps = _panel(settings, "Error ratio")["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps == [{"color": "green", "value": None}, {"color": "red", "value": 0.04}]


def test_a_service_with_thresholds_of_its_own_has_panels_of_its_own() -> None:
    settings = parse_settings({"thresholds": {"overrides": [OVERRIDE]}})
    assert _lines(settings, "Error ratio of job search") == [0.03, 0.05]
    assert _lines(settings, "Latency of job search") == [0.5, 2.5]
    assert 'job="search"' in _panel(settings, "Latency of job search")["targets"][1]["expr"]
    assert _lines(settings, "Latency") == [0.5, 1.0]


def test_a_service_without_own_error_threshold_does_not_get_an_error_panel_of_its_own() -> None:
    own = {"match": {"job": "search"}, "latency_p95_seconds": {"critical": 2.5}}
    text = generated(parse_settings({"thresholds": {"overrides": [own]}}))["operations.json"]
    assert "Latency of job search" in text
    assert "Error ratio of job search" not in text


@pytest.mark.parametrize("name", ["error_ratio", "latency_p95_seconds"])
@pytest.mark.parametrize("level", ["warning", "critical"])
@pytest.mark.parametrize("place", ["for all", "override"])
def test_doubling_any_threshold_changes_a_dashboard(name: str, level: str, place: str) -> None:
    def texts(factor: float) -> dict[str, str]:
        levels = {"warning": 0.004, "critical": 0.3} | {level: {"warning": 0.004, "critical": 0.3}[level] * factor}
        own = {"overrides": [{"match": {"job": "search"}, name: levels}]} if place == "override" else {name: levels}
        return generated(parse_settings({"thresholds": own}))

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
