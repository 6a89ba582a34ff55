"""Panels as Grafana JSON, made with grafanalib; what grafanalib cannot express is added here."""

from __future__ import annotations

import json
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any
from zlib import crc32

import grafanalib.core as grafana
from grafanalib._gen import DashboardEncoder

from dashboards.model import Panel, Row, Unit, View
from instrumentation.catalog import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dashboards.layout import Place
    from dashboards.model import Coloring, Column, Query

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

_HIGHEST_ID = 1_000_000
_HEADROOM = 1.2  # above the critical line, so that the line is visible while values are low
_FORMATS = {View.TABLE: "table", View.HEATMAP: "heatmap"}


def as_json(item: Row | Panel, place: Place, scrape_interval: str) -> dict[str, Any]:
    """A row's heading or a panel, not normalised yet.

    Args:
        item: The row or panel.
        place: Its position.
        scrape_interval: A Prometheus duration, from which Grafana computes ``$__rate_interval``.
    """
    common = {
        "title": item.title,
        "id": crc32(item.title.encode()) % _HIGHEST_ID + 1,  # independent of the position, so that links keep working
        "gridPos": grafana.GridPos(x=place.x, y=place.y, w=place.w, h=place.h),
    }
    if isinstance(item, Row):
        return _plain(grafana.RowPanel(**common))
    return _panel(item, scrape_interval, common)


def _panel(panel: Panel, scrape_interval: str, common: Mapping[str, Any]) -> dict[str, Any]:
    return _plain(
        _BUILDERS[panel.view](
            panel,
            **common,
            description=panel.description,
            dataSource=DATASOURCE,
            targets=[
                _target(letter, query, panel.view, scrape_interval)
                for letter, query in zip(ascii_uppercase, panel.queries, strict=False)
            ],
            thresholds=_steps(panel.coloring),
            timeFrom=panel.since,
        )
    )


def _plain(drawn: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(drawn, cls=DashboardEncoder))
    return plain


def _target(letter: str, query: Query, view: View, scrape_interval: str) -> dict[str, Any]:
    from_histogram = any(metric.kind is Kind.HISTOGRAM for metric in query.reads)
    drawn = grafana.Target(
        refId=letter,
        expr=query.expr,
        legendFormat=query.legend,
        interval="" if query.instant else query.min_step or scrape_interval,
        format=_FORMATS.get(view, "time_series"),
        instant=query.instant,
        datasource=DATASOURCE,
    )
    exemplar = from_histogram and view is View.TIME_SERIES
    return {**_plain(drawn), "editorMode": "code", "range": not query.instant, "exemplar": exemplar}


def _steps(coloring: Coloring) -> list[Any]:
    above = enumerate(sorted(coloring.above.items()), start=1)
    base = grafana.Threshold(coloring.base, 0, 0.0)
    return [base, *(grafana.Threshold(color, index, float(value)) for index, (value, color) in above)]


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
        }
        for name, color in panel.colors.items()
    ]


def _axis(panel: Panel, highest: float | None) -> float | None:
    """The least upper end of a graph's axis: above its lines, and for a ratio 1 %, because Grafana would show 10,000 %."""
    if highest is not None:
        return highest * _HEADROOM
    return 0.01 if panel.unit is Unit.RATIO else None


def _time_series(panel: Panel, **common: Any) -> Any:
    highest = max(panel.coloring.above, default=None)
    custom = {
        "axisSoftMax": _axis(panel, highest),
        "scaleDistribution": {"type": "linear", "log": None},
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
    }
    return grafana.TimeSeries(
        **common,
        unit=panel.unit,
        valueMin=0,
        fillOpacity=30 if panel.stacked else 8,
        showPoints="auto",
        legendDisplayMode="list",
        tooltipMode="multi",
        tooltipSort="desc",
        thresholdsStyleMode="off" if highest is None else "dashed",
        overrides=_overrides(panel),
        extraJson={
            "fieldConfig": {"defaults": {"custom": custom, "noValue": panel.empty}},
            "options": {"legend": {"showLegend": True}},
        },
    )


def _stat(panel: Panel, **common: Any) -> Any:
    return grafana.Stat(
        **common,
        format=panel.unit,
        reduceCalc="lastNotNull",
        color={"mode": "thresholds"},
        graphMode="none" if panel.queries[0].instant else "area",
        noValue=panel.empty,
        extraJson={"options": {"wideLayout": True, "showPercentChange": False, "percentChangeColorMode": "standard"}},
    )


def _table(panel: Panel, **common: Any) -> Any:
    values = [(f"Value #{letter}", query.column) for letter, query in zip(ascii_uppercase, panel.queries, strict=False)]
    joined = {name: column.heading for name, column in values if column}
    columns = {**panel.columns, **joined}
    organize = {
        "excludeByName": {"Time": True, "Value": "Value" not in columns},
        "includeByName": {},
        "indexByName": {name: index for index, name in enumerate(columns)},
        "renameByName": columns,
    }
    custom = {"cellOptions": {"type": "color-text" if panel.coloring.above else "auto"}, "inspect": False}
    return grafana.Table(
        **common,
        unit=panel.unit,
        filterable=True,
        transformations=[
            *([{"id": "merge", "options": {}}] if joined else []),
            {"id": "organize", "options": organize},
        ],
        sortBy=[
            grafana.TableSortByField(displayName=columns[name], desc=True)
            for name in ("Value", "Value #A")
            if name in columns
        ],
        overrides=[
            *(_leading(panel.columns[label], label, uid) for label, uid in panel.leads_to.items()),
            *(_shown(column) for _, column in values if column),
        ],
        extraJson={
            "fieldConfig": {
                "defaults": {
                    "custom": {**custom, "displayMode": None},
                    "color": {"mode": "thresholds"},
                    "noValue": panel.empty,
                }
            },
            "options": {"cellHeight": "sm", "frameIndex": 0},
        },
    )


def _leading(heading: str, label: str, uid: str) -> dict[str, Any]:
    """The link from a value to its dashboard, with the same time range and data source."""
    url = f"/d/{uid}?var-{label}=${{__value.raw:percentencode}}&${{datasource:queryparam}}&${{__url_time_range}}"
    link = {"title": "Operations of this service", "url": url, "targetBlank": False}
    return {"matcher": {"id": "byName", "options": heading}, "properties": [{"id": "links", "value": [link]}]}


def _shown(column: Column) -> dict[str, Any]:
    colored = "color-text" if column.coloring.above else "auto"
    above = sorted(column.coloring.above.items())
    steps = [
        {"color": column.coloring.base, "value": None},
        *({"color": color, "value": value} for value, color in above),
    ]
    return {
        "matcher": {"id": "byName", "options": column.heading},
        "properties": [
            {"id": "unit", "value": column.unit},
            {"id": "custom.cellOptions", "value": {"type": colored}},
            {"id": "thresholds", "value": {"mode": "absolute", "steps": steps}},
        ],
    }


def _raw(panel: Panel, kind: Mapping[str, Any], **common: Any) -> Any:
    # grafanalib only supports obsolete forms of these panels, so only its common part is used.
    base = grafana.Panel(**common).panel_json({})
    defaults = {**base["fieldConfig"]["defaults"], "unit": panel.unit, "noValue": panel.empty, **kind["defaults"]}
    field_config = {"defaults": defaults, "overrides": []}
    return {**base, "type": panel.view, "fieldConfig": field_config, "options": kind["options"]}


def _bars(panel: Panel, **common: Any) -> Any:
    options = {
        "displayMode": "basic",
        "orientation": "horizontal",
        "namePlacement": "top",  # on the left, a route would be cut off after twenty characters
        "valueMode": "color",
        "showUnfilled": True,
        "sizing": "manual",  # otherwise a single bar and its text would fill the panel
        "minVizWidth": 8,
        "minVizHeight": 16,
        "maxVizHeight": 56,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return _raw(panel, {"defaults": {"min": 0, "color": {"mode": "thresholds"}}, "options": options}, **common)


def _heatmap(panel: Panel, **common: Any) -> Any:
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "scale": "exponential", "exponent": 0.5}
        | {"steps": 64, "reverse": False},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": panel.unit},
    }
    hide = {"hideFrom": {"legend": False, "tooltip": False, "viz": False}, "scaleDistribution": {"type": "linear"}}
    return _raw(panel, {"defaults": {"custom": hide}, "options": options}, **common)


_BUILDERS = {
    View.TIME_SERIES: _time_series,
    View.STAT: _stat,
    View.TABLE: _table,
    View.BARS: _bars,
    View.HEATMAP: _heatmap,
}
