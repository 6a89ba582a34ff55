"""Dashboards in Grafana's second schema, as resources of ``dashboard.grafana.app``, made from the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Data = Mapping[str, Any]

VERSIONS = ("v2beta1", "v2")
"""The versions of the schema: Grafana 12 has ``v2beta1``, Grafana 13 also has ``v2``."""

_GROUP = "dashboard.grafana.app"
_DATASOURCE = {"name": "${datasource}"}
_SYNC = ("Off", "Crosshair", "Tooltip")
_HIDE = ("dontHide", "hideLabel", "hideVariable")
_REFRESH = ("never", "onDashboardLoad", "onTimeRangeChanged")
_SORT = ("disabled", "alphabeticalAsc", "alphabeticalDesc")
_INTERVALS = ["5s", "10s", "30s", "1m", "5m", "15m", "30m", "1h", "2h", "1d"]


def resource(dashboard: Data, version: str) -> dict[str, Any]:
    """A dashboard as a resource of Grafana's API, without its namespace, which is that of the organisation.

    Args:
        dashboard: A generated dashboard in the first schema.
        version: One of ``VERSIONS``.
    """
    return {
        "apiVersion": f"{_GROUP}/{version}",
        "kind": "Dashboard",
        "metadata": {"name": dashboard["uid"]},
        "spec": {
            "title": dashboard["title"],
            "description": dashboard["description"],
            "tags": list(dashboard["tags"]),
            "editable": dashboard["editable"],
            "cursorSync": _SYNC[dashboard["graphTooltip"]],
            "preload": False,
            "timeSettings": _times(dashboard),
            "links": list(dashboard["links"]),
            "variables": [_variable(variable) for variable in dashboard["templating"]["list"]],
            "annotations": [_annotation(annotation) for annotation in dashboard["annotations"]["list"]],
            "elements": {_name(panel): _element(panel, version) for panel in _panels(dashboard["panels"])},
            "layout": {"kind": "RowsLayout", "spec": {"rows": list(_rows(dashboard["panels"]))}},
        },
    }


def _panels(items: Iterable[Data]) -> Iterable[Data]:
    for item in items:
        yield from _panels(item["panels"]) if item["type"] == "row" else (item,)


def _name(panel: Data) -> str:
    return f"panel-{panel['id']}"


def _times(dashboard: Data) -> dict[str, Any]:
    return {
        "timezone": dashboard["timezone"],
        **dashboard["time"],
        "autoRefresh": dashboard["refresh"],
        "autoRefreshIntervals": _INTERVALS,
        "hideTimepicker": False,
        "fiscalYearStartMonth": 0,
    }


def _rows(items: Iterable[Data]) -> Iterable[dict[str, Any]]:
    """The rows of a dashboard, each with a grid of its own, whose first line is 0."""
    row: Data | None = None
    inside: list[Data] = []
    for item in [*items, None]:
        if item is not None and item["type"] != "row":
            inside.append(item)
            continue
        if row is not None:
            yield _row(row, [*row["panels"], *inside])
        row, inside = item, []


def _row(row: Data, panels: list[Data]) -> dict[str, Any]:
    top = min(panel["gridPos"]["y"] for panel in panels)
    items = [_placed(panel, top) for panel in panels]
    layout = {"kind": "GridLayout", "spec": {"items": items}}
    return {"kind": "RowsLayoutRow", "spec": {"title": row["title"], "collapse": row["collapsed"], "layout": layout}}


def _placed(panel: Data, top: int) -> dict[str, Any]:
    place = panel["gridPos"]
    size = {"x": place["x"], "y": place["y"] - top, "width": place["w"], "height": place["h"]}
    return {"kind": "GridLayoutItem", "spec": {**size, "element": {"kind": "ElementReference", "name": _name(panel)}}}


def _element(panel: Data, version: str) -> dict[str, Any]:
    viz = {"options": panel["options"], "fieldConfig": {"overrides": [], **panel["fieldConfig"]}}
    data = {
        "queries": [_panel_query(target) for target in panel["targets"]],
        "transformations": [_transformation(one, version) for one in panel.get("transformations", ())],
        "queryOptions": {},
    }
    return {
        "kind": "Panel",
        "spec": {
            "id": panel["id"],
            "title": panel["title"],
            "description": panel["description"],
            "links": [{key: link[key] for key in ("title", "url", "targetBlank")} for link in panel.get("links", ())],
            "data": {"kind": "QueryGroup", "spec": data},
            "vizConfig": {"kind": "VizConfig", "group": panel["type"], "version": "", "spec": viz},
        },
    }


def _query(group: str, spec: Data, datasource: Data | None = None) -> dict[str, Any]:
    place = {"datasource": dict(datasource)} if datasource else {}
    return {"kind": "DataQuery", "group": group, "version": "v0", **place, "spec": dict(spec)}


def _panel_query(target: Data) -> dict[str, Any]:
    spec = {key: value for key, value in target.items() if key not in {"refId", "datasource"}}
    query = _query("prometheus", spec, _DATASOURCE)
    return {"kind": "PanelQuery", "spec": {"refId": target["refId"], "hidden": False, "query": query}}


def _transformation(one: Data, version: str) -> dict[str, Any]:
    if version == "v2beta1":
        return {"kind": one["id"], "spec": {"id": one["id"], "options": one["options"]}}
    return {"kind": "Transformation", "group": one["id"], "spec": {"options": one["options"]}}


def _variable(variable: Data) -> dict[str, Any]:
    common = {
        "name": variable["name"],
        "label": variable["label"],
        "hide": _HIDE[variable["hide"]],
        "refresh": _REFRESH[variable["refresh"]],
        "skipUrlSync": False,
        "current": {key: value for key, value in variable.get("current", _NOTHING).items() if key != "selected"},
        "options": [],
        "multi": variable["multi"],
        "includeAll": variable["includeAll"],
        "allowCustomValue": True,
        "regex": variable["regex"],
    }
    if variable["type"] == "datasource":
        return {"kind": "DatasourceVariable", "spec": {**common, "pluginId": variable["query"]}}
    query = _query("prometheus", {"query": variable["query"], "refId": "A"}, _DATASOURCE)
    own = {"query": query, "allValue": variable["allValue"], "sort": _SORT[variable["sort"]]}
    return {"kind": "QueryVariable", "spec": {**common, **own, "definition": variable["query"]}}


_NOTHING = {"text": "", "value": ""}


def _annotation(annotation: Data) -> dict[str, Any]:
    common = {key: annotation[key] for key in ("name", "enable", "hide", "iconColor")}
    if annotation.get("builtIn"):
        return {"kind": "AnnotationQuery", "spec": {**common, "builtIn": True, "query": _query("grafana", {})}}
    target = {key: value for key, value in annotation["target"].items() if key != "refId"}
    texts = {
        key: annotation[key] for key in ("titleFormat", "textFormat", "tagKeys", "useValueForTime") if key in annotation
    }
    query = _query("prometheus", {**target, **texts}, _DATASOURCE)
    return {"kind": "AnnotationQuery", "spec": {**common, "query": query, "legacyOptions": texts}}
