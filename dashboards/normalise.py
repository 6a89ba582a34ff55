"""Reduces a dashboard to what current Grafana writes itself: no legacy keys, no stray nulls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_VERSION = 42  # Grafana 13.2

# Keys of the current schema (PyPI grafana-foundation-sdk 0.0.21, Grafana 13.2). All others are legacy.
_PANEL_KEYS = (
    *("id", "type", "title", "description", "gridPos", "datasource", "targets", "transformations", "links"),
    *("fieldConfig", "options"),
)
_ROW_KEYS = ("id", "type", "title", "gridPos", "collapsed")
_TARGET_KEYS = (
    *("refId", "datasource", "expr", "legendFormat", "format", "interval", "instant", "range", "exemplar"),
    "editorMode",
)
_STEP_KEYS = ("color", "value")


def normalised(dashboard: dict[str, Any]) -> dict[str, Any]:
    """The dashboard in its current form: listed keys only, null only in a base threshold, current schema version."""
    panels = [_panel(panel) for panel in dashboard["panels"]]
    return {**_without_nulls(dashboard), "panels": panels, "schemaVersion": SCHEMA_VERSION}


def _panel(panel: dict[str, Any]) -> dict[str, Any]:
    if panel["type"] == "row":
        row = _without_nulls(_only(panel, _ROW_KEYS))
        return {**row, "panels": [_panel(hidden) for hidden in panel.get("panels", ())]}
    cleaned = _without_nulls(_only(panel, _PANEL_KEYS))
    cleaned["targets"] = [_without_nulls(_only(target, _TARGET_KEYS)) for target in panel["targets"]]
    for thresholds in _all_thresholds(cleaned["fieldConfig"]):
        thresholds.update(_thresholds(thresholds))
    return cleaned


def _all_thresholds(field_config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield field_config["defaults"]["thresholds"]
    for override in field_config.get("overrides", ()):
        yield from (each["value"] for each in override["properties"] if each["id"] == "thresholds")


def _thresholds(thresholds: dict[str, Any]) -> dict[str, Any]:
    base, *others = (_only(step, _STEP_KEYS) for step in thresholds["steps"])
    # grafanalib writes the string "null"; Grafana then shows every value in the base colour, even 8 % errors in green.
    return {"mode": thresholds["mode"], "steps": [{**base, "value": None}, *others]}


def _only(data: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: data[key] for key in keys if key in data}


def _without_nulls(data: dict[str, Any]) -> dict[str, Any]:
    return {key: _clean(value) for key, value in data.items() if value is not None}


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return _without_nulls(value)
    return [_clean(item) for item in value] if isinstance(value, list) else value
