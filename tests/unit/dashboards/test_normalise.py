"""The output contains no outdated forms of grafanalib."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dashboards import DASHBOARDS, generated, panels_of
from dashboards.layout import Place
from dashboards.model import Panel, Query, Unit, View
from dashboards.normalise import normalised
from dashboards.panels import as_json
from instrumentation.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Walk = Callable[[Any], Iterator[tuple[str, Any]]]

LEGACY = {
    *("__inputs", "gnetId", "hideControls", "rows", "sharedCrosshair", "style", "time_options"),
    *("cacheTimeout", "editable", "error", "height", "hideTimeOverride", "maxDataPoints", "minSpan", "span"),
    *("fontSize", "displayMode.", "fieldOptions", "nullPointMode", "timeShift", "repeat"),
    *("intervalFactor", "metric", "step", "target.", "hide.", "query."),
    *("op", "yaxis", "line", "index", "useTags", "tagsQuery", "tagValuesQuery", "auto", "auto_min", "auto_count"),
}
AN_OLD_PANEL = {
    "type": "timeseries",
    "cacheTimeout": None,
    "editable": True,
    "maxDataPoints": 100,
    "description": None,
    "targets": [{"expr": "up", "intervalFactor": 2, "step": 10, "target": "", "metric": "", "refId": "A"}],
    "fieldConfig": {
        "defaults": {
            "unit": "s",
            "decimals": None,
            "thresholds": {
                "mode": "absolute",
                "steps": [
                    {"color": "green", "value": "null", "index": 0, "op": "gt", "yaxis": "left", "line": True},
                    {"color": "red", "value": 0.7, "index": 1, "op": "gt", "yaxis": "left", "line": True},
                ],
            },
        }
    },
}
OF_COLUMNS = {".overrides[].properties[].value.steps[].value"}  # of a table whose columns have thresholds


def test_an_old_panel_comes_out_in_todays_form() -> None:
    dashboard = normalised({"title": "A", "style": None, "panels": [AN_OLD_PANEL]})
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 0.7}]
    assert dashboard == {
        "title": "A",
        "schemaVersion": 42,
        "panels": [
            {
                "type": "timeseries",
                "targets": [{"refId": "A", "expr": "up"}],
                "fieldConfig": {"defaults": {"unit": "s", "thresholds": {"mode": "absolute", "steps": steps}}},
            }
        ],
    }


def test_no_legacy_key_is_left(built: dict[str, Any], walk: Walk) -> None:
    for dashboard in built.values():
        for panel in panels_of(dashboard):
            assert LEGACY.isdisjoint(panel), panel["title"]
            for target in panel.get("targets", ()):
                assert (LEGACY | {"query", "target", "hide"}).isdisjoint(target), panel["title"]
        keys = {path.rpartition(".")[2] for path, _ in walk(dashboard["panels"])}
        assert keys.isdisjoint(
            {"index", "yaxis", "op", "line", "maxDataPoints", "intervalFactor", "step", "fieldOptions"}
        )
        assert LEGACY.isdisjoint(set(dashboard) - {"editable"})
        for variable in dashboard["templating"]["list"]:
            assert LEGACY.isdisjoint(variable), variable["name"]


def test_nothing_is_null_but_the_base_step_of_thresholds(built: dict[str, Any], walk: Walk) -> None:
    for dashboard in built.values():
        nulls = {path.rpartition(".fieldConfig")[2] for path, value in walk(dashboard) if value is None}
        assert nulls - OF_COLUMNS == {".defaults.thresholds.steps[].value"}


def test_the_string_null_appears_nowhere(settings: Settings) -> None:
    assert all('"null"' not in text for text in generated(settings).values())


def test_no_stacking_is_empty_and_no_custom_scale_is_left(built: dict[str, Any], walk: Walk) -> None:
    values = [value for board in built.values() for path, value in walk(board) if path.endswith(".custom.stacking")]
    assert {tuple(sorted(value.items())) for value in values} == {
        (("group", "A"), ("mode", "none")),
        (("group", "A"), ("mode", "normal")),
    }
    scales = [value for board in built.values() for path, value in walk(board) if path.endswith(".scaleDistribution")]
    assert all(scale == {"type": "linear"} for scale in scales)


def test_every_data_source_is_a_type_and_a_uid(built: dict[str, Any], walk: Walk) -> None:
    found = [value for board in built.values() for path, value in walk(board) if path.endswith(".datasource")]
    assert len(found) > 100
    assert all(set(value) == {"type", "uid"} for value in found)


def test_every_target_has_a_query_type(built: dict[str, Any]) -> None:
    for dashboard in built.values():
        for panel in panels_of(dashboard):
            for letter, target in zip("ABCDEF", panel.get("targets", ()), strict=False):
                assert target["range"] is not target["instant"], panel["title"]
                assert (target["editorMode"], target["refId"]) == ("code", letter)


def test_stats_show_the_last_value_and_not_the_mean(built: dict[str, Any]) -> None:
    stats = [panel for board in built.values() for panel in board["panels"] if panel["type"] == "stat"]
    assert len(stats) > 10
    assert all(panel["options"]["reduceOptions"]["calcs"] == ["lastNotNull"] for panel in stats)


@pytest.mark.parametrize(
    ("view", "expr", "expected"),
    [
        (View.TIME_SERIES, "rate(http_server_request_duration_seconds_count[5m])", True),
        (View.TIME_SERIES, "queue_depth", False),
        (View.STAT, "rate(http_server_request_duration_seconds_count[5m])", False),
    ],
)
def test_exemplars_are_queried_on_graphs_of_histograms(view: View, expr: str, expected: bool) -> None:  # noqa: FBT001
    panel = Panel(title="A", description="B.", view=view, unit=Unit.COUNT, queries=(Query(expr=expr),))
    drawn = as_json(panel, Place(x=0, y=0, w=24, h=8), "15s")
    assert drawn["targets"][0]["exemplar"] is expected


def test_a_rate_window_follows_the_scrape_interval() -> None:
    slow = Settings.model_validate({"metrics": {"scrape_interval": "37s"}})
    dashboard: Any = DASHBOARDS["operations"](slow)
    panel = next(panel for panel in dashboard["panels"] if panel["title"] == "Request rate")
    assert panel["targets"][0]["interval"] == "37s"


def test_two_builds_are_equal_and_end_with_a_line_break(settings: Settings) -> None:
    first, second = generated(settings), generated(settings)
    assert first == second
    assert sorted(first) == ["business.json", "fleet.json", "operations.json"]
    assert all(text.endswith("}\n") and json.loads(text)["schemaVersion"] == 42 for text in first.values())
